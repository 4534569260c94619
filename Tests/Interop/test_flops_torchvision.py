"""torchvision's classifiers: operations and output shapes of every model, against the tools that count them."""

import sys
from functools import partial

import pytest
import released_torchvision
import torch
import torchvision
from flops_judges import check_flops, hollow, meta_input
from helpers import report
from torch import nn
from torchvision.models import regnet

NAMES = """
resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2
resnext50_32x4d resnext101_32x8d resnext101_64x4d
vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn alexnet squeezenet1_0 squeezenet1_1
densenet121 densenet161 densenet169 densenet201
mobilenet_v2 mobilenet_v3_small mobilenet_v3_large mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l
regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf
regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf
shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
googlenet inception_v3 convnext_tiny convnext_small convnext_base convnext_large
""".split()
# One of each kind of block.
FEW = (
    "resnet50 vgg16_bn alexnet squeezenet1_0 densenet121 mobilenet_v2 mobilenet_v3_large efficientnet_b1 "
    "efficientnet_v2_s regnet_y_400mf shufflenet_v2_x1_0 mnasnet1_0 googlenet inception_v3 convnext_tiny"
).split()


def on_meta(make, *arguments, **options):
    """A model without weights; what computes widths with tensors does so on the CPU."""
    widths = regnet.BlockParams.from_init_params.__func__

    def on_cpu(*a, **o):
        with torch.device("cpu"):
            return widths(*a, **o)

    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(regnet.BlockParams, "from_init_params", classmethod(on_cpu))
        return make(*arguments, **options).eval()


def build(name, **options):
    if name in ("googlenet", "inception_v3"):
        options.setdefault("init_weights", False)
    return on_meta(getattr(torchvision.models, name), **options)


# Parameters and GMACs as torchvision's own tables give them.
PUBLISHED = {
    "resnet18": (11689512, 1.814), "resnet34": (21797672, 3.664), "resnet50": (25557032, 4.089),
    "resnet101": (44549160, 7.801), "resnet152": (60192808, 11.514), "wide_resnet50_2": (68883240, 11.398),
    "resnext50_32x4d": (25028904, 4.230), "resnext101_32x8d": (88791336, 16.414), "vgg16": (138357544, 15.470),
    "vgg16_bn": (138365992, 15.470), "alexnet": (61100840, 0.714), "mobilenet_v2": (3504872, 0.301),
    "densenet121": (7978856, 2.834), "mobilenet_v3_large": (5483032, 0.217),
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FEW else pytest.mark.slow) for n in NAMES])
def test_every_model(name, tmp_path):
    result = check_flops(build(name), (224, 224), tmp_path / "in.pt")
    if name in PUBLISHED:
        assert (result["parameters"], round(result["gflops"]["macs"], 3)) == PUBLISHED[name]


@pytest.mark.parametrize("size", [(225, 225), (320, 256), (64, 64), (97, 211)])
@pytest.mark.parametrize("name", FEW)
def test_other_sizes(name, size, tmp_path):
    if name == "inception_v3" and min(size) < 75:
        pytest.skip("smaller than it takes")
    check_flops(build(name), size, tmp_path / "in.pt")


@pytest.mark.parametrize(
    "name, options",
    [
        ("densenet121", dict(drop_rate=0.3, num_classes=11)),
        ("googlenet", dict(transform_input=True)),
        ("googlenet", dict(aux_logits=False, num_classes=7)),
        ("inception_v3", dict(transform_input=True, aux_logits=False)),
        ("resnet50", dict(replace_stride_with_dilation=[False, True, True])),
        ("resnet18", dict(norm_layer=partial(nn.GroupNorm, 8))),
        ("resnet50", dict(groups=4, width_per_group=16, num_classes=1)),
        ("mobilenet_v2", dict(width_mult=0.35, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))),
        ("mobilenet_v2", dict(width_mult=1.4, round_nearest=1)),
        ("mobilenet_v3_small", dict(dilated=True, reduced_tail=True)),
        ("squeezenet1_1", dict(num_classes=5, dropout=0.0)),
        ("mnasnet1_0", dict(num_classes=3)),
        ("convnext_tiny", dict(stochastic_depth_prob=0.5, layer_scale=1.0)),
        ("regnet_x_400mf", dict(activation=nn.SiLU, stem_width=24)),
        ("efficientnet_b0", dict(stochastic_depth_prob=0.0, num_classes=17)),
    ],
)
def test_configurations(name, options, tmp_path):
    """What constructors may be told, and attributes that change the forward."""
    check_flops(build(name, **options), (127, 190), tmp_path / "in.pt")


