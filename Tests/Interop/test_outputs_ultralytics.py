"""Ultralytics' models: the reference interpreter gives the originals' outputs, of every head."""

import nets
import pytest
import torch
from output_judges import check_outputs, check_training
from helpers import assert_same_outputs, load, outputs, report, tensors_in
from test_flops_ultralytics import BLOCKS, FUSED, TASKS, TEXTS, tasks
from ultralytics.nn.tasks import yaml_model_load

# At these factors the smallest of a family are as fast as the others.
DEPTH, WIDTH, MOST = 0.33, 0.25, 256

FIVE = ("", "-seg", "-pose", "-obb", "-cls")
DENSE = [
    "yolov3-tiny", "yolov3", "yolov3-spp", "yolov5n", "yolov5n-p6", "yolov6n", "yolov9t", "yolov9c", "yolov9c-seg",
    *(f"yolov8n-{form}" for form in ("p2", "p6", "ghost", "ghost-p2", "ghost-p6", "seg-p6", "pose-p6")),
    *(f"{family}{task}" for family in ("yolov8n", "yolo11n", "yolo12n") for task in FIVE),
    "yolo26n-cls", "yolo26n-sem", "yolo26n-depth",
]  # fmt: skip
# Heads that choose the best queries themselves.
CHOOSING = [
    "yolov10n", "yolo26n", "yolo26n-seg", "yolo26n-pose", "yolo26n-obb", "yolo26n-p2", "yolo26n-p6", "yolov8n-rtdetr",
]  # fmt: skip
SLOW_CHOOSING = ["rtdetr-l", "rtdetr-resnet50"]


def build(name):
    """Narrow and shallow, where the file's own is larger."""
    make = next((task for part, task in TASKS.items() if part in name), tasks.DetectionModel)
    description = yaml_model_load(f"{name}.yaml")
    if "scales" in description and "rtdetr" not in name:
        scale = description.get("scale") or next(iter(description["scales"]))
        depth, width, most = description["scales"][scale]
        description["scales"][scale] = [min(depth, DEPTH), min(width, WIDTH), min(most, MOST)]
    torch.manual_seed(9)
    return nets.lively(make(description, verbose=False), 9)


def pictures(name):
    size = 128 if "p6" in name or "yolo12" in name else 64
    return torch.rand(2, 3, size, size)


def apart(outputs):
    """Scores beside boxes, whose pixels are so much larger."""
    parts = []
    for tensor in outputs:
        dense = tensor.dim() == 3 and tensor.shape[1] > 4
        parts += [tensor[:, :4], tensor[:, 4:]] if dense else [tensor]
    return parts


def by_columns(outputs):
    """Each column of detections [batch, count, features] by itself and in order: near-tied scores change places."""
    parts = []
    for tensor in outputs:
        parts += tensor.sort(dim=1).values.unbind(2) if tensor.dim() == 3 else [tensor]
    return parts


def raw(outputs):
    """Of a head in training for each level boxes and scores together, then what else it predicts, then prototypes."""
    if not isinstance(outputs, dict):
        return tensors_in(outputs)
    sizes = [feature.shape[2:] for feature in outputs["feats"]]
    levels = torch.cat([outputs["boxes"], outputs["scores"]], 1).split([h * w for h, w in sizes], 2)
    parts = [level.unflatten(2, size) for level, size in zip(levels, sizes)]
    return parts + [outputs[k] for k in ("mask_coefficient", "angle", "kpts", "proto") if k in outputs]


def count_of(name):
    """Masks have prototypes beside them; what follows is for losses."""
    return 2 if "-seg" in name else 1


@pytest.mark.parametrize("name", DENSE)
def test_dense_heads(name, tmp_path):
    check_outputs(
        build(name), pictures(name), tmp_path, count_of(name), arrange=apart, in_double="yolo12" in name)


@pytest.mark.parametrize("name", [*CHOOSING, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW_CHOOSING)])
def test_choosing_heads(name, tmp_path):
    model = build(name)
    if "rtdetr" not in name:
        model.end2end, model.model[-1].max_det = True, 20
    check_outputs(
        model, pictures(name), tmp_path, count_of(name), arrange=by_columns, in_double="rtdetr" in name)


@pytest.mark.parametrize("name", FUSED)
def test_fused(name, tmp_path):
    model = build(name).eval().fuse(verbose=False)
    check_outputs(model, pictures(name), tmp_path, count_of(name), arrange=by_columns)


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name, tmp_path):
    torch.manual_seed(10)
    check_outputs(nets.lively(BLOCKS[name](), 10), torch.rand(2, 3, 32, 48), tmp_path)


@pytest.mark.parametrize("task", FIVE)
def test_training(task, tmp_path):
    check_training(build(f"yolov8n{task}"), pictures(""), tmp_path, arrange=raw)


@pytest.mark.parametrize("name, task", TEXTS)
def test_models_that_take_texts(name, task, tmp_path):
    model = nets.lively(getattr(tasks, task)(f"{name}.yaml", verbose=False), 9)
    if task != "WorldModel":
        model.pe = torch.randn(1, 5, 512)
    check_outputs(model, pictures(name), tmp_path, count=2 if "-seg" in name else 1)


def test_fused_texts(tmp_path):
    """Texts that went into the convolutions before the heads that compared them; what they leave is a static method."""
    model = nets.lively(tasks.YOLOEModel("yoloe-v8n.yaml", verbose=False), 9).eval()
    texts, x = torch.randn(1, 3, 512), torch.rand(2, 3, 64, 64)
    model.set_classes(["a", "b", "c"], texts)
    model.model[-1].fuse(texts)
    check_outputs(model, x, tmp_path, count=1, arrange=apart)
    torch.save(model, tmp_path / "in.pt")
    assert report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")["fused"]
    assert_same_outputs(outputs(model, x)[:1], outputs(load(tmp_path / "out.pt"), x)[:1])
