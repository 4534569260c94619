"""Makes detection.json: what the data set of YOLOv6 (the package yolov6detect 0.4.1, asked for its results alone) makes of
pictures of a formula, with 0 workers: inputs in hexadecimal, rows of objects, and the next numbers of the generators."""

import json
import pathlib
import random
import tempfile

import cv2
import numpy as np
import torch

for name, kind in (("int", int), ("float", float), ("bool", bool)):
    if name not in np.__dict__:
        setattr(np, name, kind)
from yolov6.data.data_load import create_dataloader

SIZES = [(20, 31), (48, 48), (33, 17), (64, 40), (15, 47)]
ROWS = [["0 0.5 0.4 0.5 0.5", "1 0.25 0.75 0.4 0.3"], ["1 0.5 0.5 0.9 0.8"], [], ["0 0.3 0.3 0.5 0.4", "0 0.7 0.6 0.4 0.7", "1 0.5 0.9 0.6 0.2"],
        ["1 0.6 0.5 0.5 0.8"]]
PLAIN = dict(hsv_h=0, hsv_s=0, hsv_v=0, degrees=0, translate=0, scale=0, shear=0, flipud=0, fliplr=0, mosaic=0, mixup=0)
RECIPES = {
    "plain": {},
    "affine": dict(degrees=20, translate=0.2, scale=0.4, shear=9, flipud=0.5, fliplr=0.5),
    "mosaic": dict(translate=0.1, scale=0.5, fliplr=0.5, mosaic=1),
    "all": dict(hsv_h=0.015, hsv_s=0.7, hsv_v=0.4, degrees=20, translate=0.1, scale=0.5, shear=4, flipud=0.3, fliplr=0.5, mosaic=0.8, mixup=0.6),
}


def picture(height, width):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((y * 7 + x * 13 + c * 29 + y * x % 31 * 5) % 256).astype(np.uint8)


root = pathlib.Path(tempfile.mkdtemp())
for folder in ("images/train", "labels/train"):
    (root / folder).mkdir(parents=True)
for index, ((height, width), rows) in enumerate(zip(SIZES, ROWS)):
    cv2.imwrite(str(root / f"images/train/{index}.png"), picture(height, width)[..., ::-1])
    (root / f"labels/train/{index}.txt").write_text("\n".join(rows))
cases = []
for name, changes in RECIPES.items():
    seed = len(name)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    loader, dataset = create_dataloader(str(root / "images/train"), 32, 2, 32, hyp={**PLAIN, **changes}, augment=True, check_images=True,
                                        check_labels=True, workers=0, shuffle=True, data_dict={"names": ["a", "b"]}, task="train")
    batches = [{"indices": [dataset.img_paths.index(path) for path in paths], "targets": labels.double().ravel().tolist(),
                "inputs": images.numpy().tobytes().hex()} for images, labels, paths, _ in loader]
    cases.append({"name": name, "seed": seed, "batches": batches, "next": [random.random(), np.random.random_sample()]})
print(json.dumps({"sizes": SIZES, "rows": ROWS, "cases": cases}))