def test_other_channels(tmp_path):
    """A model whose first layer takes one channel is measured with one."""
    model = build("resnet18")
    model.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False, device="meta")
    check_flops(model, (96, 96), tmp_path / "in.pt", channels=1)


def test_real_weights_and_the_old_format(tmp_path):
    """Weights that are there change nothing, nor does the format."""
    model = torchvision.models.shufflenet_v2_x0_5()
    torch.save(model, tmp_path / "zip.pt")
    torch.save(model, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    figures = [report("info", tmp_path / name, "--image-size", 224)["gflops"] for name in ("zip.pt", "old.pt")]
    assert figures == [check_flops(build("shufflenet_v2_x0_5"), (224, 224), tmp_path / "in.pt")["gflops"]] * 2


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, torch.optim.swa_utils.AveragedModel])
def test_wrappers(wrap, tmp_path):
    """A model inside a wrapper counts as it does alone."""
    model = torchvision.models.squeezenet1_1()
    figures = []
    for name, m in (("plain.pt", model), ("wrapped.pt", wrap(model))):
        torch.save(m, tmp_path / name)
        figures.append(report("info", tmp_path / name, "--image-size", "65x130")["gflops"])
    assert figures[0] and figures[0] == figures[1]


def test_memory_efficient_densenet(tmp_path):
    """Checkpointing changes nothing in evaluation."""
    model = build("densenet169", memory_efficient=True)
    check_flops(model, (127, 190), tmp_path / "in.pt", twin=build("densenet169"))


@pytest.mark.parametrize(
    "name, size, where",
    [("alexnet", 32, "features.12"), ("inception_v3", 64, "Mixed_7a.branch3x3_2.conv"), ("vgg11", 31, "features.20")],
)
def test_sizes_that_do_not_fit(name, size, where, tmp_path):
    """What torch cannot run has no figures, and the reason names the module."""
    model = build(name)
    with pytest.raises(RuntimeError):
        model(meta_input((size, size)))
    torch.save(hollow(model), tmp_path / "in.pt")
    result = report("info", tmp_path / "in.pt", "--image-size", size)
    assert result["gflops"] is None and result["gflopsReason"].startswith(f"{where}: "), result["gflopsReason"]


@pytest.mark.parametrize("name", released_torchvision.MODELS)
def test_earlier_releases(name, tmp_path, monkeypatch):
    """Files that earlier releases wrote: their classes' paths, attributes and forwards."""
    model = on_meta(released_torchvision.MODELS[name])
    for cls in released_torchvision.CLASSES:
        monkeypatch.setattr(sys.modules[cls.__module__], cls.__qualname__, cls, raising=False)
    check_flops(model, (224, 224), tmp_path / "in.pt", ultralytics=False)


BARE = dict(weights=None, weights_backbone=None, num_classes=4)


@pytest.mark.parametrize(
    "make, options, size",
    [
        (torchvision.models.vit_b_16, dict(num_classes=4), (224, 224)),
        (torchvision.models.vit_b_32, dict(image_size=160), (160, 160)),
        (torchvision.models.maxvit_t, dict(num_classes=4), (224, 224)),
        (torchvision.models.swin_t, {}, (224, 224)),
        (torchvision.models.swin_s, {}, (131, 210)),
        (torchvision.models.swin_v2_t, {}, (256, 256)),
        (torchvision.models.swin_v2_b, {}, (97, 300)),
        (torchvision.models.segmentation.fcn_resnet50, {**BARE, "aux_loss": True}, (64, 97)),
        (torchvision.models.segmentation.deeplabv3_resnet50, BARE, (95, 64)),
        (torchvision.models.segmentation.deeplabv3_mobilenet_v3_large, BARE, (64, 97)),
        (torchvision.models.segmentation.lraspp_mobilenet_v3_large, BARE, (64, 97)),
        (torchvision.models.video.r3d_18, {}, (5, 40, 33)),
        (torchvision.models.video.mc3_18, {}, (5, 40, 33)),
        (torchvision.models.video.r2plus1d_18, {}, (4, 32, 32)),
        (torchvision.models.video.s3d, {}, (16, 224, 224)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_transformers_segmentation_and_video(make, options, size, tmp_path):
    check_flops(on_meta(make, **options), size, tmp_path / "in.pt")
