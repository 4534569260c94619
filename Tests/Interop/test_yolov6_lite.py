"""YOLOv6 0.4's QARepVGG blocks and lite models, re-created from the published architecture."""

import nets
import pytest
import torch
import yolov6_lite as v6
from helpers import assert_same_outputs, load, outputs, report
from output_judges import check_outputs, check_training
from torch import nn
from yolo_judges import check_flops


def build(make, seed=8):
    torch.manual_seed(seed)
    return nets.lively(make(), seed).eval()


def test_lite(tmp_path):
    check_outputs(build(v6.Model), torch.rand(2, 3, 64, 128), tmp_path)
    check_flops(build(v6.Model), (128, 64), tmp_path / "in.pt", own=False, device="cpu")
    check_training(build(v6.Model).backbone, torch.rand(2, 3, 96, 64), tmp_path)


@pytest.mark.parametrize("block", [v6.QARepVGGBlock, v6.QARepVGGBlockV2])
@pytest.mark.parametrize("g", [1, 2])
def test_qarepvgg(block, g, tmp_path):
    """All branches become one convolution, which then takes the norm behind it."""
    make = lambda: nn.Sequential(block(8, 8, 1, g), block(8, 12, 2, g))  # noqa: E731
    x = torch.rand(2, 8, 9, 12)
    model = build(make)
    check_outputs(model, x, tmp_path)
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
    assert result["reparameterized"] == {"merged": ["0", "1"], "refused": []}
    assert result["fused"] == [{"conv": f"{i}.rbr_reparam", "bn": f"{i}.bn"} for i in range(2)]
    merged = load(tmp_path / "out.pt")
    assert not any(isinstance(m, nn.BatchNorm2d) for m in merged.modules())
    assert_same_outputs(outputs(model, x), outputs(merged, x))
    check_outputs(merged, x, tmp_path)
    check_training(build(make), x, tmp_path)
