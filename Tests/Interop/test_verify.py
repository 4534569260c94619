"""--verify and diff --outputs: original and result are run, and torch says how far they are apart."""

import json

import pytest
import timm
import torch
import torchvision
from helpers import fails, mutils, report, succeeds
from safetensors.torch import save_file
from test_run import lively
from torch import nn


@torch.no_grad()
def apart(first, second, x):
    """The largest difference, and the same in units of the first's largest value."""
    a, b = first(x), second(x)
    difference = (a - b).abs().max().item()
    return difference, difference / a.abs().max().item()


def given(folder, model, x):
    torch.save(model, folder / "in.pt")
    save_file({"x": x}, folder / "x.safetensors")
    return folder / "in.pt", folder / "x.safetensors"


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "densenet121"])
def test_fuse(name, tmp_path):
    model, x = lively(torchvision.models.get_model(name)), torch.rand(2, 3, 65, 64)
    file, inputs = given(tmp_path, model, x)
    verified = report("fuse", file, "--verify", "--input", inputs, "-o", tmp_path / "out.pt")["verified"]
    assert verified["holds"] and verified["tolerance"] == 1e-4 and verified["maxRelative"] < 1e-4
    assert apart(model, torch.load(tmp_path / "out.pt", weights_only=False).eval(), x)[1] < 1e-4
    # The original runs with its batch norms: its arithmetic is another.
    assert verified["maxAbs"] > 0
    line = succeeds("fuse", file, "--verify", "-o", tmp_path / "out.pt", "--force").out
    assert "Verified: the same within 0.0001: at most " in line


def test_state_dicts(tmp_path):
    model = lively(torchvision.models.resnet18())
    save_file(model.state_dict(), tmp_path / "in.safetensors")
    for command in (("fuse",), ("prune", "--amount", "0"), ("convert",)):
        result = report(command[0], tmp_path / "in.safetensors", *command[1:], "-o", tmp_path / "out.safetensors", "--verify", "--force")  # fmt: skip
        assert result["verified"]["holds"]
    torch.save({"a.weight": torch.rand(3, 3)}, tmp_path / "bare.pt")
    assert "no known architecture" in fails("prune", tmp_path / "bare.pt", "--verify").err


def test_prune_is_measured_and_judged(tmp_path):
    model, x = lively(torchvision.models.resnet18()), torch.rand(1, 3, 64, 64)
    file, inputs = given(tmp_path, model, x)
    succeeds("prune", file, "--amount", "0.3", "-o", tmp_path / "pruned.pt")
    difference, relative = apart(model, torch.load(tmp_path / "pruned.pt", weights_only=False).eval(), x)
    result = mutils("prune", file, "--amount", "0.3", "--verify", "--input", inputs, "-o", tmp_path / "out.pt", "--json")
    assert result.code == 1 and result.err == "" and not (tmp_path / "out.pt").exists()
    verified = json.loads(result.out)["verified"]
    assert not verified["holds"]
    assert verified["maxAbs"] == pytest.approx(difference, rel=1e-3)
    assert verified["maxRelative"] == pytest.approx(relative, rel=1e-3)
    options = ("--amount", "0.3", "--verify", "--input", inputs, "-o", tmp_path / "out.pt", "--tolerance")
    line = mutils("prune", file, *options, relative * 0.9)
    assert line.code == 1 and line.out.startswith("Not verified, nothing is saved: ")
    assert report("prune", file, *options, relative * 1.1)["verified"]["holds"] and (tmp_path / "out.pt").exists()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrower_numbers(dtype, tmp_path):
    model, x = lively(torchvision.models.resnet18()), torch.rand(1, 3, 64, 64)
    file, inputs = given(tmp_path, model, x)
    narrow = getattr(torch, dtype)
    rounded = torchvision.models.resnet18().eval()
    rounded.load_state_dict({k: v.to(narrow).float() if v.is_floating_point() else v for k, v in model.state_dict().items()})  # fmt: skip
    difference, relative = apart(model, rounded, x)
    for command in ("strip", "convert"):
        verified = report(command, file, "--dtype", dtype, "-o", tmp_path / "out.pt", "--verify", "--input", inputs, "--tolerance", 1, "--force")["verified"]  # fmt: skip
        assert verified["maxAbs"] == pytest.approx(difference, rel=0.02)
        assert verified["maxRelative"] == pytest.approx(relative, rel=0.02)
        code = mutils(command, file, "--dtype", dtype, "-o", tmp_path / "out.pt", "--verify", "--input", inputs, "--force").code  # fmt: skip
        assert code == (relative > 2e-2)


def test_branches(tmp_path):
    model, x = lively(timm.create_model("repvgg_a0")), torch.rand(1, 3, 64, 64)
    file, inputs = given(tmp_path, model, x)
    assert report("fuse", file, "--reparameterize", "--verify", "--input", inputs, "-o", tmp_path / "out.pt")["verified"]["holds"]


def test_diff_outputs(tmp_path):
    first, x = lively(torchvision.models.resnet18()), torch.rand(1, 3, 64, 64)
    file, inputs = given(tmp_path, first, x)
    second = torchvision.models.resnet18().eval()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        second.fc.bias[7] += 0.5
    torch.save(second, tmp_path / "second.pt")
    result = mutils("diff", file, tmp_path / "second.pt", "--outputs", "--input", inputs, "--json")
    diff = json.loads(result.out)
    assert result.code == 1 and not diff["equal"] and diff["maxAbs"] == pytest.approx(0.5, rel=1e-4)
    assert report("diff", file, tmp_path / "second.pt", "--outputs", "--tolerance", 10)["equal"]
    assert report("diff", file, file, "--outputs")["maxAbs"] == 0
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3)), tmp_path / "other.pt")
    assert "other shapes" in fails("diff", file, tmp_path / "other.pt", "--outputs").err


def test_wrong_usage(tmp_path):
    for arguments in (
        ("fuse", "resnet18", "--tolerance", "1"), ("fuse", "resnet18", "--image-size", "32"),
        ("fuse", "resnet18", "--verify", "--tolerance", "-1"), ("diff", "resnet18", "resnet18", "--image-size", "32"),
    ):  # fmt: skip
        assert mutils(*arguments).code == 64
