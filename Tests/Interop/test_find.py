"""find against isinstance over named_modules(), for every class that a model's modules have among their bases."""

import json
from pathlib import Path

import nets
import pytest
import timm_nets
import torch
import torchvision
import ultralytics
from helpers import fails, mutils, report
from torch import nn

YAMLS = Path(nets.import_yolov5().__file__).parent / "models"



class OwnConv(nn.Conv2d):
    pass


class OwnTransposed(nn.ConvTranspose1d):
    pass


MODELS = {
    "resnet18": lambda: torchvision.models.resnet18(),
    "densenet121": lambda: torchvision.models.densenet121(),
    "regnet_y_400mf": lambda: torchvision.models.regnet_y_400mf(),
    "convnext_tiny": lambda: torchvision.models.convnext_tiny(),
    "r2plus1d_18": lambda: torchvision.models.video.r2plus1d_18(),
    "yolov8n-seg": lambda: ultralytics.YOLO("yolov8n-seg.yaml", verbose=False).model,
    "yolo11n": lambda: ultralytics.YOLO("yolo11n.yaml", verbose=False).model,
    "yolov5n": lambda: nets.import_yolov5().models.yolo.DetectionModel(YAMLS / "yolov5n.yaml"),
    **{f"timm {name}": timm_nets.NETS[name] for name in ("bit same", "tf efficientnet", "mixnet", "byobnet", "vit", "sync")},
    "own convolutions": lambda: nn.Sequential(OwnConv(1, 1, 1), OwnTransposed(1, 1, 1)),
    "layers": lambda: nn.ModuleList(
        [nn.ReLU6(), nn.ZeroPad2d(1), nn.UpsamplingNearest2d(2), nn.Dropout2d(), nn.LSTM(2, 2), nn.InstanceNorm1d(2)]
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_types(name, tmp_path):
    model = MODELS[name]()
    torch.save(model, tmp_path / "in.pt")
    bases = {base for m in model.modules() for base in type(m).__mro__ if base not in (object, nn.Module)}
    for base in sorted((b for b in bases if issubclass(b, nn.Module)), key=lambda b: b.__name__):
        same_name = tuple(b for b in bases if b.__name__ == base.__name__)
        expected = [
            {"index": i, "name": n, "type": type(m).__name__}
            for i, (n, m) in enumerate(model.named_modules())
            if isinstance(m, same_name)
        ]
        assert report("find", tmp_path / "in.pt", "--type", base.__name__)["modules"] == expected, base


def test_patterns(tmp_path):
    model = torchvision.models.resnet18()
    torch.save(model, tmp_path / "in.pt")
    found = report("find", tmp_path / "in.pt", "--type", "Conv*", "--name", "layer?.0.*")["modules"]
    expected = [
        (i, n)
        for i, (n, m) in enumerate(model.named_modules())
        if isinstance(m, nn.Conv2d) and n.startswith("layer") and n[6:9] == ".0."
    ]
    assert [(m["index"], m["name"]) for m in found] == expected
    assert len(report("find", tmp_path / "in.pt")["modules"]) == len(list(model.modules()))
    full = report("find", tmp_path / "in.pt", "--type", "torch.nn.modules.batchnorm.BatchNorm2d")["modules"]
    assert len(full) == 20
    none = mutils("find", tmp_path / "in.pt", "--type", "Nothing", "--json")
    assert none.code == 1 and json.loads(none.out)["modules"] == []


def test_a_bare_state_dict_has_no_types(tmp_path):
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "in.pt")
    fails("find", tmp_path / "in.pt", "--type", "Linear", naming="bare state dict")
