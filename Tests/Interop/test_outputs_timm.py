"""timm: the reference interpreter gives timm's outputs, in evaluation and in training."""

import pytest
import timm_nets
from output_judges import check_outputs, check_training


@pytest.mark.parametrize("name", timm_nets.NETS)
def test_evaluation(name, tmp_path):
    check_outputs(timm_nets.build(name), timm_nets.picture(name), tmp_path)


# A few of each family, with every kind of dropout; what a frozen norm holds is called as if it were updated.
TRAINED = (
    "resnet", "resnet-d", "resnext blur", "sknet", "res2net", "resnest", "bit same", "tf efficientnet", "efficientnet gn",
    "mobilenetv4 hybrid", "regnetz", "byobnet", "repvgg", "mobileone", "convnext", "vit", "vit swiglu", "vit parallel",
    "deit", "cspnet", "nfnet", "dpn b", "mixer", "resmlp", "vgg", "layers", "sync",
)  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_training(name, tmp_path):
    check_training(timm_nets.build(name), timm_nets.picture(name, 2), tmp_path)
