#!/usr/bin/env bash
# The documentation as one archive, of the release build that is there: docs.sh [OUTPUT].
#
# The symbols of all modules are taken as the umbrella module re-exports them. A public declaration without a doc comment, a
# link that leads nowhere and any other warning of docc's is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

output=${1:-.build/docs}
swift=${SWIFT:-swift}
scratch=${BUILD:-.build}
build=$("$swift" build -c release --scratch-path "$scratch" --show-bin-path)
symbols=$output/symbols
modules=$(sed -n 's/^@_exported import //p' Sources/ModelUtils/ModelUtils/ModelUtils.swift | paste -sd, -)

run=
sdk=()
if [ "$(uname)" = Darwin ]; then
  run=xcrun
  sdk=(-sdk "$(xcrun --show-sdk-path)")
fi
target=$("$swift" -print-target-info | sed -n 's/.*"triple": "\([^"]*\)".*/\1/p' | head -n 1)

# Where the C modules are that the library imports.
includes=()
while IFS= read -r map; do includes+=(-I "$(dirname "$map")"); done < <(
  find Sources Resources "$scratch"/checkouts/*/Sources -name module.modulemap
  find -L "$build" -maxdepth 2 -name module.modulemap
)

rm -rf "$symbols" "$output/ModelUtils.doccarchive"
mkdir -p "$symbols"
$run swift-symbolgraph-extract -module-name ModelUtils -experimental-allowed-reexported-modules="$modules" \
  -minimum-access-level public -skip-synthesized-members -target "$target" ${sdk[@]+"${sdk[@]}"} \
  -I "$build/Modules" "${includes[@]}" -output-dir "$symbols"
python3 Tests/Documentation/undocumented.py "$symbols"
$run docc convert Sources/ModelUtils/ModelUtils/ModelUtils.docc --additional-symbol-graph-dir "$symbols" \
  --fallback-display-name ModelUtils --fallback-bundle-identifier ModelUtils --warnings-as-errors \
  --output-path "$output/ModelUtils.doccarchive"
echo "$output/ModelUtils.doccarchive"
