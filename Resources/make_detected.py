"""Makes detected.jpg, the README's picture: teaches YOLOv5n to find what is in drawn landscapes, and lets `mutils detect` look at a new one.

    python make_detected.py MUTILS [STEPS]

Needs PyTorch, yolov5 and Pillow; takes some minutes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import yolov5
from PIL import Image
from yolov5.models.yolo import Model
from yolov5.utils.loss import ComputeLoss

NAMES = ["house", "sun", "tree"]
SIZE = 320


def landscape(random, height, width):
    """A picture, and of everything in it the class and the box in pixels."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    rise = y / height
    tint = random.uniform(-0.1, 0.1, 3)
    picture = np.stack([0.45 + 0.3 * rise, 0.65 + 0.2 * rise, 0.95 - 0.1 * rise], -1) + tint
    horizon = random.uniform(0.5, 0.65)
    hill = y > height * (horizon + 0.05 * np.sin(x / width * random.uniform(4, 9) + random.uniform(0, 6)))
    things = []

    def paint(mask, color, cls=None):
        picture[mask] = color + random.uniform(-0.08, 0.08, 3)
        if cls is not None and mask.any():
            rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
            things.append((cls, columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))

    unit = min(height, width)
    if random.random() < 0.7:
        radius = unit * random.uniform(0.05, 0.1)
        cx, cy = random.uniform(0.1, 0.9) * width, random.uniform(0.12, 0.35) * height
        paint((x - cx) ** 2 + (y - cy) ** 2 < radius**2, (1.0, 0.85, 0.3), 1)
    paint(hill, (0.3, 0.55, 0.25))
    places = random.permutation(6)[: random.integers(2, 5)]
    for place in sorted(places):
        cx = (place + 0.5 + random.uniform(-0.15, 0.15)) / 6 * width
        foot = (horizon + random.uniform(0.12, 0.3)) * height
        tall = unit * random.uniform(0.16, 0.28)
        if random.random() < 0.5:
            wide = tall * random.uniform(0.35, 0.45)
            walls = (abs(x - cx) < wide) & (y > foot - tall * 0.6) & (y < foot)
            roof = (y > foot - tall) & (y <= foot - tall * 0.6) & (abs(x - cx) < (y - foot + tall) * 1.15)
            paint(walls | roof, (0.9, 0.85, 0.75), 0)
            picture[roof] = (0.65, 0.25, 0.2) + random.uniform(-0.08, 0.08, 3)
            paint((abs(x - cx) < wide * 0.25) & (y > foot - tall * 0.35) & (y < foot), (0.4, 0.25, 0.15))
        else:
            trunk = (abs(x - cx) < tall * 0.06) & (y > foot - tall * 0.4) & (y < foot)
            crown = ((x - cx) / (tall * 0.28)) ** 2 + ((y - foot + tall * 0.65) / (tall * 0.38)) ** 2 < 1
            paint(trunk | crown, (0.2, 0.42, 0.18), 2)
            picture[trunk & ~crown] = (0.4, 0.28, 0.18)
    picture += random.normal(0, 0.02, picture.shape)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8), things


def batch(random, count):
    pictures, targets = [], []
    for index in range(count):
        picture, things = landscape(random, SIZE, SIZE)
        pictures.append(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
        for cls, left, top, right, bottom in things:
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            targets.append([index, cls, *(value / SIZE for value in box)])
    return torch.stack(pictures), torch.tensor(targets)


def taught(steps):
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    model = Model(str(Path(yolov5.__file__).parent / "models/yolov5n.yaml"), ch=3, nc=len(NAMES)).train()
    model.names = dict(enumerate(NAMES))
    model.hyp = {"box": 0.05, "cls": 0.5 * len(NAMES) / 80, "obj": 0.5, "cls_pw": 1, "obj_pw": 1, "anchor_t": 4, "fl_gamma": 0, "label_smoothing": 0}  # fmt: skip
    loss_of = ComputeLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for step in range(steps):
        x, targets = batch(random, 8)
        loss, _ = loss_of(model(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(step, loss.item(), flush=True)
    return model.eval()


def main(mutils, steps=600):
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture, _ = landscape(np.random.default_rng(4), 360, 640)
        Image.fromarray(picture).save(folder / "landscape.jpg", quality=92)
        torch.save({"model": taught(steps).half()}, folder / "landscapes.pt")
        command = [mutils, "detect", folder / "landscapes.pt", folder / "landscape.jpg", "-o", folder / "found"]  # fmt: skip
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        Image.open(folder / "found/landscape.jpg").save(here / "detected.jpg", quality=85)


main(sys.argv[1], *map(int, sys.argv[2:3]))
