"""strip leaves what YOLOv5's strip_optimizer leaves."""

import copy
from pathlib import Path

import nets
import pytest
import torch
from helpers import FIXTURES, fails, load, report, same_bits, succeeds
from torch import nn

yolov5 = nets.import_yolov5()
general = yolov5.utils.general
YAML = Path(yolov5.__file__).parent / "models/yolov5n.yaml"


def assert_alike(ours, theirs, where=""):
    """Equal as far as Python can see: types, attributes, tensors bit for bit."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, torch.Tensor):
        assert same_bits(ours.detach(), theirs.detach()) and ours.requires_grad == theirs.requires_grad, where
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key in ours:
            assert_alike(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs), where
        for index, (x, y) in enumerate(zip(ours, theirs)):
            assert_alike(x, y, f"{where}.{index}")
    elif isinstance(ours, nn.Module):
        assert_alike(vars(ours), vars(theirs), where)
    elif isinstance(ours, (int, float, str, bytes, bool, set, type(None))):
        assert ours == theirs, where


def training_checkpoint(path, with_ema=True):
    """What YOLOv5's train.py saves."""
    torch.manual_seed(0)
    model = nets.lively(yolov5.models.yolo.DetectionModel(YAML, ch=3, nc=4), 0).train()
    ema = yolov5.utils.torch_utils.ModelEMA(model)
    ema.update(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    file = {
        "epoch": 17,
        "best_fitness": 0.5,
        "model": copy.deepcopy(model).half(),
        "ema": copy.deepcopy(ema.ema).half() if with_ema == "half" else copy.deepcopy(ema.ema) if with_ema else None,
        "updates": ema.updates,
        "optimizer": optimizer.state_dict(),
        "opt": {"lr": 0.1},
        "date": "today",
    }
    torch.save(file, path)


@pytest.mark.parametrize("with_ema", [True, False, "half"])
def test_against_the_original(tmp_path, with_ema):
    path = tmp_path / "last.pt"
    training_checkpoint(path, with_ema)
    answer = report("strip", path, "-o", tmp_path / "ours.pt")
    assert answer["bytesBefore"] == path.stat().st_size
    assert answer["bytesAfter"] == (tmp_path / "ours.pt").stat().st_size
    general.strip_optimizer(path, tmp_path / "theirs.pt")
    assert_alike(load(tmp_path / "ours.pt"), load(tmp_path / "theirs.pt"))


def test_missing_keys_are_added(tmp_path):
    torch.save({"model": nn.Sequential(nn.Conv2d(3, 4, 1))}, tmp_path / "m.pt")
    report("strip", tmp_path / "m.pt", "-o", tmp_path / "ours.pt")
    general.strip_optimizer(tmp_path / "m.pt", tmp_path / "theirs.pt")
    assert_alike(load(tmp_path / "ours.pt"), load(tmp_path / "theirs.pt"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_dtype_and_in_place(tmp_path, dtype):
    path = tmp_path / "last.pt"
    training_checkpoint(path)
    before = load(path)["ema"].state_dict()
    fails("strip", path, "-o", path, "--dtype", dtype, naming="exists")
    report("strip", path, "-o", path, "--force", "--dtype", dtype)
    for name, tensor in load(path)["model"].state_dict().items():
        old = before[name]
        assert same_bits(tensor, old.to(getattr(torch, dtype)) if old.is_floating_point() else old)


def test_overflow(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    for value, fits in [(65519.0, True), (65520.0, False), (float("inf"), True)]:
        model[1].bias.data[0] = value
        torch.save({"model": model}, tmp_path / "m.pt")
        if fits:
            report("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt", "--force")
        else:
            fails("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt", "--force", naming="1.bias")
            result = succeeds("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt", "--force", "--allow-overflow")
            assert "1.bias" in result.err
        assert same_bits(load(tmp_path / "o.pt")["model"][1].bias.detach(), model[1].bias.detach().half())


def test_state_dict(tmp_path):
    state = {"a": torch.randn(3), "n": torch.tensor(4)}
    torch.save(state, tmp_path / "m.pt")
    report("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt")
    ours = torch.load(tmp_path / "o.pt", weights_only=True)
    assert list(ours) == ["a", "n"] and same_bits(ours["a"], state["a"].half()) and same_bits(ours["n"], state["n"])


def test_fixture(tmp_path):
    path = FIXTURES / "training_checkpoint.pt"
    report("strip", path, "-o", tmp_path / "ours.pt")
    general.strip_optimizer(path, tmp_path / "theirs.pt")
    assert_alike(load(tmp_path / "ours.pt"), load(tmp_path / "theirs.pt"))
