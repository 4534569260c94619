"""Measures PyTorch and OpenCV on pictures, and what copying takes, as Pictures/PicturesBenchmark.swift measures ours.

    python pictures_peers.py measure REPETITIONS THREADS
    python pictures_peers.py photograph FILE

`measure` prints one JSON object of seconds; `photograph` makes a picture of waves.
"""

import json
import math
import sys
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


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


def copy(shape, dtype):
    """A copy into memory that is there, on as many threads as torch has."""
    source, target = torch.ones(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)
    return lambda: target.copy_(source)


def seconds(body, repetitions):
    result = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        body()
        result.append(time.perf_counter() - start)
    return result[1:]


def measure(repetitions, threads):
    torch.set_num_threads(int(threads))
    cv2.setNumThreads(int(threads))
    floats = torch.rand(16, 3, 640, 640)
    pictures = [np.ascontiguousarray(x.permute(1, 2, 0).numpy()) for x in floats]
    photo = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    bodies = {
        "PyTorch interpolate + pad": lambda: scale_img(floats),
        "OpenCV resize alone": lambda: [cv2.resize(p, (531, 531), interpolation=cv2.INTER_LINEAR) for p in pictures],
        "OpenCV letterbox 1080x1920": lambda: letterbox(photo),
        "copy 16x3x544x544 float32": copy((16, 3, 544, 544), torch.float32),
        "copy 16x3x544x544 uint8": copy((16, 3, 544, 544), torch.uint8),
        "copy 384x640x3 uint8": copy((384, 640, 3), torch.uint8),
    }
    print(json.dumps({name: seconds(body, int(repetitions)) for name, body in bodies.items()}))


def photograph(path):
    y, x = np.mgrid[0:480, 0:640]
    waves = np.stack([127 + 100 * np.sin(x / a + y / b) for a, b in ((30, 50), (17, 90), (60, 23))], -1)
    Image.fromarray(waves.astype(np.uint8)).save(path, quality=90)


if __name__ == "__main__":
    {"measure": measure, "photograph": photograph}[sys.argv[1]](*sys.argv[2:])
