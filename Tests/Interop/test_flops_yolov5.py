"""FLOPs and shapes of YOLOv5's models and blocks: every judge's figure, to the last operation."""

import copy
import re
from pathlib import Path

import nets
import pytest
import torch
from flops_judges import hollow
from helpers import succeeds
from torch import nn
from yolo_judges import check_flops

FOLDER = Path(nets.import_yolov5().models.yolo.__file__).parent
HUB = sorted(path.stem for path in (FOLDER / "hub").glob("*.yaml") if path.stem != "anchors")


def build(name, folder=""):
    models = nets.import_yolov5().models
    models.common.Conv.default_act = nn.SiLU()
    model = models.yolo.SegmentationModel if folder == "segment" else models.yolo.DetectionModel
    return model(FOLDER / folder / f"{name}.yaml").eval()


@pytest.mark.parametrize("name", ["yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x"])
def test_models(name, tmp_path):
    check_flops(build(name), (640, 640), tmp_path / "in.pt")


@pytest.mark.parametrize("name", HUB)
def test_hub(name, tmp_path):
    check_flops(build(name, "hub"), (384, 640), tmp_path / "in.pt")


@pytest.mark.parametrize("scale", "nsx")
def test_segmentation(scale, tmp_path):
    check_flops(build(f"yolov5{scale}-seg", "segment"), (640, 640), tmp_path / "in.pt")


@pytest.mark.parametrize("cutoff", [10, 5])
def test_classification(cutoff, tmp_path):
    yolo = nets.import_yolov5().models.yolo
    model = yolo.ClassificationModel(model=build("yolov5n"), nc=7, cutoff=cutoff)
    check_flops(model, (224, 224), tmp_path / "in.pt")


def test_fused(tmp_path):
    check_flops(nets.yolov5_fused(build("yolov5n")), (320, 320), tmp_path / "in.pt")


def blocks():
    models = nets.import_yolov5().models
    common, experimental = models.common, models.experimental
    return {
        "Contract": nn.Sequential(nn.Conv2d(3, 2, 1), common.Contract(4), nn.Conv2d(32, 8, 1)),
        "Expand": nn.Sequential(nn.Conv2d(3, 18, 1), common.Expand(3), nn.Conv2d(2, 8, 1)),
        "CrossConv": nn.Sequential(common.CrossConv(3, 3, 3, 1, 1, 1.0, True), common.CrossConv(3, 8, 5, 2)),
        "C3x": common.C3x(3, 8, 2),
        "C3SPP": common.C3SPP(3, 16, n=1),
        "MixConv2d": experimental.MixConv2d(3, 12, (1, 3, 5), 2),
        "MixConv2d, by parameters": experimental.MixConv2d(3, 12, (1, 3), 1, False),
        "BottleneckCSP": common.BottleneckCSP(3, 8, 2),
        "DWConvTranspose2d": nn.Sequential(nn.Conv2d(3, 8, 1), common.DWConvTranspose2d(8, 8, 3, 2, 1, 1)),
        "GhostBottleneck": nn.Sequential(common.GhostBottleneck(3, 8, 3, 2), common.GhostBottleneck(8, 8)),
        "Focus": common.Focus(3, 8, 3),
        "Ensemble": ensemble(experimental, common),
    }


def ensemble(experimental, common):
    both = experimental.Ensemble()
    both.extend(build(name) for name in ("yolov5n", "yolov5s"))
    return both


@pytest.mark.parametrize("name", blocks())
def test_blocks(name, tmp_path):
    check_flops(blocks()[name], (96, 192), tmp_path / "in.pt")


@pytest.mark.parametrize(
    "name, folder", [("yolov5n", ""), ("yolov5s6", "hub"), ("yolov5s-transformer", "hub"), ("yolov3-tiny", "hub")]
)
@pytest.mark.parametrize("size", [(640, 640), (320, 448)])
def test_extrapolated(name, folder, size, tmp_path, monkeypatch):
    """--extrapolate prints YOLOv5's own line: thop at one stride, times the area."""
    torch_utils = nets.import_yolov5().utils.torch_utils
    model = build(name, folder)
    torch.save(hollow(copy.deepcopy(model)), tmp_path / "in.pt")
    lines = []
    monkeypatch.setattr(torch_utils.LOGGER, "info", lines.append)
    torch_utils.model_info(model, imgsz=list(size))
    theirs = re.search(r"(\d+) layers, .* ([\d.]+) GFLOPs", lines[-1])
    ours = succeeds("info", tmp_path / "in.pt", "--extrapolate", "--image-size", f"{size[0]}x{size[1]}").out
    assert re.match(r"Model Summary: (\d+) layers, .* ([\d.]+) GFLOPs\n", ours).groups() == theirs.groups()
