"""Makes what the engine's benchmark runs: ResNet-50 and YOLOv5s as fused whole modules, their exports, and photographs.

    python engine_models.py FOLDER COUNT
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
import yolov5
from PIL import Image
from torch.fx.experimental.optimization import fuse
from yolov5.models.yolo import Model

SAMPLE = Path(__file__).resolve().parents[2] / "Resources/sample.jpg"


def export(module, size, batch, path):
    torch.onnx.export(module, (torch.rand(batch, 3, size, size),), path, dynamo=False, input_names=["images"])


def main(folder, count):
    torch.manual_seed(0)
    resnet = torchvision.models.resnet50().eval()
    torch.save(resnet, folder / "resnet50.pt")
    detector = Model(os.path.join(os.path.dirname(yolov5.__file__), "models", "yolov5s.yaml")).eval()
    detector.names = [f"class {i}" for i in range(80)]
    torch.save({"model": detector}, folder / "yolov5s.pt")
    fused = {"resnet50": (fuse(resnet), 224), "yolov5s": (detector.fuse().eval(), 640)}
    for name, (module, size) in fused.items():
        torch.save(module, folder / f"{name}-fused.pt")
        for batch in (1, 8):
            export(module, size, batch, folder / f"{name}-{batch}.onnx")
    (folder / "photographs").mkdir()
    picture = Image.open(SAMPLE).convert("RGB").resize((1280, 960))
    random = np.random.default_rng(0)
    for index in range(count):
        pixels = np.roll(np.asarray(picture), random.integers(0, 500, 2), (0, 1))
        Image.fromarray(pixels).save(folder / "photographs" / f"{index:03}.jpg", quality=90)


main(Path(sys.argv[1]), int(sys.argv[2]))
