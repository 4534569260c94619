"""YOLOv5, YOLOv6 and YOLOv7: the reference interpreter gives the originals' outputs."""


import nets
import pytest
import torch
import yaml
import yolov7_blocks as v7
from output_judges import check_outputs, check_training
from test_flops_yolov5 import FOLDER, HUB, blocks
from test_flops_yolov6 import MODELS as YOLOV6
from test_flops_yolov7 import layers
from torch import nn


def build(name, folder="", width=0.25):
    """At a small width, where the file's own is larger."""
    models = nets.import_yolov5().models
    models.common.Conv.default_act = nn.SiLU()
    description = yaml.safe_load((FOLDER / folder / f"{name}.yaml").read_text())
    description["width_multiple"] = min(width, description["width_multiple"])
    description["depth_multiple"] = min(0.33, description["depth_multiple"])
    model = models.yolo.SegmentationModel if folder == "segment" else models.yolo.DetectionModel
    return nets.lively(model(description), 4)


def pictures(size=64):
    return torch.rand(2, 3, size, size)


@pytest.mark.parametrize("name", HUB)
def test_hub(name, tmp_path):
    check_outputs(build(name, "hub"), pictures(128 if "7" in name or "6" in name else 64), tmp_path, count=1)


def test_detection(tmp_path):
    check_outputs(build("yolov5n"), torch.rand(1, 3, 64, 96), tmp_path, count=1)


def test_segmentation(tmp_path):
    check_outputs(build("yolov5n-seg", "segment"), pictures(), tmp_path, count=2)


def classifier():
    yolo = nets.import_yolov5().models.yolo
    return nets.lively(yolo.ClassificationModel(model=build("yolov5n"), nc=7, cutoff=10), 5)


def test_classification(tmp_path):
    check_outputs(classifier(), pictures(), tmp_path)


def test_fused(tmp_path):
    check_outputs(nets.yolov5_fused(build("yolov5n").eval()), pictures(), tmp_path, count=1)


@pytest.mark.parametrize("name", blocks())
def test_blocks(name, tmp_path):
    check_outputs(nets.lively(blocks()[name], 6), torch.rand(1, 3, 64, 64), tmp_path)


@pytest.mark.parametrize("name, folder", [("yolov5n", ""), ("yolov5n-seg", "segment"), ("yolov5s-transformer", "hub")])
def test_training(name, folder, tmp_path):
    check_training(build(name, folder), pictures(), tmp_path)


def test_training_of_a_classifier(tmp_path):
    check_training(classifier(), pictures(), tmp_path)


@pytest.mark.parametrize("name", YOLOV6)
def test_yolov6(name, tmp_path):
    check_outputs(nets.lively(YOLOV6[name](), 7), torch.rand(2, 3, 64, 96), tmp_path)


@pytest.mark.parametrize("fused", [False, True])
def test_yolov7(fused, tmp_path):
    head = v7.IDetect((8, 8))
    if fused:
        head.forward = head.fuseforward
        del head.ia, head.im
    check_outputs(nets.lively(v7.model(head, *layers()), 8), torch.rand(2, 3, 64, 32), tmp_path, count=1)
