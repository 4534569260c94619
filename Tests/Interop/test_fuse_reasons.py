"""Why a batch norm stays: the reason is a true one."""

import custom_nets
import nets
import pytest
import torch
import ultralytics
import yolov6_blocks as v6
from helpers import check_fused_file, report, reported_pairs
from torch import nn

def block():
    return nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)


def hooked(model, path, hook="register_forward_hook"):
    getattr(model.get_submodule(path), hook)(custom_nets.double)
    return model


def replaced(model, path):
    module = model.get_submodule(path)
    module.forward = torch.tanh
    return model


@pytest.mark.parametrize(
    "model, reason",
    [
        (custom_nets.Unknown(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), "what the forward of custom_nets.Unknown does with it is not known"),
        (custom_nets.Unknown(nn.ReLU(), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())), "what the forward of custom_nets.Unknown does with it is not known"),
        (custom_nets.Unknown(nn.ModuleList([nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)])), "what the forward of custom_nets.Unknown does with it is not known"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), "nothing comes before it"),
        (nn.Sequential(nn.Bilinear(2, 2, 3), nn.BatchNorm1d(3)), "the forward of torch.nn.modules.container.Sequential could not be followed: takes 2 tensors, not 1"),
        (hooked(nn.Sequential(*block()), "0"), "Conv2d has hooks"),
        (hooked(nn.Sequential(*block()), "0", "register_forward_pre_hook"), "Conv2d has hooks"),
        (hooked(nn.Sequential(nn.Sequential(*block()), nn.ReLU()), "0"), "torch.nn.modules.container.Sequential has hooks, and what that does is not known"),
        (hooked(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), "0"), "ReLU has hooks, and what that does is not known"),
        (hooked(nn.Sequential(nn.Sequential(nn.BatchNorm2d(3)), nn.ReLU()), "0"), "torch.nn.modules.container.Sequential has hooks, and what that does is not known"),
        (replaced(nn.Sequential(*block()), "0"), "Conv2d has a replaced forward"),
        (nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)), "the weight of the convolution is computed by weight norm when it runs; remove the weight norm in Python before saving"),
        (nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)), "the weight of the convolution is computed by spectral norm when it runs; remove the spectral norm in Python before saving"),
    ],
    ids=range(13),
)  # fmt: skip
def test_reasons_are_true(model, reason, tmp_path):
    torch.save(model.eval(), tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert [refusal["reason"] for refusal in result["refused"]] == [reason]


def test_what_does_nothing_in_evaluation_is_no_obstacle(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Identity(), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Dropout(), nn.Dropout2d(), nn.BatchNorm2d(8))
    torch.save(nets.lively(model, 3).eval(), tmp_path / "in.pt")
    check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 9, 9), must={("0", "2"), ("3", "6")})


@pytest.mark.parametrize("name", ["yolo26n-seg", "yolo26n-sem"])
def test_layers_that_run_in_training_alone(name, tmp_path):
    """As many as Ultralytics' own fuse() finds, whose classes are the same."""
    torch.manual_seed(4)
    model = nets.lively(ultralytics.YOLO(f"{name}.yaml", verbose=False).model, 4).eval()
    pairs = set(nets.conv_bn_pairs(model))
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert pairs <= reported_pairs(result) and result["refused"] == []
    assert len(pairs) == sum(hasattr(m, "bn") and hasattr(m, "conv") for m in model.modules())


@pytest.mark.parametrize("kind", [v6.ConvBNSiLU, v6.RepVGGBlock])
def test_three_blocks_in_a_row(kind, tmp_path):
    """YOLOv6's MBLA: BottleRep3 has no branches of its own."""
    torch.manual_seed(4)
    rows = [v6.BottleRep3(8, 8, (lambda a, b: kind(a, b, 3, 1)) if kind is v6.ConvBNSiLU else kind, True) for _ in range(2)]
    mbla = v6.MBLABlock(3, 16, (0, 2))
    mbla.m[0] = nn.Sequential(*rows)
    model = nets.lively(nn.Sequential(mbla), 4).eval()
    pairs = {(f"{n}.conv", f"{n}.bn") for n, m in model.named_modules() if isinstance(m, v6.ConvModule) and "rbr" not in n}
    assert len(pairs) == (8 if kind is v6.ConvBNSiLU else 2)
    torch.save(model, tmp_path / "in.pt")
    _, result = check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 16, 16), must=pairs, may=pairs)
    reasons = {r["reason"] for r in result["refused"]}
    assert reasons == (set() if kind is v6.ConvBNSiLU else {"the branches of a RepVGGBlock are merged by re-parameterisation, not one by one"})
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "merged.pt")
    assert result["refused"] == [] and len(result["reparameterized"]["merged"]) == (0 if kind is v6.ConvBNSiLU else 6)
