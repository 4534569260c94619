"""strip leaves what YOLOv5's strip_optimizer leaves."""

import copy
import re
import zipfile
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


def test_missing_keys_are_not_added(tmp_path):
    """The original adds None for what a file never had."""
    torch.save({"model": nn.Sequential(nn.Conv2d(3, 4, 1))}, tmp_path / "m.pt")
    report("strip", tmp_path / "m.pt", "-o", tmp_path / "ours.pt")
    general.strip_optimizer(tmp_path / "m.pt", tmp_path / "theirs.pt")
    ours = load(tmp_path / "ours.pt")
    assert list(ours) == ["model"]
    assert_alike(ours["model"], load(tmp_path / "theirs.pt")["model"])


def state(seed):
    torch.manual_seed(seed)
    return nn.Conv2d(3, 4, 3).state_dict()


def half(state):
    return {name: tensor.half() for name, tensor in state.items()}


AVERAGES = {
    "RT-DETR": ({"model": 1, "ema": {"module": 0, "updates": 7}, "optimizer": {}}, "ema.module", "model"),
    "nested": ({"model": 1, "ema": {"model": 0}}, "ema.model", "model"),
    "alone": ({"ema": {"module": 0}}, "ema.module", "model"),
    "timm": ({"state_dict": 1, "state_dict_ema": 0, "epoch": 3}, "state_dict_ema", "state_dict"),
    "model_ema": ({"model": 1, "model_ema": 0, "scaler": {"a": 1}}, "model_ema", "model"),
    "BasicSR": ({"params": 1, "params_ema": 0}, "params_ema", "params"),
    "ema_state_dict": ({"state_dict": 1, "ema_state_dict": 0}, "ema_state_dict", "state_dict"),
}


@pytest.mark.parametrize("kind", AVERAGES)
@pytest.mark.parametrize("whole", [False, True])
def test_averages(tmp_path, kind, whole):
    def filled(value, key=""):
        if isinstance(value, dict):
            return {name: filled(part, name) for name, part in value.items()}
        if key in ("updates", "epoch", "a"):
            return value
        if not whole:
            return state(value)
        module = nn.Conv2d(3, 4, 3)
        module.load_state_dict(state(value))
        return module

    root, average, place = AVERAGES[kind]
    torch.save(filled(root), tmp_path / "m.pt")
    answer = report("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt")
    assert answer["average"] == average and answer["usedAverage"]
    ours = load(tmp_path / "o.pt")
    model = ours[place].state_dict() if whole else ours[place]
    assert all(same_bits(model[name], tensor) for name, tensor in half(state(0)).items())
    assert not ours.get(average.split(".")[0])


def test_lightning(tmp_path):
    adam = torch.optim.Adam(nn.Linear(2, 2).parameters())
    file = {
        "pytorch-lightning_version": "2.5", "epoch": 3, "global_step": 9, "state_dict": state(0),
        "optimizer_states": [adam.state_dict()], "lr_schedulers": [{"last_epoch": 3}], "loops": {},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}}, "hyper_parameters": {"lr": 0.1},
    }  # fmt: skip
    torch.save(file, tmp_path / "m.ckpt")
    answer = report("strip", tmp_path / "m.ckpt", "-o", tmp_path / "o.ckpt")
    assert answer["removed"] == ["optimizer_states", "lr_schedulers", "loops", "callbacks"]
    ours = load(tmp_path / "o.ckpt")
    assert list(ours) == ["pytorch-lightning_version", "epoch", "global_step", "state_dict", "hyper_parameters"]
    assert all(same_bits(ours["state_dict"][name], tensor) for name, tensor in half(state(0)).items())


def test_an_average_that_is_not_understood(tmp_path):
    torch.save({"model": state(0), "ema": {"shadow_params": [torch.ones(2)]}}, tmp_path / "m.pt")
    fails("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt", naming="ema")
    report("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt", "--key", "model")


def test_a_lone_tensor_is_no_model(tmp_path):
    latent = torch.randn(512)
    torch.save({"g_ema": state(0), "latent_avg": latent}, tmp_path / "m.pt")
    report("strip", tmp_path / "m.pt", "-o", tmp_path / "o.pt")
    ours = load(tmp_path / "o.pt")
    assert same_bits(ours["latent_avg"], latent)
    assert all(same_bits(ours["g_ema"][name], tensor) for name, tensor in half(state(0)).items())
    torch.save({"encoder": state(0), "decoder": state(1), "loss": torch.tensor(0.3)}, tmp_path / "two.pt")
    fails("info", tmp_path / "two.pt", naming="holds several models: 'encoder', 'decoder'")


def locations(path):
    pickle = zipfile.ZipFile(path).read(f"{path.stem}/data.pkl")
    return set(re.findall(rb"cuda:\d|cpu", pickle))


@pytest.mark.parametrize("whole", [False, True])
def test_one_device(tmp_path, monkeypatch, whole):
    """A machine with a GPU writes its tensors as `cuda:0`."""
    path = tmp_path / "m.pt"
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.save({"model": model if whole else model.state_dict(), "ema": None, "epoch": 3}, path)
    for command, options, expected in [
        ("strip", [], {b"cpu"}),
        ("prune", [], {b"cuda:0"}),
        ("convert", ["--dtype", "float16"], {b"cuda:0"}),
        ("fuse", ["--pair", "0=1", *([] if whole else ["--eps", "1e-5"])], {b"cuda:0"}),
    ]:
        out = tmp_path / f"{command}.pt"
        succeeds(command, path, "-o", out, *options)
        assert locations(out) == expected, command


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
