#!/usr/bin/env bash
# The cases of the C kernels, at this machine's best level and in plain C, under AddressSanitizer and UndefinedBehaviorSanitizer: the first fault
# ends it. CLANG: the compiler, the Swift toolchain's unless set.
set -euo pipefail
cd "$(dirname "$0")/../.."

kernels=Sources/ModelUtils/CKernels
swift=$(command -v "${SWIFT:-swift}" || true)
clang=${CLANG:-$(dirname "$(readlink -f "${swift:-swift}")")/clang}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Loops that are not made vectors of here are by -O2.
"$clang" -std=c2x -O1 -g -Wall -Wextra -Wno-pass-failed -fsanitize=address,undefined -fno-sanitize-recover=undefined -fuse-ld=lld \
  -I "$kernels/include" Tests/Portability/*.c "$kernels"/*.c -lm -o "$folder/cases"
export ASAN_OPTIONS=detect_leaks=0
for level in best scalar; do
  "$folder/cases" "$level" > "$folder/results"
  echo "$(grep -vc '^level ' "$folder/results") cases at the level: $level"
done
