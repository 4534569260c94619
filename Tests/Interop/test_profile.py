"""profile: the original's columns, figures that other tools give, times that add up."""

import pytest
import torch
import torchvision
from helpers import fails, mutils, report, succeeds
from torch import nn


def test_table():
    lines = succeeds("profile", "resnet18", "resnet34", "--image-size", "64", "--runs", 2).out.splitlines()
    # torch_utils' header, and a line for each model.
    assert lines[0].startswith(f"{'Params':>12s}{'GFLOPs':>12s}{'GPU_mem (GB)':>14s}{'forward (ms)':>14s}{'backward (ms)':>14s}{'input':>24s}{'output':>24s}")  # fmt: skip
    assert lines[1].split()[0] == "11689512" and lines[2].split()[0] == "21797672" and len(lines) == 3
    assert "(1, 3, 64, 64)" in lines[1] and "(1, 1000)" in lines[1] and lines[1].endswith(("thread", "threads"))


def test_one_model_is_taken_apart():
    output = succeeds("profile", "yolov5n", "--image-size", "64", "--runs", 2, "--threads", 1, "--modules").out
    assert "operation (implementation)" in output and "convolution (" in output
    assert "  model.9.cv1.conv" in output and "  model.24" in output


def test_figures():
    model = torchvision.models.resnet18()
    result = report("profile", "resnet18", "--image-size", "64", "96x32", "--batch-size", 1, 3, "--threads", 1, 2, "--runs", 3, "--modules")  # fmt: skip
    assert len(result["models"]) == 8
    for row in result["models"]:
        assert row["parameters"] == sum(p.numel() for p in model.parameters())
        times = row["forwardMs"]
        assert 0 < times["min"] <= times["median"] <= times["max"]
        assert row["backwardMs"] is None and row["dtype"] == "float32" and row["peakBytes"] > 4 * row["parameters"]
        # Steps take together about as long as the whole; a busy machine makes that rough.
        total = sum(step["ms"] for step in row["operations"])
        assert 0.2 * times["min"] <= total <= 5 * times["max"]
        assert sum(m["steps"] for m in row["modules"] if m["name"] == "") == len(row["operations"])
    info = report("info", "resnet18", "--image-size", "64")
    assert result["models"][0]["gflops"] == info["gflops"]["thop"]
    inputs = {tuple(row["input"][0]) for row in result["models"]}
    assert inputs == {(1, 3, 64, 64), (3, 3, 64, 64), (1, 3, 96, 32), (3, 3, 96, 32)}


def test_no_slow_implementation():
    """None of oneDNN's references, and nothing that the interpreter computes."""
    for name in ("yolov5n", "resnet50", "mobilenet_v3_large", "efficientnet_b0", "swin_t", "vit_b_16", "convnext_tiny", "densenet121", "regnet_y_400mf"):  # fmt: skip
        for row in report("profile", name, "--image-size", "224", "--runs", 1)["models"]:
            slow = {step["implementation"] for step in row["operations"] if "ref" in step["implementation"]}
            assert not slow, (name, slow)


def test_other_inputs(tmp_path):
    torch.save(nn.Sequential(nn.Linear(7, 5)), tmp_path / "in.pt")
    row = report("profile", tmp_path / "in.pt", "--shape", "3x7", "--runs", 1)["models"][0]
    assert row["input"] == [[3, 7]] and row["output"] == [[3, 5]] and row["parameters"] == 40


@pytest.mark.parametrize("arguments", [("--runs", 0), ("--threads", 0), ("--batch-size", 0), ("--dtype", "float16"), ("--shape", "1x3", "--batch-size", 2)])
def test_wrong_usage(arguments):
    assert mutils("profile", "resnet18", *arguments).code == 64


def test_refusals(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    fails("profile", tmp_path / "broken.pt", naming=tmp_path / "broken.pt")
    fails("profile", tmp_path / "missing.pt", naming=tmp_path / "missing.pt")
