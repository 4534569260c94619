"""YOLOX's classes, re-created from the published architecture: operations, outputs, training, what is fused."""

import nets
import pytest
import torch
import yolox_blocks as x
from helpers import check_fused_file, mutils
from output_judges import INTERPRET, check_outputs, check_training
from safetensors.torch import save_file
from yolo_judges import check_flops


def raw(**options):
    model = x.yolox(**options)
    model.head.decode_in_inference = False
    return model


MODELS = {
    "silu": lambda: x.yolox(strides=(8, 16, 32)),
    "nano": lambda: x.yolox(wide=x.DWConv, act="lrelu", nc=1),
    "raw": lambda: raw(act="relu", n=2),
    "yolov3": lambda: x.yolov3(),
}


def build(name):
    torch.manual_seed(2)
    return nets.lively(MODELS[name](), 2).eval()


def apart(outputs):
    """Scores beside boxes, whose pixels are so much larger."""
    return [part for rows in outputs for part in (rows[..., :4], rows[..., 4:])]


@pytest.mark.parametrize("name", MODELS)
def test_outputs(name, tmp_path):
    check_outputs(build(name), torch.rand(2, 3, 96, 64), tmp_path, arrange=apart)


@pytest.mark.parametrize("name", MODELS)
def test_operations(name, tmp_path):
    check_flops(build(name), (64, 96), tmp_path / "in.pt", own=False)


@pytest.mark.parametrize("name", ["nano", "yolov3"])
def test_training(name, tmp_path):
    check_training(build(name).backbone, torch.rand(2, 3, 64, 96), tmp_path)


@pytest.mark.parametrize("name", ["silu", "nano"])
def test_every_norm_is_fused(name, tmp_path):
    """As YOLOX's own fuse_model leaves it: no norm, and the method that it names."""
    model = build(name)
    torch.save(model, tmp_path / "in.pt")
    blocks = [n for n, m in model.named_modules() if isinstance(m, x.BaseConv)]
    result = fused(model, tmp_path / "in.pt", {(f"{n}.conv", f"{n}.bn") for n in blocks})
    assert all(not hasattr(m, "bn") and m.forward == m.fuseforward for m in result.modules() if isinstance(m, x.BaseConv))
    check_outputs(result, torch.rand(1, 3, 64, 64), tmp_path)


def fused(model, path, pairs):
    for module in model.modules():
        if isinstance(module, x.BaseConv):
            # What the shared check looks for, under this project's name.
            type(module).forward_fuse = type(module).fuseforward
    try:
        return check_fused_file(model, path, torch.rand(1, 3, 64, 64), must=pairs, may=pairs)[0]
    finally:
        del x.BaseConv.forward_fuse


def test_training_of_the_head_is_not_known(tmp_path):
    torch.save(build("silu"), tmp_path / "in.pt")
    save_file({"input.0": torch.rand(1, 3, 64, 64)}, tmp_path / "x.safetensors")
    files = [tmp_path / name for name in ("in.pt", "x.safetensors", "y.safetensors")]
    result = mutils(*files, "--training", program=INTERPRET)
    assert result.code == 1 and "in training is not known" in result.err
