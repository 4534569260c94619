"""Ultralytics models: fused as their own fuse() fuses them, and their own loader takes the file."""

import copy

import nets
import pytest
import torch
import ultralytics
from helpers import (
    assert_same_outputs,
    check_fused_file,
    load,
    outputs,
    report,
    reported_pairs,
)
from ultralytics.nn import tasks
from ultralytics.nn.modules.block import RepVGGDW
from ultralytics.nn.modules.conv import Conv, Conv2, ConvTranspose, RepConv


def build(name):
    torch.manual_seed(3)
    model = ultralytics.YOLO(f"{name}.yaml", verbose=False).model
    return nets.lively(model, 3).eval()


def conv_pairs(model):
    """The blocks that Ultralytics' fuse() folds one by one, those inside a re-parameterised block left out."""
    inside = {c for m in model.modules() if isinstance(m, (RepConv, RepVGGDW, Conv2)) for c in m.modules()}
    pairs = set()
    for name, m in model.named_modules():
        if m in inside or not isinstance(getattr(m, "bn", None), torch.nn.BatchNorm2d):
            continue
        if isinstance(m, Conv):
            pairs.add((f"{name}.conv", f"{name}.bn"))
        elif isinstance(m, ConvTranspose):
            pairs.add((f"{name}.conv_transpose", f"{name}.bn"))
    return pairs


def checkpoint(model):
    """What Ultralytics' trainer writes."""
    return {
        "epoch": -1,
        "best_fitness": None,
        "model": None,
        "ema": copy.deepcopy(model).half(),
        "updates": 12,
        "optimizer": None,
        "scaler": None,
        "train_args": {"task": model.task, "imgsz": 64},
        "train_metrics": {},
        "date": "2024-01-01T00:00:00",
        "version": ultralytics.__version__,
    }


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolov8n-seg", "yolo11n-cls", "yolov8n-pose"])
def test_fuse(name, tmp_path):
    model = build(name)
    pairs = conv_pairs(model)
    torch.save(model, tmp_path / "in.pt")
    loaded, _ = check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 64, 64), must=pairs, may=pairs)
    theirs = copy.deepcopy(model).fuse(verbose=False)
    ours, expected = loaded.state_dict(), theirs.state_dict()
    assert set(ours) == set(expected)
    for key in expected:
        torch.testing.assert_close(ours[key], expected[key], rtol=1e-5, atol=1e-6)
    assert len(list(loaded.modules())) == len(list(theirs.modules()))
    assert loaded.is_fused()


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolov10n", "yolov9t"])
def test_their_loader_takes_the_fused_file(name, tmp_path):
    """Also when it fuses again, and when it loads weights only; yolov9 and yolov10 hold re-parameterised blocks."""
    model = build(name)
    torch.save(checkpoint(model), tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert result["fused"]
    x = torch.rand(1, 3, 64, 64)
    before, _ = tasks.load_checkpoint(tmp_path / "in.pt", fuse=True)
    for fuse in (False, True):
        after, ckpt = tasks.load_checkpoint(tmp_path / "out.pt", fuse=fuse)
        assert ckpt["train_args"] == {"task": model.task, "imgsz": 64} and ckpt["updates"] == 12
        assert_same_outputs(outputs(before, x)[:1], outputs(after, x)[:1], 2e-2)
    safe, _ = tasks.torch_safe_load(tmp_path / "out.pt", safe_only=True)
    assert_same_outputs(outputs(before, x)[:1], outputs(safe["ema"].float(), x)[:1], 2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov9t", "yolov10n", "yolov6n", "yolov5n"])
def test_output_is_kept(name, tmp_path):
    """Blocks with several branches: whatever is fused, the output is the same."""
    model = build(name)
    torch.save(model, tmp_path / "in.pt")
    check_fused_rep(model, tmp_path)


def check_fused_rep(model, tmp_path):
    x = torch.rand(1, 3, 64, 64)
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert conv_pairs(model) <= reported_pairs(result)
    loaded = load(tmp_path / "out.pt")
    assert_same_outputs(outputs(model, x)[:1], outputs(loaded, x)[:1])


def test_names_yaml_and_stride_are_kept(tmp_path):
    model = build("yolov8n")
    model.names = {i: f"thing {i} é" for i in range(80)}
    model.note = {"unknown": (1, 2.5, None, b"bytes", {"x"}), "nested": [[]]}
    torch.save(checkpoint(model), tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    before, after = load(tmp_path / "in.pt"), load(tmp_path / "out.pt")
    for key in before:
        if key != "ema":
            assert before[key] == after[key]
    a, b = before["ema"], after["ema"]
    for key in ("names", "yaml", "save", "nc", "note", "inplace", "task"):
        if hasattr(a, key):
            assert getattr(a, key) == getattr(b, key), key
    assert torch.equal(a.stride, b.stride)
