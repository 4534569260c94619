"""Teaches the detector that is compiled into the library, which finds the six shapes that `mutils dataset shapes` draws.

Usage: make_detector.py MUTILS [EPOCHS]

A narrow, shallow YOLOv6 n (detector.yaml), from values of seed 0, learns 3,000 drawn pictures of 128x128 (seed 11); then its branches are merged, its
batch norms fused, and it is written in float16. The same processor and number of threads give the same bytes; others a detector as good.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZE, SEED = "128", "11"
# It is in every program that has the library.
LARGEST = 1_000_000


def main(mutils, epochs="20"):
    def run(*arguments):
        return subprocess.run([mutils, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run("dataset", "shapes", folder / "set", "--train", "3000", "--val", "100", "--size", SIZE, "--seed", SEED)
        subprocess.run(
            [mutils, "train", folder / "set/data.yaml", "--model", HERE / "detector.yaml", "--recipe", "small", "--image-size", SIZE,
             "--batch-size", "16", "--epochs", epochs, "--eval-interval", "10", "--heavy-eval-range", "0", "-o", folder / "run"], check=True)  # fmt: skip
        run("fuse", folder / "run/best.pt", "--reparameterize", "-o", HERE / "detector.pt", "--force")
        size = (HERE / "detector.pt").stat().st_size
        print(size, "bytes")
        assert size <= LARGEST, "give it fewer channels or blocks"
        print(json.loads(run("val", HERE / "detector.pt", folder / "set/data.yaml", "--json"))["metrics"])


if __name__ == "__main__":
    main(*sys.argv[1:])
