"""Whole modules of classes that nobody knows: the pairs that a user vouches for."""

import custom_nets
import nets
import pytest
import torch
from helpers import check_fused_file, fails, mutils, report
from torch import nn


class Block(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv_a = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.bn_a = nn.BatchNorm2d(out, eps=1e-2)
        self.conv_b = nn.ConvTranspose2d(out, out, 2, stride=2, groups=2)
        self.bn_b = nn.BatchNorm2d(out, eps=0.5)

    def forward(self, x):
        return torch.tanh(self.bn_b(self.conv_b(self.bn_a(self.conv_a(x)).relu())))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block(3, 4)
        self.second = Block(4, 6)
        self.head = nn.Linear(6, 5)
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x):
        return self.norm(self.head(self.second(self.first(x)).mean((2, 3))))


def saved(model, tmp_path):
    nets.lively(model, 3).eval()
    torch.save(model, tmp_path / "in.pt")
    return tmp_path / "in.pt"


def test_fused_by_name(tmp_path):
    model = Net()
    path = saved(model, tmp_path)
    assert report("fuse", path, "-o", tmp_path / "none.pt")["fused"] == []
    _, result = check_fused_file(
        model, path, torch.randn(2, 3, 8, 8), arguments=("--pair", "*.conv_?=*.bn_?", "--pair", "head=norm"),
        must=[("first.conv_a", "first.bn_a"), ("second.conv_b", "second.bn_b"), ("head", "norm")])
    assert len(result["fused"]) == 5 and result["refused"] == [] and result["isOrderGiven"] is True


def test_what_is_not_named_stays(tmp_path):
    model = Net()
    _, result = check_fused_file(
        model, saved(model, tmp_path), torch.randn(2, 3, 8, 8), arguments=("--pair", "first.conv_a=first.bn_a"),
        may=[("first.conv_a", "first.bn_a")])
    assert {r["bn"] for r in result["refused"]} == {"first.bn_b", "second.bn_a", "second.bn_b", "norm"}
    note = mutils("fuse", tmp_path / "in.pt", "-o", tmp_path / "b.pt", "--pair", "head=norm").err
    assert note == "mutils: note: that each batch norm takes its convolution's output alone is your word\n"


@pytest.mark.parametrize(
    "pair,reason",
    [("first.conv_a=second.bn_a", "channel counts differ"), ("head=first.bn_a", "channel counts differ"), ("head=nothing", "names no batch norm"),
     ("nothing=norm", "names no convolution"), ("first.bn_a=first.bn_b", "names no convolution"), ("head", "is no pair")])
def test_pairs_that_do_not_fit(pair, reason, tmp_path):
    path = saved(Net(), tmp_path)
    assert reason in fails("fuse", path, "-o", tmp_path / "out.pt", "--pair", pair).err
    assert not (tmp_path / "out.pt").exists()


def test_what_is_shared_or_hooked(tmp_path):
    model = Net()
    model.second.conv_b = model.first.conv_b = nn.ConvTranspose2d(4, 4, 2, stride=2)
    model.second.conv_a, model.second.bn_a, model.second.bn_b = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    path = saved(model, tmp_path)
    assert "used in 2 places" in fails("fuse", path, "-o", tmp_path / "out.pt", "--pair", "first.conv_b=first.bn_b").err
    model = Net()
    model.head.register_forward_hook(custom_nets.double)
    assert "has hooks" in fails("fuse", saved(model, tmp_path), "-o", tmp_path / "out.pt", "--pair", "head=norm").err
    assert "know their eps" in fails("fuse", path, "-o", tmp_path / "out.pt", "--pair", "head=norm", "--eps", "1").err
