"""Pictures: ours against PyTorch, OpenCV and YOLOv5's letterbox, in one run, in turns; medians. Run from the repository's root after
`swift build -c release`, with PYTHON as Tests/Interop/README.md describes it: PYTHON Tests/Benchmarks/images_bench.py [rounds]"""

import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build/release"
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
REPETITIONS = 6
times = defaultdict(list)


def measure(name, body):
    body()
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        body()
        times[name].append(1000 * (time.perf_counter() - start))


def scale_img(image, ratio=0.83, grid=32):
    height, width = image.shape[2:]
    size = (int(height * ratio), int(width * ratio))
    image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    height, width = (math.ceil(x * ratio / grid) * grid for x in (height, width))
    return F.pad(image, [0, width - size[1], 0, height - size[0]], value=0.447)


def letterbox(image, size=640, stride=32):
    """The work of YOLOv5's letterbox with its defaults: resize, then a border."""
    height, width = image.shape[:2]
    ratio = min(size / height, size / width)
    inner = round(width * ratio), round(height * ratio)
    gap = (size - inner[0]) % stride / 2, (size - inner[1]) % stride / 2
    image = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    sides = [round(gap[1] - 0.1), round(gap[1] + 0.1), round(gap[0] - 0.1), round(gap[0] + 0.1)]
    return cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(114, 114, 114))


floats = torch.rand(16, 3, 640, 640)
pictures = [np.ascontiguousarray(x.permute(1, 2, 0).numpy()) for x in floats]
photo = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)

with tempfile.TemporaryDirectory() as folder:
    y, x = np.mgrid[0:480, 0:640]
    waves = np.stack([127 + 100 * np.sin(x / a + y / b) for a, b in ((30, 50), (17, 90), (60, 23))], -1)
    Image.fromarray(waves.astype(np.uint8)).save(f"{folder}/photo.jpg", quality=90)
    commands = {
        "process ours": [BUILD / "mutils", "scale", f"{folder}/photo.jpg", "--ratio", "0.83", "-f", "-o", f"{folder}/a.png"],
        "process Python": [sys.executable, ROOT / "Tests/Benchmarks/scripts/scale.py", f"{folder}/photo.jpg", "0.83", f"{folder}/b.png"]}
    for _ in range(ROUNDS):
        lines = subprocess.run([BUILD / "pictures-benchmark", str(REPETITIONS)], check=True, text=True, stdout=subprocess.PIPE).stdout
        for line in lines.splitlines():
            name, *values = line.split("\t")
            times[name].extend(map(float, values))
        measure("PyTorch interpolate + pad", lambda: scale_img(floats))
        measure("OpenCV resize alone", lambda: [cv2.resize(p, (531, 531), interpolation=cv2.INTER_LINEAR) for p in pictures])
        measure("OpenCV letterbox 1080x1920", lambda: letterbox(photo))
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times[name].append(1000 * (time.perf_counter() - start))

median = {name: statistics.median(values) for name, values in times.items()}
for name, value in median.items():
    print(f"{name:28} {value:9.2f} ms   (least {min(times[name]):.2f})")
for ours, peer, goal in [
    ("scaleImage float32", "PyTorch interpolate + pad", 2.5), ("scaleImage float32", "OpenCV resize alone", 1),
    ("letterbox 1080x1920", "OpenCV letterbox 1080x1920", None), ("process ours", "process Python", 10)]:
    aim = "" if goal is None else f" (at least {goal})"
    print(f"{peer} / {ours}: {median[peer] / median[ours]:.2f}{aim}")
