"""Parallel branches merged into one convolution: the outputs stay, and the tensors are those of the originals' own methods."""

import copy

import nets
import pytest
import rep_nets
import torch
import ultralytics
from helpers import assert_same_outputs, fails, load, outputs, report
from torch import nn
from ultralytics.nn.modules.block import RepVGGDW
from ultralytics.nn.modules.conv import RepConv


def merged(model, tmp_path, x, *arguments):
    nets.lively(model, 5).eval()
    torch.save(model, tmp_path / "in.pt")
    expected = outputs(model, x)
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt", *arguments)
    loaded = load(tmp_path / "out.pt")
    assert_same_outputs(expected, outputs(loaded, x))
    return loaded, result


@pytest.mark.parametrize("block", [rep_nets.RepVGGBlock, rep_nets.RepConv], ids=lambda b: b.__name__)
@pytest.mark.parametrize("inputs, channels, stride, groups", [(8, 8, 1, 1), (8, 8, 1, 4), (8, 12, 2, 2), (6, 6, 1, 6), (3, 5, 1, 1)])
def test_rbr_blocks(block, inputs, channels, stride, groups, tmp_path):
    """RepVGG's, YOLOv6's and YOLOv7's names: with and without identity, strides and groups."""
    model = nn.Sequential(block(inputs, channels, stride, groups), nn.Conv2d(channels, 4, 1), nn.BatchNorm2d(4))
    loaded, result = merged(model, tmp_path, torch.randn(2, inputs, 11, 9))
    assert result["reparameterized"] == {"merged": ["0"], "refused": []}
    assert result["fused"] == [{"conv": "1", "bn": "2"}]
    assert {n for n, _ in loaded[0].named_children()} == {"nonlinearity", "se", "rbr_reparam"} & set(
        dict(model[0].named_children())
    ) | {"rbr_reparam"} | ({"act"} if block is rep_nets.RepConv else set())
    conv = loaded[0].rbr_reparam
    assert type(conv) is nn.Conv2d and conv.bias is not None and conv.groups == groups and conv.stride == (stride, stride)
    assert getattr(loaded[0], "deploy", True) is True
    assert not any(p.requires_grad for p in conv.parameters())
    again = report("fuse", tmp_path / "out.pt", "--reparameterize", "-o", tmp_path / "again.pt")
    assert again["reparameterized"] == {"merged": [], "refused": []} and again["fused"] == []


@pytest.mark.parametrize("name, kind", [("yolov9t", RepConv), ("yolov10n", RepVGGDW)])
def test_ultralytics(name, kind, tmp_path):
    """The tensors of their own fuse(), and their own classes run them."""
    torch.manual_seed(4)
    model = ultralytics.YOLO(f"{name}.yaml", verbose=False).model
    x = torch.randn(1, 3, 64, 64)
    loaded, result = merged(model, tmp_path, x)
    blocks = [n for n, m in model.named_modules() if type(m) is kind]
    assert blocks and result["reparameterized"]["merged"] == blocks
    own = copy.deepcopy(model).fuse(verbose=False)
    theirs, ours = own.state_dict(), loaded.state_dict()
    assert set(theirs) <= set(ours)
    for key, value in theirs.items():
        # Two roundings apart: the originals scale kernels by a quotient that is rounded in another order.
        torch.testing.assert_close(ours[key], value, rtol=2e-6, atol=2e-6 * value.abs().max().item())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in loaded.modules() if m is not loaded)
    assert_same_outputs(outputs(own, x), outputs(loaded.fuse(verbose=False), x))


@pytest.mark.parametrize("half", [False, True])
def test_identity_branch_of_repconv(half, tmp_path):
    model = nn.Sequential(RepConv(8, 8, bn=True), RepConv(8, 4, bn=True))
    if half:
        nets.lively(model, 5).half().eval()
        torch.save(model, tmp_path / "in.pt")
        result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
        assert result["reparameterized"]["merged"] == ["0", "1"]
        loaded = load(tmp_path / "out.pt")
        reference = copy.deepcopy(model).float()
        for block, own in zip(loaded, reference):
            own.fuse_convs()
            assert block.conv.weight.dtype == torch.float16
            # The sum is rounded to float16 once.
            torch.testing.assert_close(block.conv.weight.float(), own.conv.weight, rtol=2**-10, atol=2**-20)
            torch.testing.assert_close(block.conv.bias.float(), own.conv.bias, rtol=2**-10, atol=2**-20)
        return
    loaded, result = merged(model, tmp_path, torch.randn(1, 8, 7, 7))
    assert result["reparameterized"]["merged"] == ["0", "1"]
    assert set(dict(loaded[0].named_children())) == {"act", "conv"}


def test_without_the_flag_branches_stay(tmp_path):
    model = nn.Sequential(rep_nets.RepVGGBlock(4, 4))
    torch.save(model.eval(), tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert result["fused"] == [] and "reparameterized" not in result
    assert all("re-parameterisation" in r["reason"] for r in result["refused"])


def test_what_is_not_understood(tmp_path):
    """Something between the sum and the activation, paddings that do not fit, no running statistics."""
    squeezed, shifted, bare = (rep_nets.RepVGGBlock(4, 4) for _ in range(3))
    squeezed.se = nn.Sigmoid()
    shifted.rbr_1x1.conv.padding = (1, 1)
    bare.rbr_identity = nn.BatchNorm2d(4, track_running_stats=False)
    model = nn.ModuleList([squeezed, shifted, bare, rep_nets.QARepVGGBlock(4, 4)])
    torch.save(model.eval(), tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
    assert result["reparameterized"]["merged"] == [] and result["fused"] == []
    assert [r["name"] for r in result["reparameterized"]["refused"]] == ["0", "1", "2"]
    before, after = model.state_dict(), load(tmp_path / "out.pt").state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items()) and len(before) == len(after)


def test_bare_state_dict(tmp_path):
    torch.save(rep_nets.RepVGGBlock(4, 4).state_dict(), tmp_path / "in.pt")
    fails("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt", naming="bare state dict")
