"""YOLOv9's own repository, as a package holds it: operations, outputs, training, what is fused and merged, of its blocks and heads."""

import copy

import nets
import pytest
import torch
from helpers import assert_same_outputs, check_fused_file, load, outputs, report
from originals import YOLOV9, ultralytics_thop
from output_judges import check_outputs, check_training
from torch import nn
from yolo_judges import check_flops


@pytest.fixture(autouse=True, scope="module")
def repository():
    with YOLOV9:
        yield


def elan(c):
    return ["RepNCSPELAN4", [c, c // 2, c // 4, 1]]


def description(head, *arguments, down="ADown", groups=1):
    """Three levels, P3 to P5; a second group of levels comes from a second backbone that is fed by the first."""
    first = [
        [-1, 1, "Silence", []], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, *elan(32)],
        [-1, 1, down, [32]], [-1, 1, *elan(32)], [-1, 1, down, [32]], [-1, 1, *elan(64)], [-1, 1, down, [64]],
        [-1, 1, "SPPELAN", [64, 32]],
    ]  # fmt: skip
    levels = [5, 7, 9]
    if groups > 1:
        first += [
            [5, 1, "CBLinear", [[16]]], [7, 1, "CBLinear", [[16, 32]]], [9, 1, "CBLinear", [[16, 32]]],
            [0, 1, "Conv", [16, 3, 8]], [[10, 11, 12, -1], 1, "CBFuse", [[0, 0, 0]]],
            [-1, 1, "AConv", [32]], [[11, 12, -1], 1, "CBFuse", [[1, 1]]], [-1, 1, "AConv", [32]],
        ]  # fmt: skip
        levels += [14, 16, 17] * (groups - 1)
    return {
        "nc": 4, "depth_multiple": 1.0, "width_multiple": 1.0, "anchors": 3, "backbone": first,
        "head": [[levels, 1, head, ["nc", *arguments]]],
    }  # fmt: skip


MODELS = {
    "gelan": lambda: description("DDetect"),
    "gelan-s": lambda: description("Detect", down="AConv"),
    "yolov9": lambda: description("DualDDetect", groups=2),
    "dual": lambda: description("DualDetect", groups=2),
    "triple": lambda: description("TripleDetect", groups=3),
    "triple-d": lambda: description("TripleDDetect", groups=3),
    "segment": lambda: description("Segment", 8, 16),
    "panoptic": lambda: description("Segment", 8, 16),
}
# Behind them heads pass on what their losses take.
OUTPUTS = {"yolov9": 2, "dual": 2, "triple": 3, "segment": 2, "panoptic": 3}


def build(name):
    import models.yolo

    torch.manual_seed(4)
    make = models.yolo.SegmentationModel if name in ("segment", "panoptic") else models.yolo.DetectionModel
    model = make(MODELS[name]())
    if name == "panoptic":  # which the package cannot read out of a description
        old, head = model.model[-1], models.yolo.Panoptic(4, 5, 8, 16, (32, 64, 64))
        head.i, head.f, head.stride = old.i, old.f, old.stride
        model.model[-1] = head
    return nets.lively(model, 4).eval()


def blocks():
    import models.common as c

    return nn.Sequential(
        c.Conv(3, 8, 3, 2, act=nn.ReLU()), c.RBottleneckBase(8, 8), c.RepNRBottleneckBase(8, 8), c.Res(8, 8), c.RepNRes(8, 8, g=2),
        c.BottleneckCSP(8, 8), c.CSP(8, 8, 2), c.CSPBase(8, 8, shortcut=False), c.RepConvN(8, 8, act=False), c.SPPF(8, 8),
        c.ConvTranspose(8, 8), c.ConvTranspose(8, 8, bn=False), c.DWConv(8, 16, 3), c.ASPP(16, 4), c.ReOrg(),
    )  # fmt: skip


def apart(tensors):
    """Scores beside boxes, whose pixels are so much larger."""
    return [part for t in tensors for part in ((t[:, :4], t[:, 4:]) if t.dim() == 3 else (t,))]


@pytest.mark.parametrize("name", MODELS)
def test_outputs(name, tmp_path):
    model, x = build(name), torch.rand(2, 3, 64, 96)
    # With this flag heads give what they find alone.
    model.model[-1].export = name in ("segment", "panoptic")
    check_outputs(model, x, tmp_path, count=OUTPUTS.get(name, 1), arrange=apart)


@pytest.mark.parametrize("name", ["gelan-s", "yolov9", "triple-d", "panoptic"])
def test_operations(name, tmp_path):
    check_flops(build(name), (64, 96), tmp_path / "in.pt", own=False, device="cpu", judge=ultralytics_thop)


@pytest.mark.parametrize("name", ["gelan", "triple", "segment", "panoptic"])
def test_training(name, tmp_path):
    check_training(build(name), torch.rand(2, 3, 64, 64), tmp_path)


def test_blocks(tmp_path):
    torch.manual_seed(5)
    model = nets.lively(blocks(), 5).eval()
    check_flops(copy.deepcopy(model), (32, 48), tmp_path / "in.pt", own=False, judge=ultralytics_thop)
    check_outputs(model, torch.rand(2, 3, 32, 48), tmp_path)
    check_training(model, torch.rand(2, 3, 32, 48), tmp_path)


def test_fuse(tmp_path):
    """As the repository's own fuse() leaves it."""
    model = build("yolov9")
    torch.save(model, tmp_path / "in.pt")
    inside = {m for block in model.modules() if type(block).__name__ == "RepConvN" for m in block.modules()}
    pairs = {(f"{n}.conv", f"{n}.bn") for n, m in model.named_modules() if type(m).__name__ == "Conv" and m not in inside}
    check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 64, 64), must=pairs, may=pairs)


def test_reparameterize(tmp_path):
    """All norms go; the merged kernels are those of its own fuse_convs()."""
    model = build("gelan")
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
    merged = load(tmp_path / "out.pt")
    x = torch.rand(1, 3, 64, 64)
    assert_same_outputs(outputs(model, x)[:1], outputs(merged, x)[:1])
    blocks = [n for n, m in model.named_modules() if type(m).__name__ == "RepConvN"]
    assert result["reparameterized"]["merged"] == blocks
    for name in blocks:
        own = copy.deepcopy(model.get_submodule(name))
        own.fuse_convs()
        torch.testing.assert_close(merged.get_submodule(name).conv.weight, own.conv.weight, rtol=2e-6, atol=1e-6)
        torch.testing.assert_close(merged.get_submodule(name).conv.bias, own.conv.bias, rtol=2e-6, atol=1e-6)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in merged.modules())
    check_outputs(merged, torch.rand(1, 3, 64, 64), tmp_path, count=1, arrange=apart)
