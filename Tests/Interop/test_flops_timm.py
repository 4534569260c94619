"""timm: operations to the last one, as FlopCounterMode, thop and ultralytics-thop count them."""

import pytest
import timm_nets
import torch
from flops_judges import check_flops

# The judges see modules: what is computed outside of them differs by the tool's version, so a few of each family.
NAMES = (
    "resnet-d", "resnext blur", "eca", "sknet", "resnest", "bit same", "tf efficientnet", "mixnet", "mobilenetv4",
    "regnety", "byobnet", "repvgg se", "mobileone", "convnextv2", "vit", "vit gap", "cspnet", "nfnet", "dpn b", "resmlp", "gmlp", "vgg",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_operations(name, tmp_path):
    size = tuple(timm_nets.picture(name).shape[2:])
    check_flops(timm_nets.build(name).to("meta"), size, tmp_path / "net.pt", pairs=timm_nets.provable_pairs)
