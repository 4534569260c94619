"""classify against torchvision's transforms, timm's, Ultralytics' and YOLOv5's own predictors: the same five classes and their probabilities."""

import cv2
import nets
import pytest
import timm
import torch
from detecting import pictures
from helpers import fails, report
from PIL import Image
from torch import nn
from torchvision.models import get_model, get_model_weights
from ultralytics import YOLO

PROBABILITY = 1e-4


@torch.no_grad()
def lively(model):
    """Probabilities that differ, and from picture to picture."""
    torch.manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.normal_(std=0.1)
    last = [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
    last.weight.normal_(std=0.05)
    return model.eval()


def compare(model, files, expected, folder, *options):
    torch.save(model, folder / "in.pt")
    result = report("classify", folder / "in.pt", *files, *options, timeout=300)
    assert [image["file"] for image in result["images"]] == [str(file) for file in files]
    for image, probabilities in zip(result["images"], expected):
        values, places = probabilities.topk(5)
        assert len(image["classes"]) == 5
        for guess, value, place in zip(image["classes"], values, places):
            assert guess["probability"] == pytest.approx(value.item(), abs=PROBABILITY)
            near = abs(probabilities[guess["class"]].item() - value.item())
            assert guess["class"] == place or near < 1e-6
    return result


NAMES = [
    "resnet50", "resnet18", "efficientnet_b0", "efficientnet_b1", "mobilenet_v3_small", "swin_t", "vit_b_32", "inception_v3",
    "convnext_tiny", "regnet_y_400mf", "shufflenet_v2_x1_5", "squeezenet1_1", "mnasnet0_5", "mnasnet0_75", "mobilenet_v2", "alexnet",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_torchvision(name, tmp_path):
    extra = {"init_weights": False} if name == "inception_v3" else {}
    model = lively(get_model(name, **extra))
    transform = get_model_weights(name).DEFAULT.transforms()
    files = pictures(tmp_path)
    with torch.no_grad():
        expected = [model(transform(Image.open(file).convert("RGB"))[None]).softmax(1)[0] for file in files]
    result = compare(model, files, expected, tmp_path)
    assert all(guess["name"] == f"class {guess['class']}" for image in result["images"] for guess in image["classes"])


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "mixer_s32_224", "efficientnet_lite0"])
def test_timm(name, tmp_path):
    model = lively(timm.create_model(name))
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    files = pictures(tmp_path)
    with torch.no_grad():
        expected = [model(transform(Image.open(file).convert("RGB"))[None]).softmax(1)[0] for file in files]
    compare(model, files, expected, tmp_path)


@pytest.mark.parametrize("name", ["yolov8n-cls", "yolo11n-cls", "yolo26n-cls"])
@pytest.mark.parametrize("size", [224, 96])
def test_ultralytics(name, size, tmp_path):
    torch.manual_seed(3)
    yolo = YOLO(f"{name}.yaml")
    lively(yolo.model)
    files = pictures(tmp_path)
    expected = [yolo.predict(str(file), imgsz=size, verbose=False)[0].probs.data for file in files]
    compare(yolo.model, files, expected, tmp_path, "--image-size", size)


def test_yolov5(tmp_path):
    yolov5 = nets.import_yolov5()
    from yolov5.utils.augmentations import classify_transforms

    path = yolov5.models.yolo.__file__.replace("yolo.py", "yolov5n.yaml")
    model = lively(yolov5.models.yolo.ClassificationModel(model=yolov5.models.yolo.DetectionModel(path), nc=10))
    model.names = {i: f"kind {i}" for i in range(10)}
    files = pictures(tmp_path)
    with torch.no_grad():
        expected = [model(classify_transforms(224)(cv2.imread(str(file)))[None]).softmax(1)[0] for file in files]
    result = compare(model, files, expected, tmp_path)
    assert all(guess["name"].startswith("kind ") for image in result["images"] for guess in image["classes"])


def test_what_is_no_classifier(tmp_path):
    torch.save(nn.Conv2d(3, 4, 3), tmp_path / "in.pt")
    files = pictures(tmp_path)[:1]
    assert "a classifier gives one row" in fails("classify", tmp_path / "in.pt", *files).err
    torch.save({"a.weight": torch.rand(3, 3)}, tmp_path / "bare.pt")
    assert "no known architecture" in fails("classify", tmp_path / "bare.pt", *files).err
