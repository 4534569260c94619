#!/usr/bin/env bash
# Fuzzes targets, one after the other, each so many minutes:  fuzz.sh MINUTES TARGET…
# What is found stands in .build-fuzz/found/TARGET; what covered more, which the next run begins with, in .build-fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/../.."

minutes=$1
shift
work=$PWD/.build-fuzz
swift=${SWIFT:-swift}
# gold dies of what the sanitizers need.
"$swift" build -c release --traits Fuzzing --scratch-path "$work" --product fuzz \
  -Xswiftc -sanitize=fuzzer,address -Xcc -fsanitize=address,undefined,fuzzer-no-link -Xcc -fno-sanitize-recover=undefined -Xswiftc -use-ld=lld
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Swift's own report of a crash runs into the sanitizer's.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 FUZZ_FOLDER=$folder

failed=0
for target; do
  mkdir -p "$work/corpus/$target" "$work/found/$target"
  options=(-max_total_time=$((60 * minutes)) -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 -artifact_prefix="$work/found/$target/")
  [ ! -e "Tests/Fuzzing/Dictionaries/$target.dict" ] || options+=(-dict="Tests/Fuzzing/Dictionaries/$target.dict")
  seeds=("Tests/Fuzzing/Corpora/$target")
  [ "$target" != checkpoint ] || seeds+=(Tests/Fixtures)
  log=$work/found/$target.log
  if FUZZ_TARGET=$target "$work/release/fuzz" "${options[@]}" "$work/corpus/$target" "${seeds[@]}" > "$log" 2>&1; then
    found=nothing
  else
    found="see $log"
    failed=1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -ao 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1)
  printf '%-12s %s executions, %s, found: %s\n' "$target" "${runs:-?}" "${coverage:-no coverage}" "$found"
done
exit "$failed"
