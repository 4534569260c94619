#!/usr/bin/env bash
# The C of the library on 64-bit ARM: compiled by clang, and the kernels run under an emulator. What each kernel makes
# of the same numbers must be what it makes of them here, at this machine's best level and in plain C: where the C
# library or fused operations have a part in it, nearly.
#
# CLANG: the compiler, the Swift toolchain's unless set; QEMU: the emulator.
set -euo pipefail
cd "$(dirname "$0")/../.."

sources=Sources/ModelUtils
kernels=$sources/CKernels
cases=Tests/Portability
swift=$(command -v "${SWIFT:-swift}" || true)
clang=${CLANG:-$(dirname "$(readlink -f "${swift:-swift}")")/clang}
qemu=${QEMU:-$(command -v qemu-aarch64-static qemu-aarch64 | sed 1q || true)}
flags=(-std=c2x -O2 -Wall -Wextra)
target=--target=aarch64-linux-gnu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if ! command -v "$clang" > /dev/null; then
  echo "no clang: set CLANG, or SWIFT to a toolchain's swift" >&2
  exit 1
fi
if ! command -v "$qemu" > /dev/null ||
  ! echo 'int main(void) {}' | "$clang" "$target" -static -x c - -o "$folder/empty" 2> /dev/null; then
  echo "no emulator or no C library of aarch64:" \
    "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static" >&2
  exit 1
fi

failed=0

# Every function that the headers declare has a case.
for function in $(sed -n 's/^[a-z].*[ *]\(mk_[a-z0-9_]*\)(.*/\1/p' "$kernels"/include/*.h); do
  if ! grep -q "\b$function(" "$cases"/*.c; then
    echo "no case calls $function"
    failed=1
  fi
done

"$clang" "${flags[@]}" -I "$kernels/include" "$cases"/*.c "$kernels"/*.c -lm -o "$folder/here"
"$clang" "$target" -static "${flags[@]}" -I "$kernels/include" "$cases"/*.c "$kernels"/*.c -lm -o "$folder/there"
"$folder/here" > "$folder/best.txt"
"$folder/here" scalar > "$folder/scalar.txt"
"$qemu" "$folder/there" > "$folder/aarch64.txt"

# What is fused is compared where both are.
compared() {
  if grep -q '^fused ' "$2"; then cat "$1"; else grep -v '^fused ' "$1"; fi
}

compare() {
  awk -v here="$1" -v there="$3" -f "$cases/compare.awk" <(compared "$2" "$4") <(compared "$4" "$2") || failed=1
}

best=$(sed -n 's/^level //p' "$folder/best.txt")
compare "$best" "$folder/best.txt" "plain C" "$folder/scalar.txt"
compare "$best" "$folder/best.txt" aarch64 "$folder/aarch64.txt"
compare "plain C" "$folder/scalar.txt" aarch64 "$folder/aarch64.txt"

# The rest of the C is only compiled.
left_out=()
compile() {
  local include=${1%/*}/include
  if "$clang" "$target" "${flags[@]}" -I "$include" "${@:2}" -c "$1" -o "$folder/object" 2> "$folder/log"; then
    cat "$folder/log" >&2
  elif grep -q 'file not found' "$folder/log"; then
    left_out+=("${1#"$sources/"} ($(sed -n "s/.*'\(.*\)' file not found.*/\1/p" "$folder/log"))")
  else
    cat "$folder/log"
    failed=1
  fi
}
for file in "$sources"/{CCodecs,CEngine,CRuntime,CDownload,CMPI}/*.c; do compile "$file"; done
compile "$sources/CMPI/mpi.c" -DMODELUTILS_MPI
[ ${#left_out[@]} = 0 ] || printf 'not compiled for aarch64, for want of a header: %s\n' "${left_out[@]}"

[ $failed = 1 ] || echo "$(grep -vc '^level ' "$folder/best.txt") cases: the same at $best, in plain C, and on aarch64"
exit $failed
