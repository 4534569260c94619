"""Measures the peers in memory, as Swift/Benchmark.swift measures ours.

    python memory_peers.py THREADS models REPETITIONS MODEL.pt...
    python memory_peers.py THREADS building REPETITIONS

Each MODEL is a whole module. Every repetition works on a fresh copy, made outside of the measured time, without gradients (which
YOLOv5's own fuse would record). `building` is making a ResNet-50, and thop's count of a YOLOv5x. Prints JSON.
"""

import copy
import json
import sys
import time
from pathlib import Path

import thop
import torch
import torchvision
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.fusion import fuse_conv_bn_eval

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Fixtures"))
import nets  # noqa: E402

yolov5 = nets.import_yolov5()
from yolov5.models import yolo  # noqa: E402
from yolov5.models.common import Conv  # noqa: E402
from yolov5.utils.torch_utils import ModelEMA, fuse_conv_and_bn, sparsity  # noqa: E402


def prune_convolutions(model):
    """YOLOv5's prune without its last line, which counts the zeros."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            prune.l1_unstructured(m, name="weight", amount=0.3)
            prune.remove(m, "weight")


def fusable(model):
    """(parent, conv, bn) of all pairs: ResNet's by its forward, those in a Sequential, YOLOv5's blocks."""
    found = []
    for m in model.modules():
        if isinstance(m, nn.Sequential):
            names = list(m._modules)
            pairs = [(a, b) for a, b in zip(names, names[1:])]
        else:
            pairs = [("conv", "bn")] if isinstance(m, Conv) else [(f"conv{i}", f"bn{i}") for i in (1, 2, 3)]
        for a, b in pairs:
            if isinstance(getattr(m, a, None), nn.Conv2d) and isinstance(getattr(m, b, None), nn.BatchNorm2d):
                found.append((m, a, b))
    return found


def fuse(model, function):
    """As YOLOv5's fuse: its blocks lose the norm and change their forward; elsewhere an Identity takes the norm's place."""
    pairs = fusable(model)
    for parent, conv, bn in pairs:
        setattr(parent, conv, function(getattr(parent, conv), getattr(parent, bn)))
        if isinstance(parent, Conv):
            delattr(parent, bn)
            parent.forward = parent.forward_fuse
        else:
            setattr(parent, bn, nn.Identity())
    return len(pairs)


def builds(repetitions):
    """The seconds that making a ResNet-50 takes."""
    seconds = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        torch.manual_seed(0)
        torchvision.models.resnet50()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def flops(repetitions):
    """The seconds that thop takes for YOLOv5x at 640 pixels, and what it counts."""
    model = yolo.DetectionModel(Path(yolo.__file__).with_name("yolov5x.yaml")).eval()
    image = torch.zeros(1, 3, 640, 640)
    seconds = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        products, _ = thop.profile(model, inputs=(image,), verbose=False)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "gigaflops": 2 * products / 1e9}


def times(repetitions, paths):
    """The seconds of each operation on each model."""
    models = []
    for path in paths:
        model = torch.load(path, weights_only=False).eval()
        result = {"file": path, "operations": {}}
        average = ModelEMA(model)
        averages, weights = (
            [v for v in m.state_dict().values() if v.is_floating_point()] for m in (average.ema, copy.deepcopy(model))
        )

        def measure(name, function, model, counted):
            start = time.perf_counter()
            value = function(model)
            seconds = time.perf_counter() - start
            if counted:
                result["operations"].setdefault(name, []).append(seconds)
            return value

        for repetition in range(repetitions + 1):
            counted = repetition > 0  # the first warms up
            pruned = copy.deepcopy(model)
            measure("prune", prune_convolutions, pruned, counted)
            result["sparsity"] = float(measure("sparsity", sparsity, pruned, counted))
            del pruned
            result["fusedPairs"] = measure(
                "fuse YOLOv5", lambda m: fuse(m, fuse_conv_and_bn), copy.deepcopy(model), counted
            )
            measure("average YOLOv5", average.update, copy.deepcopy(model), counted)
            measure("average PyTorch", lambda m: torch._foreach_lerp_(averages, weights, weight=0.1), None, counted)
            measure("fuse PyTorch", lambda m: fuse(m, fuse_conv_bn_eval), copy.deepcopy(model), counted)
        models.append(result)
    return models


def main(threads, what, repetitions, *paths):
    torch.set_num_threads(int(threads))
    repetitions = int(repetitions)
    with torch.no_grad():
        if what == "models":
            print(json.dumps(times(repetitions, paths)))
        else:
            print(json.dumps({"builds": builds(repetitions), "flops": flops(repetitions)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
