"""torchvision's classifiers, whole modules: fused where a trace of the forward proves it, and nowhere else."""

import nets
import pytest
import torch
import torchvision
from helpers import (
    assert_same_outputs,
    check_fused_file,
    load,
    outputs,
    provable_pairs,
    report,
    reported_pairs,
    sequential_pairs,
)
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, Bottleneck

NAMES = [
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "regnet_y_400mf",
    "shufflenet_v2_x0_5",
    "densenet121",
    "vgg11_bn",
    "googlenet",
    "mnasnet0_5",
]
SMALL = dict(num_classes=10)


def build(name):
    if name == "vgg11_bn":  # its classifier alone is 480 MB: any width will do
        model = torchvision.models.vgg.VGG(
            torchvision.models.vgg.make_layers([8, "M", 16, "M", 16], batch_norm=True), 10
        )
        model.avgpool, model.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)
    elif name == "googlenet":
        model = torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False)
    else:
        model = getattr(torchvision.models, name)(**SMALL)
    torch.manual_seed(1)
    return nets.lively(model, 1).eval()


def block_pairs(model):
    """The convs and norms of ResNet's blocks."""
    return {
        (f"{name}.conv{i}", f"{name}.bn{i}")
        for name, m in model.named_modules()
        if type(m) in (BasicBlock, Bottleneck)
        for i in (1, 2, 3)
        if hasattr(m, f"conv{i}")
    }


@pytest.mark.parametrize("name", NAMES)
def test_fuse(name, tmp_path):
    model = build(name)
    torch.save(model, tmp_path / "in.pt")
    may = provable_pairs(model)
    must = (sequential_pairs(model) | block_pairs(model)) & may
    loaded, result = check_fused_file(model, tmp_path / "in.pt", torch.randn(2, 3, 64, 64), must=must, may=may)
    assert must or name == "googlenet"


@pytest.mark.parametrize("style", ["legacy", 2, 3, 4, 5])
def test_every_pickling_style(style, tmp_path):
    """The old format and every protocol give the same fused model."""
    model = build("resnet18")
    options = dict(_use_new_zipfile_serialization=False) if style == "legacy" else dict(pickle_protocol=style)
    torch.save(model, tmp_path / "in.pt", **options)
    must = block_pairs(model) | sequential_pairs(model)
    check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, 64, 64), must=must, may=provable_pairs(model))


def test_eps_is_read_from_each_norm(tmp_path):
    """Every norm's own eps counts, wherever it was changed by hand."""
    model = build("resnet18")
    for i, m in enumerate(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        m.eps = (1e-5, 1e-3, 0.1)[i % 3]
    torch.save(model, tmp_path / "in.pt")
    check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, 64, 64), must=block_pairs(model))


def test_equals_the_originals_fusion(tmp_path):
    """The weights are those of torch.nn.utils.fusion."""
    model = build("resnet18")
    torch.save(model, tmp_path / "in.pt")
    loaded, result = check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, 64, 64))
    for conv, bn in reported_pairs(result):
        theirs = fuse_conv_bn_eval(model.get_submodule(conv), model.get_submodule(bn))
        ours = loaded.get_submodule(conv)
        torch.testing.assert_close(ours.weight, theirs.weight, rtol=2e-6, atol=1e-7)
        torch.testing.assert_close(ours.bias, theirs.bias, rtol=2e-6, atol=1e-6)


def test_model_in_training_mode(tmp_path):
    """A model saved in training mode stays in training mode."""
    model = build("resnet18").train()
    torch.save(model, tmp_path / "in.pt")
    check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, 64, 64), must=block_pairs(model))


def test_half_precision(tmp_path):
    """Half-precision weights are folded in float32 and rounded once; they stay half."""
    model = build("resnet18").half()
    torch.save(model, tmp_path / "in.pt")
    check_fused_file(
        model, tmp_path / "in.pt", torch.randn(1, 3, 64, 64).half(), must=block_pairs(model), tolerance=3e-2
    )


def test_data_parallel(tmp_path):
    """A model inside DataParallel is fused like the model."""
    model = nn.DataParallel(build("resnet18"))
    torch.save(model, tmp_path / "in.pt")
    path = tmp_path / "in.pt"
    x = torch.randn(1, 3, 64, 64)
    result = report("fuse", path, "-o", tmp_path / "out.pt")
    assert len(result["fused"]) >= len(block_pairs(model.module))
    loaded = load(tmp_path / "out.pt")
    assert_same_outputs(outputs(model, x), outputs(loaded, x))


@pytest.mark.parametrize("name", ["r2plus1d_18", "r3d_18"])
def test_video(name, tmp_path):
    """Every batch norm, also those whose convolution stands in another module."""
    model = nets.lively(getattr(torchvision.models.video, name)(num_classes=4), 3).eval()
    torch.save(model, tmp_path / "in.pt")
    norms = {n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm3d)}
    _, result = check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 4, 24, 24), tolerance=2e-4)
    assert {bn for _, bn in reported_pairs(result)} == norms


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads(name, tmp_path):
    """What runs in training alone is fused too, as the originals' own fusing does it."""
    model = nets.lively(getattr(torchvision.models, name)(num_classes=4, init_weights=False), 3).eval()
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    norms = {n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert {bn for _, bn in reported_pairs(result)} == norms and not result["refused"]
