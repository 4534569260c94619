"""Gradients of whole networks in training mode equal torch's."""

import nets
import pytest
import torch
import torchvision
from gradient_judges import check_gradients
from torch import nn

NETS = "resnet18 mobilenet_v3_small efficientnet_b0 shufflenet_v2_x0_5 convnext_tiny squeezenet1_1 densenet121 " \
       "mobilenet_v2 mnasnet0_5 regnet_x_400mf"
OPTIONS = {"mobilenet_v2": dict(width_mult=0.35)}


def build(name):
    torch.manual_seed(1)
    return nets.lively(getattr(torchvision.models, name)(num_classes=7, **OPTIONS.get(name, {})), 1)


@pytest.mark.parametrize("name", NETS.split())
def test_torchvision(name, tmp_path):
    check_gradients(build(name), torch.rand(3, 3, 48, 40), tmp_path)


def test_vit(tmp_path):
    torch.manual_seed(1)
    model = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=7)
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    check_gradients(model, torch.rand(3, 3, 32, 32), tmp_path)


@pytest.mark.parametrize("name", ["yolov5n"])
def test_yolov5(name, tmp_path):
    from yolov5.models.yolo import Model
    torch.manual_seed(1)
    model = nets.lively(Model(f"{name}.yaml", ch=3, nc=3), 1)
    check_gradients(model, torch.rand(2, 3, 64, 96), tmp_path)


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolov10n"])
def test_ultralytics(name, tmp_path):
    from ultralytics.nn.tasks import DetectionModel
    torch.manual_seed(1)
    model = nets.lively(DetectionModel(f"{name}.yaml", ch=3, nc=3, verbose=False), 1)
    check_gradients(model, torch.rand(2, 3, 64, 96), tmp_path)
