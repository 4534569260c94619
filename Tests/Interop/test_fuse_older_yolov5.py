"""YOLOv5 up to 5.0 and what was made of it: the fused file names the method that their Conv has."""

import nets
import pytest
import torch
from helpers import assert_same_outputs, load, outputs, report
from torch import nn

yolov5 = nets.import_yolov5()
common, yolo = yolov5.models.common, yolov5.models.yolo
X = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


class Conv(nn.Module):
    """Built like YOLOv5 5.0's Conv, whose fused forward has its older name."""

    def __init__(self, c1, c2, k=1, s=1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))

    def fuseforward(self, x):
        return self.act(self.conv(x))


class Model(nn.Module):
    """Built like YOLOv5 5.0's Model: no attribute `inplace`, here or in the head."""

    def __init__(self, channels=3):
        super().__init__()
        detect = yolo.Detect(nc=2, anchors=[[10, 13, 16, 30]], ch=[16])
        detect.stride = torch.tensor([4.0])
        del detect.inplace
        layers = [Conv(channels, 8, 3, 2), Conv(8, 16, 3, 2), common.SPP(16, 16), detect]
        for index, layer in enumerate(layers):
            layer.i, layer.f, layer.type, layer.np = index, -1, type(layer).__name__, 0
        self.model = nn.Sequential(*layers)
        self.save, self.yaml, self.names = [], {"nc": 2}, ["cat", "dog"]

    def forward(self, x):
        for layer in self.model:
            x = layer([x]) if isinstance(layer, yolo.Detect) else layer(x)
        return x


@pytest.fixture
def older(monkeypatch):
    """The classes under the names that the repository of those days pickles and finds them by."""
    for cls, place in [(Conv, common), (Model, yolo)]:
        monkeypatch.setattr(place, cls.__name__, cls)
        monkeypatch.setattr(cls, "__module__", place.__name__.removeprefix("yolov5."))
    monkeypatch.setattr(yolo.Detect, "inplace", True, raising=False)  # today's forward looks for it
    torch.manual_seed(5)
    return nets.lively(Model(), 5).eval()


@pytest.mark.parametrize("part", ["model", "checkpoint", "layers", "traced"])
def test_its_own_code_loads_it(part, older, tmp_path):
    if part == "traced":
        older.traced, older.inplace = False, True
    value = {"model": {"model": older}, "checkpoint": {"model": older, "ema": older}, "layers": older.model}.get(part, older)
    torch.save(value, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    blocks = [n for n, m in older.named_modules() if isinstance(m, Conv)]
    prefix = "model." if part == "layers" else ""
    assert [prefix + p["conv"] for p in result["fused"]] == [f"{n}.conv" for n in blocks] and len(blocks) == 4
    loaded = load(tmp_path / "out.pt")
    loaded = loaded["model"] if isinstance(loaded, dict) else loaded
    fused = [m for m in loaded.modules() if isinstance(m, Conv)]
    assert len(fused) == 4 and all(m.forward == m.fuseforward and not hasattr(m, "bn") for m in fused)
    if part == "layers":
        older.model, loaded, expected = loaded, older, outputs(older, X)
        assert_same_outputs(expected, outputs(loaded, X))
    else:
        assert_same_outputs(outputs(older, X), outputs(loaded, X))


def test_newer_code_keeps_its_name(tmp_path):
    model = nets.yolov5_tiny()
    with nets.RepositoryNames():
        torch.save(model, tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    loaded = load(tmp_path / "out.pt")
    assert all(m.forward == m.forward_fuse for m in loaded.modules() if isinstance(m, common.Conv))
    assert_same_outputs(outputs(model, X), outputs(loaded, X))
