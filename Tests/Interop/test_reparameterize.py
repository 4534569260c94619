"""Parallel branches merged into one convolution: the outputs stay, and the tensors are those of the originals' own methods."""

import copy

import nets
import pytest
import rep_nets
import timm
import torch
import ultralytics
from helpers import assert_same_outputs, load, outputs, report
from timm.utils.model import reparameterize_model
from torch import nn
from ultralytics.nn.modules.block import RepVGGDW
from ultralytics.nn.modules.conv import Conv2, RepConv
from ultralytics.utils.torch_utils import fuse_conv_and_bn


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
    assert [r["name"] for r in result["reparameterized"]["refused"]] == ["0", "1", "2", "3"]
    before, after = model.state_dict(), load(tmp_path / "out.pt").state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items()) and len(before) == len(after)


@pytest.mark.parametrize("act", [True, nn.ReLU(), False])
@pytest.mark.parametrize("inputs, channels, stride, groups", [(8, 8, 1, 1), (8, 12, 2, 4)])
def test_conv2(inputs, channels, stride, groups, act, tmp_path):
    """The tensors of Ultralytics' own fuse(), and its class runs them."""
    torch.manual_seed(6)
    model = nn.Sequential(Conv2(inputs, channels, 3, stride, g=groups, act=act))
    loaded, result = merged(model, tmp_path, torch.randn(2, inputs, 11, 9))
    assert result["reparameterized"] == {"merged": ["0"], "refused": []} and result["refused"] == []
    assert loaded[0].forward == loaded[0].forward_fuse and not hasattr(loaded[0], "cv2") and not hasattr(loaded[0], "bn")
    own = copy.deepcopy(model[0])
    own.fuse_convs()
    own.conv = fuse_conv_and_bn(own.conv, own.bn)
    for key, value in own.conv.state_dict().items():
        torch.testing.assert_close(loaded[0].conv.state_dict()[key], value, rtol=2e-6, atol=2e-6 * value.abs().max().item())


def test_fastvit(tmp_path):
    """The tensors of timm's own reparameterize_model, and its classes run them."""
    torch.manual_seed(4)
    model = timm.create_model("fastvit_sa12")
    loaded, result = merged(model, tmp_path, torch.randn(1, 3, 64, 64))
    assert result["reparameterized"]["refused"] == []
    kinds = {type(model.get_submodule(n)).__name__ for n in result["reparameterized"]["merged"]}
    assert kinds == {"MobileOneBlock", "RepMixer", "RepConditionalPosEnc", "ReparamLargeKernelConv"}
    theirs = reparameterize_model(model).state_dict()
    ours = loaded.state_dict()
    for key in (k for k in theirs if "reparam_conv" in k):
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-5, atol=1e-5 * theirs[key].abs().max().item())


@pytest.mark.parametrize("name", ["repvit_m0_9", "repvit_m1"])
def test_repvit(name, tmp_path):
    """A convolution takes the place of the block, as its own fuse() gives one."""
    torch.manual_seed(4)
    model = timm.create_model(name)
    loaded, result = merged(model, tmp_path, torch.randn(1, 3, 64, 64))
    blocks = [n for n, m in model.named_modules() if type(m).__name__ == "RepVggDw"]
    assert result["reparameterized"] == {"merged": blocks, "refused": []} and blocks
    for block in blocks:
        own, conv = model.get_submodule(block).fuse(), loaded.get_submodule(block)
        assert type(conv) is nn.Conv2d and conv.groups == own.groups and conv.padding == own.padding
        for key, value in own.state_dict().items():
            torch.testing.assert_close(conv.state_dict()[key], value, rtol=1e-5, atol=1e-5 * value.abs().max().item())


def test_other_blocks_are_named(tmp_path):
    """What is not merged is listed, and the rest still computes the same."""
    torch.manual_seed(4)
    model = timm.create_model("repghostnet_050")
    _, result = merged(model, tmp_path, torch.randn(1, 3, 64, 64))
    blocks = [n for n, m in model.named_modules() if type(m).__name__ == "RepGhostModule"]
    assert [entry["name"] for entry in result["reparameterized"]["refused"]] == blocks
    assert all("how a timm.models.repghost.RepGhostModule adds its branches is not known" == e["reason"] for e in result["reparameterized"]["refused"])
