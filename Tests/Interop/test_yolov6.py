"""YOLOv6's own code, as a package of its 0.3 holds it: every backbone, neck and head, its kinds of blocks, training, merged branches."""

import copy

import nets
import pytest
import torch
from helpers import assert_same_outputs, load, outputs, report
from originals import YOLOV6, ultralytics_thop
from output_judges import check_outputs, check_training
from torch import nn
from yolo_judges import check_flops


@pytest.fixture(autouse=True, scope="module")
def repository():
    with YOLOV6:
        yield


class Config(dict):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


def config(backbone, neck, mode="repvgg", levels=3, distributions=True, **options):
    """Narrow and shallow, with what the constructors of backbone and neck choose."""
    six = levels == 4
    return Config(
        training_mode=mode,
        model=Config(
            depth_multiple=0.33,
            width_multiple=0.125,
            backbone=Config(
                type=backbone, num_repeats=[1, 6, 6, 6, 6] + [6] * six, csp_e=0.5,
                out_channels=[64, 64, 128, 128, 192] + [256] * six, **options,
            ),
            neck=Config(
                type=neck, num_repeats=[6] * (6 if six else 4), csp_e=0.5,
                out_channels=[128, 128, 64, 64, 128, 128] if six else [128, 64, 64, 128, 128, 192],
            ),
            head=Config(
                num_layers=levels, use_dfl=distributions, reg_max=16 if distributions else 0,
                anchors_init=[[10, 13, 19, 19, 33, 23], [30, 61, 59, 59, 59, 119], [116, 90, 185, 185, 373, 326]],
            ),
        ),
    )  # fmt: skip


BOTH = {"fuse_P2": True, "cspsppf": True}
MODELS = {
    "n": (config("EfficientRep", "RepBiFPANNeck", distributions=False, **BOTH), {}),
    "n distilled": (config("EfficientRep", "RepPANNeck"), {"distill_ns": True}),
    "s opt": (config("EfficientRep", "RepPANNeck", "repopt"), {"fuse_ab": True}),
    "s search": (config("EfficientRep", "RepPANNeck", "hyper_search"), {}),
    "m": (config("CSPBepBackbone", "CSPRepBiFPANNeck", **BOTH), {"fuse_ab": True}),
    "l": (config("CSPBepBackbone", "CSPRepPANNeck", "conv_silu"), {}),
    "n6": (config("EfficientRep6", "RepBiFPANNeck6", levels=4, distributions=False, **BOTH), {}),
    "s6": (config("EfficientRep6", "RepPANNeck6", "conv_relu", levels=4), {}),
    "m6": (config("CSPBepBackbone_P6", "CSPRepBiFPANNeck_P6", levels=4, **BOTH), {}),
}


def build(name):
    from yolov6.models.yolo import Model

    torch.manual_seed(6)
    description, options = MODELS[name]
    model = Model(copy.deepcopy(description), num_classes=3, **options)
    with torch.no_grad():
        for module in model.modules():
            if type(module).__name__ == "ScaleLayer":
                module.weight.uniform_(0.5, 1.5)
            if isinstance(module, nn.Conv2d) and not module.weight.any():  # the head's last layers begin so
                module.weight.normal_(std=0.1)
    return nets.lively(model, 6).eval()


def picture(name):
    return torch.rand(1, 3, 64, 128) if "6" in name else torch.rand(1, 3, 64, 96)


def apart(tensors):
    """Scores beside boxes, whose pixels are so much larger."""
    return [part for t in tensors for part in ((t[..., :4], t[..., 4:]) if t.dim() == 3 else (t,))]


@pytest.mark.parametrize("name", MODELS)
def test_outputs(name, tmp_path):
    check_outputs(build(name), picture(name), tmp_path, arrange=apart)


@pytest.mark.parametrize("name", ["n", "n distilled", "s search", "m", "m6"])
def test_operations(name, tmp_path):
    check_flops(build(name), tuple(picture(name).shape[2:]), tmp_path / "in.pt", own=False, device="cpu", judge=ultralytics_thop)


@pytest.mark.parametrize("name", ["n distilled", "s search", "m", "m6"])
def test_training(name, tmp_path):
    check_training(build(name), torch.rand(2, 3, 128, 128), tmp_path)


@pytest.mark.parametrize("name", ["n", "m"])
def test_deployed(name, tmp_path):
    """Merged and fused it has the weights that its own fuse_model and switch_to_deploy leave."""
    from yolov6.layers.common import RepVGGBlock
    from yolov6.utils.torch_utils import fuse_model

    model = build(name)
    torch.save(model, tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
    ours = load(tmp_path / "out.pt")
    own = fuse_model(copy.deepcopy(model)).eval()
    for module in own.modules():
        if isinstance(module, RepVGGBlock):
            module.switch_to_deploy()
    theirs, tensors = own.state_dict(), ours.state_dict()
    assert set(theirs) == set(tensors)
    for key, value in theirs.items():
        torch.testing.assert_close(tensors[key], value, rtol=2e-6, atol=4e-6 * value.abs().max().item())
    x = picture(name)
    assert_same_outputs(outputs(own, x), outputs(ours, x))
    check_outputs(own, x, tmp_path, arrange=apart)
