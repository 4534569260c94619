#!/usr/bin/env python3
"""Makes default-model.pt, the checkpoint that `mutils` falls back on when no MODEL is named.

    PYTHON Resources/make_default_model.py [OUTPUT]

PYTHON has torch, numpy and the `yolov5` package (7.0). The file is what YOLOv5 7.0's train.py writes: a dict
of whole pickled modules (`model` in training mode, its average `ema` in evaluation mode, both float16), the
optimizer's state, epoch, fitness, options and date. The network is YOLOv5's own 7.0 architecture at a width
that keeps the file below 1 MB. The weights are random but always the same: two runs with the same versions
give the same bytes.

The package's classes are pickled under the names they bear in YOLOv5's own repository (`models.common.Conv`,
`models.yolo.DetectionModel`).
"""

import copy
import os
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ["YOLOv5_VERBOSE"] = "false"

import numpy as np
import torch
import yaml
import yolov5.models.common
import yolov5.models.experimental
import yolov5.models.yolo
from yolov5.utils.torch_utils import ModelEMA, smart_optimizer

WIDTH = 0.02  # of 1024, 512, … channels, rounded up to a multiple of 8
LIMIT = 1_000_000  # bytes
NAMES = {0: "person", 1: "bicycle", 2: "car"}


def use_repository_names():
    """Lets the package's classes be pickled and found as `models.…` instead of `yolov5.models.…`."""
    for name in ("yolov5.models", "yolov5.models.common", "yolov5.models.experimental", "yolov5.models.yolo"):
        module = sys.modules[name]
        sys.modules[name.removeprefix("yolov5.")] = module
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == name:
                value.__module__ = name.removeprefix("yolov5.")


def build():
    """The network, with weights and batch-norm statistics that differ from channel to channel."""
    architecture = Path(yolov5.models.yolo.__file__).with_name("yolov5n.yaml")
    config = yaml.safe_load(architecture.read_text())
    config.update(nc=len(NAMES), width_multiple=WIDTH)
    model = yolov5.models.yolo.DetectionModel(config)
    model.yaml_file = "yolov5-default.yaml"
    model.nc, model.names = len(NAMES), dict(NAMES)
    model.hyp = {"lr0": 0.01, "lrf": 0.01, "momentum": 0.937, "weight_decay": 0.0005, "label_smoothing": 0.0}
    model.class_weights = torch.ones(len(NAMES))
    generator = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            n = module.num_features
            module.weight.data = 0.75 + 0.5 * torch.rand(n, generator=generator)
            module.bias.data = 0.2 * torch.randn(n, generator=generator)
            module.running_mean = 0.2 * torch.randn(n, generator=generator)
            module.running_var = 0.5 + 1.5 * torch.rand(n, generator=generator)
            module.num_batches_tracked.fill_(300)
    return model.train()


def train(model, steps=2):
    """A few optimizer steps on made-up gradients: fills the momentum buffers and moves the average away."""
    average = ModelEMA(model)
    optimizer = smart_optimizer(model, "SGD", lr=0.01, momentum=0.937, decay=0.0005)
    generator = torch.Generator().manual_seed(6)
    for _ in range(steps):
        for parameter in model.parameters():
            parameter.grad = 0.1 * torch.randn(parameter.shape, generator=generator)
        optimizer.step()
        average.update(model)
    optimizer.zero_grad(set_to_none=True)
    average.update_attr(model, include=["yaml", "nc", "hyp", "names", "stride", "class_weights"])
    return average, optimizer


def checkpoint():
    torch.manual_seed(0)
    model = build()
    average, optimizer = train(model)
    return {
        "epoch": 2,
        "best_fitness": np.array([0.25]),
        "model": copy.deepcopy(model).half(),
        "ema": copy.deepcopy(average.ema).half(),
        "updates": average.updates,
        "optimizer": optimizer.state_dict(),
        "opt": {
            "weights": "",
            "cfg": "yolov5-default.yaml",
            "data": "data/coco128.yaml",
            "epochs": 3,
            "batch_size": 16,
            "imgsz": 640,
            "optimizer": "SGD",
            "device": "",
            "single_cls": False,
            "save_dir": "runs/train/exp",
        },
        "date": "2022-11-22T12:00:00",
    }


def main():
    output = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("default-model.pt"))
    use_repository_names()
    torch.save(checkpoint(), output)
    size = output.stat().st_size
    print(f"{output.name}: {size} bytes")
    if size > LIMIT:
        sys.exit(f"{output.name} is larger than {LIMIT} bytes")


if __name__ == "__main__":
    main()
