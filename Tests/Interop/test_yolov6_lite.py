"""YOLOv6 0.4's QARepVGG blocks and lite models, re-created from the published architecture."""

import nets
import pytest
import torch
import yolov6_lite as v6
from helpers import assert_same_outputs, check_fused_file, load, outputs, report
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


def fuse_model(model):
    """What YOLOv6 does to every model that it loads for inference."""
    for module in model.modules():
        if type(module) is v6.ConvModule and hasattr(module, "bn"):
            module.conv = torch.nn.utils.fuse_conv_bn_eval(module.conv, module.bn)
            del module.bn
            module.forward = module.forward_fuse
    return model


def test_fuse(tmp_path):
    """DPBlock's method for the fused state leaves out both of its norms; YOLOv6 finds nothing more to fuse."""
    model, x = build(v6.Model), torch.rand(1, 3, 64, 128)
    torch.save(model, tmp_path / "in.pt")
    norms = {name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    fused, result = check_fused_file(model, tmp_path / "in.pt", x)
    assert {pair["bn"] for pair in result["fused"]} == norms
    blocks = [m for m in fused.modules() if isinstance(m, v6.DPBlock)]
    assert blocks and all(set(m._modules) == {"conv_dw_1", "act_1", "conv_pw_1", "act_2"} for m in blocks)
    expected = outputs(fused, x)
    assert_same_outputs(expected, outputs(fuse_model(fused), x), 0)
    # Saved by YOLOv6 and fused once more.
    torch.save({"model": fused, "ema": None}, tmp_path / "again.pt")
    assert report("fuse", tmp_path / "again.pt", "-o", tmp_path / "twice.pt")["fused"] == []
    assert_same_outputs(expected, outputs(load(tmp_path / "twice.pt")["model"], x), 0)
    check_outputs(fused, x, tmp_path)


def test_half_fused(tmp_path):
    """With a norm that stays the forward does too."""
    block = build(lambda: v6.DPBlock(8, 8))
    block.bn_2 = nn.BatchNorm2d(8, track_running_stats=False)
    torch.save(block.eval(), tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    fused, x = load(tmp_path / "out.pt"), torch.rand(2, 8, 9, 7)
    assert type(fused.bn_1) is nn.Identity and "forward" not in vars(fused)
    assert_same_outputs(outputs(block, x), outputs(fused, x))


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
