"""Transposed convolutions in bare state dicts: proved by their shapes, said by the user, or asked for; never guessed."""

import copy

import nets
import pytest
import torch
from helpers import assert_same_tensors, close, fails, mutils, report
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def saved(conv, tmp_path, name="d.0"):
    torch.manual_seed(3)
    kinds = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    norm = nets.lively(kinds[conv.weight.dim()](conv.out_channels), 3)
    conv.reset_parameters()
    state = {f"{name}.{k}": v for k, v in conv.state_dict().items()} | {f"n.{k}": v for k, v in norm.state_dict().items()}
    torch.save(copy.deepcopy(state), tmp_path / "in.pth")
    return norm


def fused(tmp_path, *arguments, name="d.0"):
    result = report("fuse", tmp_path / "in.pth", "--pair", f"{name}=n", "--eps", "1e-5", "-o", tmp_path / "out.pth", "--force", *arguments)
    return torch.load(tmp_path / "out.pth", weights_only=True), result


def expected(conv, norm):
    """PyTorch's own fusion, per group of a transposed convolution, whose outputs it takes for one group's."""
    weights, biases = [], []
    groups = conv.groups if conv.transposed else 1
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    parts = [t.chunk(groups) for t in (conv.weight, bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)]
    for w, b, mean, var, gamma, beta in zip(*parts):
        w, b = fuse_conv_bn_weights(w, b, mean, var, 1e-5, gamma, beta, transpose=conv.transposed)
        weights.append(w)
        biases.append(b)
    return torch.cat(weights), torch.cat(biases)


def check(state, conv, norm, name="d.0"):
    weight, bias = expected(conv, norm)
    assert set(state) == {f"{name}.weight", f"{name}.bias"}
    assert close(state[f"{name}.weight"], weight) and close(state[f"{name}.bias"], bias)


TRANSPOSED = [
    nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False),
    nn.ConvTranspose2d(8, 8, 2, 2),
    nn.ConvTranspose2d(8, 8, 3, 2, 1, 1, bias=False),
    nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=2, bias=False),
    nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8, bias=False),
    nn.ConvTranspose2d(6, 12, 4, 2, 1, groups=3),
    nn.ConvTranspose2d(12, 6, 4, 2, 1),
    nn.ConvTranspose2d(12, 6, 1),
    nn.ConvTranspose1d(4, 4, 4, 2),
    nn.ConvTranspose3d(4, 4, 2, 2),
]


@pytest.mark.parametrize("conv", TRANSPOSED, ids=str)
def test_said(conv, tmp_path):
    norm = saved(conv, tmp_path)
    state, result = fused(tmp_path, "--transposed", "d.*")
    check(state, conv, norm)
    assert result["transposed"] == ["d.0"] and result["assumedOrdinary"] == []


@pytest.mark.parametrize("conv", [nn.ConvTranspose2d(12, 6, 4, 2, 1), nn.ConvTranspose2d(6, 12, 3, 2), nn.ConvTranspose3d(4, 2, 2, 2)], ids=str)
def test_proved_by_unequal_channels(conv, tmp_path):
    norm = saved(conv, tmp_path)
    state, result = fused(tmp_path)
    check(state, conv, norm)
    assert result["transposed"] == ["d.0"]
    note = mutils("fuse", tmp_path / "in.pth", "--pair", "d.0=n", "--eps", "1e-5", "-o", tmp_path / "b.pth").err
    assert "transposed by their shapes: d.0" in note


DEPTHWISE = nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8, bias=False)


def test_depthwise_needs_no_answer(tmp_path):
    """Both readings scale it alike."""
    norm = saved(DEPTHWISE, tmp_path)
    check(fused(tmp_path)[0], DEPTHWISE, norm)


