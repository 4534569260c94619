"""Small networks for the tests, and the originals' own operations on them."""

import copy
import logging
import os
import sys
import warnings
from collections import OrderedDict

warnings.filterwarnings("ignore")
os.environ.setdefault("YOLOv5_VERBOSE", "false")

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune


def small_state(seed=0):
    """The state dict of a convolution and its batch norm."""
    g = torch.Generator().manual_seed(seed)
    return OrderedDict(
        [
            ("conv.weight", torch.randn(4, 3, 3, 3, generator=g)),
            ("conv.bias", torch.randn(4, generator=g)),
            ("bn.weight", torch.rand(4, generator=g) + 0.5),
            ("bn.bias", torch.randn(4, generator=g)),
            ("bn.running_mean", torch.randn(4, generator=g)),
            ("bn.running_var", torch.rand(4, generator=g) + 0.5),
            ("bn.num_batches_tracked", torch.tensor(17)),
        ]
    )


def lively(module, seed=0):
    """Gives every batch norm statistics, weights and biases that differ from channel to channel."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for m in module.modules():
            if not isinstance(m, nn.modules.batchnorm._BatchNorm):
                continue
            n = m.num_features
            if m.running_mean is not None:
                m.running_mean.copy_(0.3 * torch.randn(n, generator=generator))
                m.running_var.copy_(0.5 + 1.5 * torch.rand(n, generator=generator))
                m.num_batches_tracked.fill_(17)
            if m.weight is not None:
                m.weight.copy_(0.6 + 0.8 * torch.rand(n, generator=generator))
                m.bias.copy_(0.3 * torch.randn(n, generator=generator))
    return module


def folded(conv, bn):
    """The fused weight and bias, in double: W' = s W, b' = (b - mean) s + beta, s = gamma / sqrt(var + eps)."""
    with torch.no_grad():
        weight = conv.weight.double()
        out = bn.num_features
        gamma = torch.ones(out).double() if bn.weight is None else bn.weight.double()
        beta = torch.zeros(out).double() if bn.bias is None else bn.bias.double()
        bias = torch.zeros(out).double() if conv.bias is None else conv.bias.double()
        s = gamma / torch.sqrt(bn.running_var.double() + bn.eps)
        tail = [1] * (weight.dim() - 2)
        if getattr(conv, "transposed", False):
            per_group = out // conv.groups
            grouped = weight.view(conv.groups, -1, *weight.shape[1:])
            weight = (grouped * s.view(conv.groups, 1, per_group, *tail)).view_as(weight)
        else:
            weight = weight * s.view(-1, 1, *tail)
        return weight, (bias - bn.running_mean.double()) * s + beta


def fused_pairs(module, pairs):
    """{name: tensor} of every fused weight and bias, as float32."""
    result = {}
    for conv, bn in pairs:
        weight, bias = folded(module.get_submodule(conv), module.get_submodule(bn))
        result[f"{conv}.weight"] = weight.float()
        result[f"{conv}.bias"] = bias.float()
    return result


def pruned(module, amount):
    """A copy whose Conv2d weights torch.nn.utils.prune has pruned for good."""
    module = copy.deepcopy(module)
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            torch_prune.l1_unstructured(m, "weight", amount=amount)
            torch_prune.remove(m, "weight")
    return module


def sparsity(module):
    parameters = list(module.parameters())
    return sum(int((p == 0).sum()) for p in parameters) / sum(p.numel() for p in parameters)


# --- nets -------------------------------------------------------------------------------------------------------


def conv_bn_small():
    """Six pairs in one Sequential: groups, dilation, no bias, affine=False, another eps, transposed, linear."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8, eps=1e-3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 4, 1, padding_mode="reflect"),
        nn.BatchNorm2d(4, affine=False),
        nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
        nn.BatchNorm1d(5),
    )
    return lively(net)


CONV_BN_SMALL_PAIRS = [("0", "1"), ("3", "4"), ("6", "7"), ("8", "9"), ("13", "14")]


class TwiceUsed(nn.Sequential):
    """A Sequential that holds one conv twice."""

    def __init__(self):
        conv = nn.Conv2d(4, 4, 1)
        super().__init__(conv, nn.BatchNorm2d(4), conv, nn.BatchNorm2d(4))


