"""torchvision's detectors: what their heads give, what it costs, and the detections of the fused model."""

import copy

import detection_nets
import pytest
import torch
from detection_nets import MODELS, Heads
from flops_judges import hollow, judged, operations, ultralytics_thop
from helpers import report, tensors_in
from output_judges import assert_same, interpreted
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

SIZES = {"ssd": (300, 300), "ssdlite": (96, 128)}
NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
SLOW = ("ssd", "keypointrcnn", "fasterrcnn_mobilenet")
every_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in MODELS]
)


def size(name):
    return SIZES.get(name, (64, 96))


@every_model
def test_outputs(name, tmp_path):
    model = detection_nets.build(name)
    x = torch.rand(1, 3, *size(name))
    actual = interpreted(model, x, tmp_path)
    with torch.no_grad():
        expected = tensors_in(Heads(model)(x))
    assert_same(expected, actual)


@pytest.mark.parametrize("name", MODELS)
def test_operations(name, tmp_path):
    """As the tools count backbone and heads; what is left out is named."""
    model = detection_nets.build(name)
    torch.save(hollow(copy.deepcopy(model)), tmp_path / "in.pt")
    torch.save(hollow(Heads(copy.deepcopy(model))), tmp_path / "heads.pt")
    answer = ultralytics_thop.ask(str(tmp_path / "heads.pt"), size(name), 3)
    expected = judged(Heads(model).to("meta"), size(name))
    result = report("info", tmp_path / "in.pt", "--image-size", "x".join(map(str, size(name))))
    assert result["gflops"], result.get("gflopsReason")
    counts = {convention: operations(figure) for convention, figure in result["gflops"].items()}
    assert counts["macs"] == expected.macs
    assert counts["thop"] == 2 * expected.thop
    assert counts["ultralytics"] == 2 * answer()
    left = {part["path"] for part in result["notCounted"]}
    assert left == {"transform"} | ({"roi_heads"} if hasattr(model, "roi_heads") else set())


@every_model
def test_fuse(name, tmp_path):
    """Every norm is folded, in what runs for each box too; torchvision's own code detects the same."""
    model = detection_nets.build(name)
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    norms = [name for name, module in model.named_modules() if isinstance(module, NORMS)]
    assert sorted(pair["bn"] for pair in result["fused"]) == sorted(norms) and not result["refused"]
    fused = torch.load(tmp_path / "out.pt", weights_only=False)
    assert not any(isinstance(module, NORMS) for module in fused.modules())
    pictures = [torch.rand(3, *size(name))]
    with torch.no_grad():
        for a, b in zip(tensors_in(Heads(model)(pictures[0][None])), tensors_in(Heads(fused)(pictures[0][None]))):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
        for detector in (model, fused):
            detector.score_thresh = getattr(detector, "score_thresh", 0) and 0.01
        before, after = model(pictures), fused(pictures)
    for a, b in zip(before, after):
        assert a.keys() == b.keys()
        assert_same_detections(a, b)


def assert_same_detections(a, b):
    """The same boxes with the same scores, but for those whose scores are alike: of them, rounding chooses."""
    apart = (a["scores"][:, None] - a["scores"][None]).abs() > 2e-3 * a["scores"]
    apart.fill_diagonal_(True)
    told = apart.all(1)
    same = torch.isclose(a["scores"][:, None], b["scores"][None], rtol=1e-3, atol=1e-4)
    same &= torch.isclose(a["boxes"][:, None], b["boxes"][None], rtol=1e-3, atol=2e-2).all(2)
    # One of two boxes that overlap by a hair more or less than is allowed.
    assert (told & ~same.any(1)).sum() <= len(told) // 10, (a["scores"], b["scores"])