@pytest.mark.parametrize("name", ["d.0", "net.deconv_layers", "up.ConvTranspose", "upconv1"])
@pytest.mark.parametrize("kernel", [4, 3, (3, 2)])
def test_asked(name, kernel, tmp_path):
    """An even kernel or a telling name: the same file is either."""
    if name == "d.0" and kernel == 3:
        return
    for conv, answer in [(nn.ConvTranspose2d(8, 8, kernel), ("--transposed", name)), (nn.Conv2d(8, 8, kernel), ("--no-transposed",))]:
        norm = saved(conv, tmp_path, name)
        result = fails("fuse", tmp_path / "in.pth", "--pair", f"{name}=n", "--eps", "1e-5", "-o", tmp_path / "out.pth", naming=name)
        assert "--transposed" in result.err and "--no-transposed" in result.err
        assert not (tmp_path / "out.pth").exists()
        check(fused(tmp_path, *answer, name=name)[0], conv, norm, name)
        (tmp_path / "out.pth").unlink()


@pytest.mark.parametrize("conv", [nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(4, 8, 3), nn.Conv2d(16, 8, 3), nn.Conv2d(3, 8, 4), nn.Conv2d(8, 8, 3, groups=8), nn.Conv1d(6, 6, 3)], ids=str)
def test_ordinary_convolutions_need_no_answer(conv, tmp_path):
    norm = saved(conv, tmp_path)
    state, result = fused(tmp_path)
    check(state, conv, norm)
    assert result["transposed"] == []
    both = conv.out_channels % conv.weight.shape[1] == 0 and conv.groups == 1
    assert result["assumedOrdinary"] == (["d.0"] if both else [])
    said, result = fused(tmp_path, "--no-transposed")
    assert_same_tensors(state, said)
    assert result["assumedOrdinary"] == []


def test_a_transposed_neighbour_makes_it_ask(tmp_path):
    """Inner layers of a decoder: unequal channels prove that the file has transposed ones."""
    torch.manual_seed(4)
    net = nets.lively(nn.Sequential(nn.ConvTranspose2d(8, 4, 3, 2), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 3, 2), nn.BatchNorm2d(4)), 4)
    torch.save(net.state_dict(), tmp_path / "in.pth")
    pairs = ("--pair", "0=1", "--pair", "2=3", "--eps", "1e-5")
    fails("fuse", tmp_path / "in.pth", *pairs, "-o", tmp_path / "out.pth", naming="2: may be a transposed convolution")
    report("fuse", tmp_path / "in.pth", *pairs, "--transposed", "?", "-o", tmp_path / "out.pth")
    state = torch.load(tmp_path / "out.pth", weights_only=True)
    for conv, norm in (("0", "1"), ("2", "3")):
        weight, bias = expected(net[int(conv)], net[int(norm)])
        assert close(state[f"{conv}.weight"], weight) and close(state[f"{conv}.bias"], bias)


@pytest.mark.parametrize(
    "conv, patterns, reason",
    [(nn.Conv2d(8, 12, 3), ["d.0"], "no transposed convolution's"), (nn.Conv2d(8, 8, 3), ["x"], "names no convolution"),
     (nn.Conv2d(8, 8, 3), ["n"], "names no convolution")])
def test_answers_that_do_not_fit(conv, patterns, reason, tmp_path):
    saved(conv, tmp_path)
    arguments = [a for p in patterns for a in ("--transposed", p)]
    assert reason in fails("fuse", tmp_path / "in.pth", "--pair", "d.0=n", "--eps", "1e-5", *arguments, "-o", tmp_path / "o.pth").err
    assert mutils("fuse", tmp_path / "in.pth", "--transposed", "d.0").code == 64
    assert mutils("fuse", tmp_path / "in.pth", "--pair", "d.0=n", "--no-transposed", "--transposed", "d.0").code == 64


def test_whole_modules_know(tmp_path):
    torch.save(nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.BatchNorm2d(4)).eval(), tmp_path / "in.pt")
    fails("fuse", tmp_path / "in.pt", "--pair", "0=1", "--transposed", "0", "-o", tmp_path / "o.pt", naming="what is transposed")
