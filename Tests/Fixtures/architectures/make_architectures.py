#!/usr/bin/env python3
"""Writes architectures.tsv: what every built-in architecture is after torch.manual_seed(0), as torchvision and YOLOv5 7.0 build it.

A line is: name, distinct modules, parameters, checksum of the state dict's names, dtypes and shapes, checksum of its values.
Values of models with more than 30 million parameters are left out ("-").

The checksum of the structure is FNV-1a (64 bits) over lines "name dtype shape", such as "fc.bias torch.float32 [1000]".
The checksum of a tensor is the sum of its 32-bit words, each times its place counted from 1, mod 2^64;
that of a state dict is c = c * 31 + tensor, from 0, in order.

    python make_architectures.py
"""

import logging
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

logging.disable(logging.CRITICAL)
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import nets  # noqa: E402

LIMIT = 30_000_000


def structure(state):
    checksum = 0xCBF29CE484222325
    for name, tensor in state.items():
        for byte in f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode():
            checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
    return checksum


def values(state):
    checksum = 0
    for tensor in state.values():
        words = tensor.contiguous().reshape(-1).numpy().view(np.uint32).astype(np.uint64)
        places = np.arange(1, len(words) + 1, dtype=np.uint64)
        checksum = (checksum * 31 + int((words * places).sum(dtype=np.uint64))) % 2**64
    return checksum


def yolov5(name):
    models = nets.import_yolov5().models
    models.common.Conv.default_act = nn.SiLU()
    yolo = models.yolo
    folder = Path(yolo.__file__).parent
    if name.endswith("-cls"):
        return yolo.ClassificationModel(model=yolov5(name.removesuffix("-cls")), nc=1000)
    if name.endswith("-seg"):
        return yolo.SegmentationModel(folder / "segment" / f"{name}.yaml")
    return yolo.DetectionModel(folder / ("hub" if name.endswith("6") else "") / f"{name}.yaml")


def main():
    makers = {}
    for name in torchvision.models.list_models(module=torchvision.models):
        makers[name] = lambda name=name: torchvision.models.get_model(name, weights=None)
    for kind in ("", "6", "-seg", "-cls"):
        for size in "nsmlx":
            makers[f"yolov5{size}{kind}"] = lambda name=f"yolov5{size}{kind}": yolov5(name)
    with open(HERE / "architectures.tsv", "w") as file:
        for name, make in makers.items():
            torch.manual_seed(0)
            model = make()
            state = model.state_dict()
            parameters = sum(p.numel() for p in model.parameters())
            checksum = f"{values(state):016x}" if parameters <= LIMIT else "-"
            row = [name, len(list(model.modules())), parameters, f"{structure(state):016x}", checksum]
            print(*row, sep="\t", file=file, flush=True)


if __name__ == "__main__":
    main()
