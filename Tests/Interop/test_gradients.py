"""Gradients of whole networks in training mode equal torch's."""

import pytest
import test_outputs_torchvision as torchvision_nets
import test_outputs_ultralytics as ultralytics_nets
import test_outputs_yolov5 as yolov5_nets
import torch
import torchvision
from gradient_judges import check_gradients
from originals import YOLOV6
from torch import nn

NETS = (
    "resnet18 mobilenet_v3_small efficientnet_b0 shufflenet_v2_x0_5 convnext_tiny squeezenet1_1 mobilenet_v2 "
    "regnet_x_400mf"
)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_interpreter(name, tmp_path):
    model = torchvision_nets.build(name, **torchvision_nets.MODELS[name])
    check_gradients(model, torch.rand(3, 3, 48, 40), tmp_path, by="interpreter")


@pytest.mark.parametrize("name", NETS.split())
def test_torchvision(name, tmp_path):
    model = torchvision_nets.build(name, **torchvision_nets.MODELS[name])
    # Statistics of a handful of pixels would be rounding alone.
    check_gradients(model, torch.rand(4, 3, 96, 64), tmp_path)


@pytest.mark.parametrize("by", ["engine", "interpreter"])
def test_vit(by, tmp_path):
    torch.manual_seed(1)
    model = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=7
    )
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    check_gradients(model, torch.rand(3, 3, 32, 32), tmp_path, by=by)


def test_yolov5(tmp_path):
    check_gradients(yolov5_nets.build("yolov5n"), torch.rand(2, 3, 64, 96), tmp_path)


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
def test_ultralytics(name, tmp_path):
    check_gradients(ultralytics_nets.build(name), torch.rand(2, 3, 64, 96), tmp_path, arrange=ultralytics_nets.raw)


@pytest.mark.parametrize("name", ["n distilled", "m"])
def test_yolov6(name, tmp_path):
    with YOLOV6:
        import test_yolov6

        check_gradients(test_yolov6.build(name), torch.rand(2, 3, 128, 128), tmp_path)


@pytest.mark.parametrize("by", ["engine", "interpreter"])
@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(5, 7, 2, bidirectional=True, batch_first=True),
        nn.LSTM(5, 7, 2, bias=False, bidirectional=True, proj_size=4),
        nn.GRU(5, 7, 3, bidirectional=True),
        nn.GRU(5, 4, bias=False),
        nn.RNN(5, 7, 2, nonlinearity="relu", batch_first=True),
        nn.RNN(5, 3, bidirectional=True),
    ],
    ids=str,
)
def test_recurrences(layer, by, tmp_path):
    torch.manual_seed(3)
    check_gradients(layer, torch.randn(6, 3, 5), tmp_path, by=by)
