"""RepVGG's, RepVGGplus' and MobileOne's own classes, re-created from their published architecture."""

import nets
import pytest
import repvgg_nets as r
import torch
from helpers import assert_same_outputs, load, outputs, report
from output_judges import check_outputs, check_training
from torch import nn
from yolo_judges import check_flops

NETS = {
    "repvgg first": lambda: r.RepVGG(groups=2),
    "repvgg": lambda: r.RepVGG(se=False, listed=True),
    "repvgg se": lambda: r.RepVGG(se=True),
    "repvgg plus": lambda: r.RepVGGplus(),
    "mobileone": lambda: r.MobileOne(n=3),
    "mobileone se": lambda: r.MobileOne(se=True),
}
DEPLOYED = {
    "repvgg": lambda: r.RepVGG(deploy=True, se=True),
    "repvgg plus": lambda: r.RepVGGplus(deploy=True),
    "mobileone": lambda: r.MobileOne(merged=True, se=True),
}


def build(make):
    torch.manual_seed(7)
    return nets.lively(make(), 7).eval()


def picture(name, batch=2):
    # RepVGG's squeeze takes a square out of what is less than twice as high as wide.
    return torch.rand(batch, 3, 96, 64) if "first" in name or "mobile" in name else torch.rand(batch, 3, 64, 64)


@pytest.mark.parametrize("name", NETS)
def test_branches(name, tmp_path):
    check_outputs(build(NETS[name]), picture(name), tmp_path)
    check_flops(build(NETS[name]), tuple(picture(name).shape[2:]), tmp_path / "in.pt", own=False)
    if "plus" not in name:
        check_training(build(NETS[name]), picture(name), tmp_path)


@pytest.mark.parametrize("name", DEPLOYED)
def test_deployed(name, tmp_path):
    check_outputs(build(DEPLOYED[name]), picture(name), tmp_path)
    check_flops(build(DEPLOYED[name]), (64, 64), tmp_path / "in.pt", own=False)


def test_squeeze_of_high_pictures(tmp_path):
    check_outputs(build(lambda: r.SEBlock(8, 2)), torch.rand(2, 8, 9, 6), tmp_path)


@pytest.mark.parametrize("name", NETS)
def test_reparameterize(name, tmp_path):
    """No branch is left, and the classes' own forwards run the file."""
    model, x = build(NETS[name]), picture(name)
    torch.save(model, tmp_path / "in.pt")
    blocks = [n for n, m in model.named_modules() if isinstance(m, (r.Branches, r.MobileOneBlock))]
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
    assert result["reparameterized"] == {"merged": blocks, "refused": []}
    merged = load(tmp_path / "out.pt")
    assert not any(isinstance(m, nn.BatchNorm2d) for m in merged.modules())
    expected, actual = outputs(model, x), outputs(merged, x)
    # What RepVGGplus says of its weights it says while it has branches.
    assert_same_outputs(expected[: len(actual)], actual)
    check_outputs(merged, x, tmp_path)