def traps():
    """name -> a Sequential in which nothing may be fused."""
    torch.manual_seed(2)
    twice = nn.Conv2d(4, 4, 1)
    one, other = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
    other.weight = one.weight
    bn = nn.BatchNorm2d(4)
    result = {
        "activation_between": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        "pool_between": nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4)),
        "pad_between": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ZeroPad2d(1), nn.BatchNorm2d(4)),
        "bn_first": nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
        "no_statistics": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        "conv_twice": nn.Sequential(twice, nn.BatchNorm2d(4), twice, nn.BatchNorm2d(4)),
        "weight_twice": nn.Sequential(one, nn.BatchNorm2d(4), nn.ReLU(), other, nn.BatchNorm2d(4)),
        "bn_twice_after_relu": nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), bn, nn.ReLU(), bn),
        "channels_differ": nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(4)),
    }
    for net in result.values():
        lively(net)
    return result


# --- YOLOv5 -----------------------------------------------------------------------------------------------------

YOLOV5_MODULES = ("models", "models.common", "models.experimental", "models.yolo")
TINY_YOLOV5 = {
    "nc": 2,
    "depth_multiple": 1.0,
    "width_multiple": 1.0,
    "ch": 3,
    "anchors": [[10, 13, 16, 30]],
    "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "C3", [8]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]]],
    "head": [[[-1], 1, "Detect", ["nc", "anchors"]]],
}


def import_yolov5():
    """The yolov5 package, quiet, and reachable under the names of YOLOv5's own repository too."""
    import yolov5.models.common
    import yolov5.models.experimental
    import yolov5.models.yolo

    for name in YOLOV5_MODULES:
        sys.modules.setdefault(name, sys.modules[f"yolov5.{name}"])
    logging.getLogger("yolov5").setLevel(logging.ERROR)
    return yolov5


class RepositoryNames:
    """While entered, the package's classes are pickled as `models.common.Conv` and the like."""

    def __enter__(self):
        import_yolov5()
        self.changed = []
        for name in YOLOV5_MODULES:
            for value in vars(sys.modules[name]).values():
                if isinstance(value, type) and value.__module__ == f"yolov5.{name}":
                    value.__module__ = name
                    self.changed.append((value, f"yolov5.{name}"))

    def __exit__(self, *_):
        for value, name in self.changed:
            value.__module__ = name


def conv_bn_pairs(module):
    """The pairs YOLO's own fuse() takes: `conv` and `bn` of every Conv-like block."""
    return [
        (f"{name}.conv".lstrip("."), f"{name}.bn".lstrip("."))
        for name, m in module.named_modules()
        if hasattr(m, "forward_fuse") and hasattr(m, "bn") and hasattr(m, "conv")
    ]


def yolov5_tiny(seed=3):
    """A DetectionModel of one strided Conv, one C3 and a Detect on one level."""
    yolo = import_yolov5().models.yolo
    torch.manual_seed(seed)
    model = yolo.DetectionModel(copy.deepcopy(TINY_YOLOV5))
    model.names = {0: "cat", 1: "dog"}
    return lively(model, seed).eval()


def yolov5_blocks():
    """A Sequential of a C3 and a depthwise conv of YOLOv5."""
    common = import_yolov5().models.common
    torch.manual_seed(4)
    net = nn.Sequential(common.C3(4, 8, 1), common.DWConv(8, 8, 3, d=2), common.Conv(8, 4, act=False))
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eps = 1e-3
    return lively(net, 4).eval()


@torch.no_grad()
def yolov5_fused(module):
    """As YOLOv5's own fuse() leaves a copy of the module (without gradients)."""
    torch_utils = import_yolov5().utils.torch_utils
    module = copy.deepcopy(module)
    for m in module.modules():
        if hasattr(m, "forward_fuse") and hasattr(m, "bn"):
            m.conv = torch_utils.fuse_conv_and_bn(m.conv, m.bn).requires_grad_(False)
            delattr(m, "bn")
            m.forward = m.forward_fuse
    return module
