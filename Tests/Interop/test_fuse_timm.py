"""timm's classes are unknown to the tool: whatever it fuses, the output must be the same."""

import nets
import pytest
import timm
import torch
from helpers import check_fused_file

NAMES = [
    "resnet18",  # BatchNorm2d called by its block
    "resnet18d",  # deep stem: a Sequential of conv, norm, act, conv, norm, act, conv; average-pooled shortcuts
    "tf_efficientnet_lite0",  # Conv2dSame, BatchNormAct2d: a norm that is also an activation
    "mobilenetv3_small_050",
    "dla46x_c",
    "hrnet_w18_small",
    "repvgg_a0",  # three branches, each with its norm, one of them without a conv
    "mobileone_s0",
    "fastvit_t8",
    "levit_128s",  # Linear + BatchNorm1d, with the norm's output reshaped
    "resnetv2_50d_gn",
    "nf_regnet_b0",  # weight-standardised convs
    "ghostnet_050",
    "convmixer",
]


@pytest.mark.parametrize("name", NAMES)
def test_output_is_kept(name, tmp_path):
    torch.manual_seed(2)
    size = 224 if name.startswith("levit") else 64
    if name == "convmixer":  # Sequentials of conv, activation, norm
        model = timm.models.convmixer.ConvMixer(dim=16, depth=2, kernel_size=5, patch_size=4, num_classes=10)
    else:
        model = timm.create_model(name, pretrained=False, num_classes=10)
    nets.lively(model, 2).eval()
    torch.save(model, tmp_path / "in.pt")
    check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, size, size))
