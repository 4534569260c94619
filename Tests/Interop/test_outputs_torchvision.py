"""torchvision's classifiers: the reference interpreter gives torch's outputs, in evaluation and in training."""

import nets
import pytest
import torch
import torchvision
from output_judges import check_outputs, check_training
from torch import nn
from torchvision.models import swin_transformer as swin

# The smallest of every family and kind of block; its last layers are small where the constructor allows it.
MODELS = {
    name: {}
    for name in (
        "resnet18 resnet50 squeezenet1_0 squeezenet1_1 densenet121 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large "
        "mnasnet0_5 efficientnet_b0 efficientnet_v2_s regnet_y_400mf regnet_x_400mf shufflenet_v2_x0_5 "
        "googlenet inception_v3 convnext_tiny resnext50_32x4d vit_b_16 maxvit_t"
    ).split()
}
MODELS["mobilenet_v2"] = dict(width_mult=0.35)
LARGE = ("vgg11", "vgg11_bn", "alexnet")
SIZES = {"inception_v3": 96, "vit_b_16": 224, "maxvit_t": 224}
SLOW = ("vit_b_16", "maxvit_t")


def build(name, **options):
    options = {"num_classes": 10, **options}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = True
    make = getattr(torchvision.models, name)
    model = make(**options)
    if name in LARGE:  # 100 million weights of the classifier's first layer say nothing more
        first = next(i for i, m in enumerate(model.classifier) if isinstance(m, nn.Linear))
        inputs = model.classifier[first].in_features
        model.classifier[first] = nn.Linear(inputs, 16)
        for i in range(first + 1, len(model.classifier)):
            if isinstance(model.classifier[i], nn.Linear):
                model.classifier[i] = nn.Linear(16, 16)
    return nets.lively(model, 1)


def picture(name):
    size = SIZES.get(name, 64)
    return torch.rand(1 if size > 96 or name in LARGE else 2, 3, size, size)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in (*MODELS, *LARGE)]
)
def test_evaluation(name, tmp_path):
    check_outputs(build(name, **MODELS.get(name, {})), picture(name), tmp_path)


@pytest.mark.parametrize("name", [*(n for n in MODELS if n not in SLOW), "vgg11_bn"])
def test_training(name, tmp_path):
    # Inception's auxiliary head takes no smaller picture.
    size = 299 if name == "inception_v3" else SIZES.get(name, 64)
    x = torch.rand(2, 3, size, size)
    check_training(build(name, **MODELS.get(name, {})), x, tmp_path)


BARE = dict(weights=None, weights_backbone=None)


@pytest.mark.parametrize(
    "make, options, shape",
    [
        (torchvision.models.segmentation.fcn_resnet50, {**BARE, "aux_loss": True}, (1, 3, 64, 96)),
        (torchvision.models.segmentation.deeplabv3_mobilenet_v3_large, BARE, (1, 3, 64, 96)),
        (torchvision.models.segmentation.lraspp_mobilenet_v3_large, BARE, (1, 3, 64, 96)),
        (torchvision.models.video.r3d_18, {}, (1, 3, 4, 32, 32)),
        (torchvision.models.video.r2plus1d_18, {}, (1, 3, 4, 32, 32)),
        (torchvision.models.video.mc3_18, {}, (1, 3, 4, 32, 32)),
        (torchvision.models.video.s3d, {}, (1, 3, 16, 224, 224)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_segmentation_and_video(make, options, shape, tmp_path):
    torch.manual_seed(2)
    check_outputs(nets.lively(make(num_classes=5, **options), 2), torch.rand(*shape), tmp_path)


SWIN = dict(embed_dim=12, depths=[2, 2, 1], num_heads=[2, 3, 4], window_size=[4, 3], num_classes=5)


@pytest.mark.parametrize(
    "options, size",
    [
        (dict(patch_size=[4, 4]), (64, 72)),
        (dict(patch_size=[4, 2]), (53, 37)),
        (dict(patch_size=[2, 2], window_size=[7, 7], mlp_ratio=2.0), (30, 61)),
        (dict(patch_size=[4, 4], window_size=[2, 20], depths=[2, 1, 1]), (41, 70)),
    ],
    ids=range(4),
)
@pytest.mark.parametrize("version", [1, 2])
def test_swin(version, options, size, tmp_path):
    """Windows that divide the picture and that do not, that are shifted along both axes, one or none."""
    if version == 2:
        options = {**options, "block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2}
    torch.manual_seed(3)
    model = nets.lively(swin.SwinTransformer(**{**SWIN, **options}), 3)
    check_outputs(model, torch.rand(2, 3, *size), tmp_path)
    check_training(model, torch.rand(1, 3, *size), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin_t", "swin_v2_t"])
def test_released_swin(name, tmp_path):
    check_outputs(nets.lively(getattr(torchvision.models, name)(num_classes=10), 1), torch.rand(1, 3, 33, 45), tmp_path)
