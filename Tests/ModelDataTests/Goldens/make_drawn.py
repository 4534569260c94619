"""Writes drawn.json: SHA-256 of the pixels, and the labels, of drawn pictures as Tests/Interop/drawn_sets.py draws them in
NumPy and Pillow, of shapes, and of pictures of the formula of make_transforms.py, three of each of two classes."""

import hashlib
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Interop"))
from drawn_sets import scene  # noqa: E402


def picture(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return ((y * 7 + x * 13 + y * x % 31 * 5) % 256).astype(np.uint8)


cases = []
for size, seed in ((32, 0), (61, 7), (96, 7), (97, 12_345_678_901_234_567_890)):
    for part, index in (("train", 0), ("train", 1), ("train", 99_999), ("val", 0), ("val", 3)):
        for kind, options in (
            ("shapes", {}),
            ("square", dict(pictures=np.stack([picture(28, 28)] * 6), labels=np.arange(6) % 2, classes=2)),
            ("high", dict(pictures=np.stack([picture(20, 13)] * 6), labels=np.arange(6) % 2, classes=2)),
        ):
            pixels, text = scene(part, index, size, seed, **options)
            cases.append({"kind": kind, "size": size, "seed": str(seed), "part": part, "index": index,
                          "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(), "labels": text})
pathlib.Path(__file__).with_name("drawn.json").write_text(json.dumps(cases, indent=0) + "\n")
