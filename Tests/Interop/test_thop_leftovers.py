"""What thop.profile leaves in a model's state dict is no part of it."""

import nets
import pytest
import thop
import torch
import torchvision
from helpers import assert_same_tensors, mutils, report
from torch import nn


def profiled(model, size=64):
    thop.profile(model.eval(), (torch.zeros(1, 3, size, size),), verbose=False)
    return model


def test_known_architecture(tmp_path):
    torch.manual_seed(2)
    model = nets.lively(torchvision.models.resnet18(), 2)
    torch.save(model.eval().state_dict(), tmp_path / "plain.pth")
    state = profiled(model).state_dict()
    assert any(name.endswith("total_ops") for name in state)
    torch.save(state, tmp_path / "in.pth")
    for key in ("parameters", "gflops", "layers"):
        assert report("info", tmp_path / "in.pth")[key] == report("info", tmp_path / "plain.pth")[key]
    for name in ("in", "plain"):
        assert len(report("fuse", tmp_path / f"{name}.pth", "-o", tmp_path / f"{name}-out.pth")["fused"]) == 20
    assert_same_tensors(*(torch.load(tmp_path / f"{n}-out.pth", weights_only=True) for n in ("in", "plain")))


@pytest.mark.parametrize("shape", [[1], []])
def test_counts(shape, tmp_path):
    """As for the whole module, where they are buffers; parameters that are called so count."""
    model = profiled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), 9)
    state = {k: v.reshape(shape) if "total" in k else v for k, v in model.state_dict().items()}
    torch.save(state, tmp_path / "in.pth")
    info = report("info", tmp_path / "in.pth")
    assert info["parameters"] == sum(p.numel() for p in model.parameters())
    assert info["buffers"] == sum(b.numel() for b in model.buffers())
    result = report("fuse", tmp_path / "in.pth", "--pair", "0=1", "--eps", "1e-5", "-o", tmp_path / "out.pth")
    assert result["parametersBefore"] == info["parameters"]
    assert not any(name.startswith("1.") for name in torch.load(tmp_path / "out.pth", weights_only=True))
    torch.save({"a.total_ops": torch.ones(3, dtype=torch.float64), "total_params": torch.ones(1)}, tmp_path / "own.pth")
    assert report("info", tmp_path / "own.pth")["parameters"] == 4
    assert mutils("sparsity", tmp_path / "own.pth").code == 0
