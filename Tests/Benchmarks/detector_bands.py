"""Whether a yolov6n of ours learns the drawn shapes as well as YOLOv6's own network and Trainer do, and prints a table.

    python detector_bands.py [--mutils FILE] [--threads N] [--seeds N] [--folder FOLDER] [trainer] [lean]

Both recipes learn the 256 pictures of 96x96 that `mutils dataset shapes --seed 7` draws, 16 at a time, and are judged by 64 others. `trainer` is
YOLOv6's Trainer with Adam, its average and its augmentation but mosaic: 40 epochs, judged as the Trainer judges. `lean` is AdamW with flips alone:
50 epochs, judged without the Trainer's padding. The least figures are the original's of one seed, less what seeds differ by.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMON = "--model yolov6n --image-size 96 --batch-size 16 --eval-interval 4 --heavy-eval-range 0 --quiet".split()
ADAM = dict(lr0=0.002, momentum=0.9, weight_decay=0, warmup_epochs=0, warmup_steps=50, warmup_bias_lr=0, scale=0.2, mosaic=0, nbs=16, bs_per_gpu=16)
# Options, least AP50 and AP, and the original's.
RECIPES = {
    "trainer": ("--epochs 40 --optimizer adam".split() + [f"--set={name}={value}" for name, value in ADAM.items()], (0.24, 0.16), (0.272, 0.185)),
    "lean": ("--epochs 50 --recipe small --ema 0".split(), (0.50, 0.35), (0.555, 0.395)),
}


def judged(recipe, mutils, data, run, threads):
    """AP50 and AP: the Trainer's at epoch 36, where the original's were read; the lean recipe's at the end."""
    if recipe == "trainer":
        with open(run / "results.csv") as table:
            [row] = [row for row in csv.DictReader(table) if row["epoch"] == "36"]
        return float(row["map50"]), float(row["map"])
    command = [mutils, "val", run / "last.pt", data, "--image-size", "96", "--no-rectangles", "--threads", threads, "--json"]
    metrics = json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)["metrics"]
    return metrics["ap50"], metrics["ap"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", metavar="recipe", help="trainer or lean; both if none is named")
    parser.add_argument("--mutils", type=Path, default=ROOT / ".build/release/mutils")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keeps the set and the runs")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    data = folder / "shapes/data.yaml"
    if not data.exists():
        subprocess.run([options.mutils, "dataset", "shapes", data.parent, *"--train 256 --val 64 --size 96 --seed 7".split()], check=True)
    print("| recipe | seed | AP50 | AP | at least | the original's |\n|---|---|---|---|---|---|")
    isBelow = False
    for recipe in options.recipes or RECIPES:
        arguments, least, theirs = RECIPES[recipe]
        for seed in range(options.seeds):
            run = folder / f"{recipe}{seed}"
            if not run.exists():
                command = [options.mutils, "train", data, *COMMON, *arguments, "--threads", options.threads, "--seed", seed, "-o", run]
                subprocess.run(list(map(str, command)), check=True)
            found = judged(recipe, options.mutils, data, run, options.threads)
            isBelow = isBelow or any(a < b for a, b in zip(found, least))
            print(f"| {recipe} | {seed} | {found[0]:.3f} | {found[1]:.3f} | {least[0]:.2f}, {least[1]:.2f} | {theirs[0]:.3f}, {theirs[1]:.3f} |", flush=True)
    sys.exit(isBelow)


if __name__ == "__main__":
    main()
