"""FLOPs and shapes of Ultralytics' models: every judge's figure, to the last operation."""

import copy

import pytest
import torch
from helpers import mutils
from ultralytics.nn import tasks
from yolo_judges import check_flops

TASKS = {
    "-cls": tasks.ClassificationModel,
    "-seg": tasks.SegmentationModel,
    "-pose": tasks.PoseModel,
    "-obb": tasks.OBBModel,
    "-sem": tasks.SemanticSegmentationModel,
    "-depth": tasks.DepthModel,
    "rtdetr": tasks.RTDETRDetectionModel,
}


def build(name):
    model = next((task for part, task in TASKS.items() if part in name), tasks.DetectionModel)
    return model(f"{name}.yaml", verbose=False).eval()


SMALL = [
    *(f"{family}{scale}{task}" for family in ("yolov8", "yolo11") for scale in "ns" for task in ("", "-seg", "-pose", "-obb", "-cls")),
    *("yolov3-tiny", "yolov5n", "yolov5s", "yolov5n-p6", "yolov6n", "yolov6s", "yolov8n-p2", "yolov8n-p6", "yolov8n-ghost"),
    *("yolov8n-ghost-p2", "yolov8n-ghost-p6", "yolov8n-seg-p6", "yolov8n-pose-p6"),
    *("yolov9t", "yolov9s", "yolov10n", "yolov10s", "yolo12n", "yolo12s"),
    *(f"yolo12n{task}" for task in ("-seg", "-pose", "-obb", "-cls")),
    *(f"yolo26n{task}" for task in ("", "-seg", "-pose", "-obb", "-cls", "-p2", "-p6", "-sem", "-depth")),
]
LARGE = [
    *(f"{family}{scale}" for family in ("yolov8", "yolo11", "yolov10", "yolo12", "yolo26") for scale in "mlx"),
    *("yolov3", "yolov3-spp", "yolov5m", "yolov5l", "yolov5x", "yolov6m", "yolov9m", "yolov9c", "yolov9e", "yolov9c-seg", "yolov9e-seg"),
    *("yolov10b", "yolov8n-rtdetr", "rtdetr-l", "rtdetr-x", "rtdetr-resnet50", "rtdetr-resnet101"),
]


def size_of(name):
    return (64, 96) if name.endswith("-cls") else (640, 640) 


@pytest.mark.parametrize("name", SMALL)
def test_small(name, tmp_path):
    check_flops(build(name), size_of(name), tmp_path / "in.pt")


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large(name, tmp_path):
    check_flops(build(name), (192, 256), tmp_path / "in.pt", device="cpu" if "rtdetr" in name else "meta")
