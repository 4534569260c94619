#!/usr/bin/env bash
# What the command does with several threads, in a build under a sanitizer:  commands.sh MUTILS [PRELOADED]
# The first thing that the sanitizer finds ends it.
set -euo pipefail
mutils=$(readlink -f "$1")
preloaded=${2:+$(readlink -f "$2")}
suppressions=$(readlink -f "$(dirname "$0")/suppressions.txt")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Leaks are not looked for: what is made once is kept.
found=66
export TSAN_OPTIONS=halt_on_error=1:exitcode=$found:suppressions=$suppressions ASAN_OPTIONS=detect_leaks=0:exitcode=$found
run() { # the status that is expected, the subcommand, …
  local expected=$1 status=0
  shift
  LD_PRELOAD=$preloaded "$mutils" "$@" > output 2> errors || status=$?
  [ "$status" = "$expected" ] || {
    printf 'mutils %s: %s\n' "$*" "$status"
    head -c 20000 errors
    exit 1
  } >&2
}

# Weights.
run 0 init resnet18 --seed 1 -o one.pt --threads 4
run 0 init resnet18 --seed 2 -o two.pt --threads 4
for method in l1 global random ln; do
  run 0 prune one.pt --amount 0.3 --method "$method" -o pruned.pt --force --threads 4
done
run 0 fuse one.pt -o fused.pt --verify --threads 4
run 0 convert one.pt -o half.safetensors --dtype float16 --max-shard-size 8MB --threads 4
run 0 ema one.pt two.pt -o average.pt --threads 4
run 0 strip one.pt -o stripped.pt --threads 4
run 0 intersect one.pt two.pt -o transferred.pt --threads 4
run 1 diff one.pt two.pt --threads 4
run 0 diff one.pt transferred.pt --threads 4
for subcommand in info sparsity check; do
  run 0 "$subcommand" one.pt half.safetensors.index.json --threads 4
done

# Computing.
run 0 convert one.pt -o net.onnx --image-size 64 --verify --threads 4
run 0 fuse net.onnx -o fused.onnx --threads 4
run 0 run one.pt --image-size 64 --threads 4
run 0 profile one.pt --image-size 64 --threads 4 --runs 1
run 0 report one.pt two.pt -o report.html --image-size 64 --threads 4

# Pictures, and what learns from them.
run 0 dataset shapes shapes --train 12 --val 8 --size 64 --seed 1
run 0 dataset check shapes
run 0 scale shapes/images/train -o scaled --threads 4
run 0 detect shapes/images/val -o found --threads 4
run 0 train shapes --model yolov6n --epochs 1 --batch-size 4 --image-size 64 -o detector --threads 4
run 0 val detector/last.pt shapes -o judged --threads 4
for part in train val; do
  mkdir -p "classes/$part/even" "classes/$part/odd"
  number=0
  for picture in shapes/images/"$part"/*; do
    [ $((number % 2)) = 0 ] && class=even || class=odd
    cp "$picture" "classes/$part/$class"
    number=$((number + 1))
  done
done
run 0 train classes --model resnet18 --epochs 1 --batch-size 4 --image-size 32 -o classifier --threads 4
run 0 val classifier/last.pt classes --threads 4
run 0 classify classifier/last.pt shapes/images/val --threads 4
echo "nothing was found"
