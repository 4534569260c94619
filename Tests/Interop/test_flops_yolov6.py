"""FLOPs and shapes of YOLOv6's classes, re-created from the published architecture: every judge's figure."""

import pytest
import torch
import yolov6_blocks as v6
from torch import nn
from yolo_judges import check_flops

MODELS = {
    "rep": lambda: v6.Model(),
    "bifusion": lambda: v6.Model(bifusion=True),
    "csp": lambda: v6.Model(csp=True),
    "distributions": lambda: v6.Model(bifusion=True, use_dfl=True, reg_max=16),
    "fused": lambda: fused(v6.Model(bifusion=True, csp=True)),
    "BepC3": lambda: nn.Sequential(v6.BepC3(3, 8, 3, concat=True), v6.BepC3(8, 8, 1, concat=False)),
    "MBLABlock": lambda: nn.Sequential(v6.MBLABlock(3, 8), v6.MBLABlock(8, 16, (0, 2, 3))),
    "SimSPPF": lambda: nn.Sequential(nn.Conv2d(3, 8, 1), v6.SimSPPF(8, 8, old=True), v6.SimCSPSPPF(8, 8)),
    "activations": lambda: nn.Sequential(
        v6.ConvBNSiLU(3, 8), v6.ConvBN(8, 8, g=4), v6.ConvBNHS(8, 4, 1), v6.SimConv(4, 2, 3, 2)
    ),
    "deployed": lambda: nn.Sequential(
        v6.RepVGGBlock(3, 8, deploy=True), v6.BottleRep(8, 8, weight=True), v6.BottleRep3(8, 4)
    ),
}


def fused(model):
    """Each block's norm folded into its convolution, as YOLOv6 leaves blocks for inference."""
    for module in list(model.modules()):
        if isinstance(module, v6.ConvModule):
            module.conv = torch.nn.utils.fusion.fuse_conv_bn_eval(module.conv.eval(), module.bn.eval())
            del module.bn
            module.forward = module.forward_fuse
    return model


@pytest.mark.parametrize("name", MODELS)
def test_models(name, tmp_path):
    check_flops(MODELS[name](), (128, 192), tmp_path / "in.pt")
