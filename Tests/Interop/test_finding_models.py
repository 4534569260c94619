"""Where models stand in a file, what is said of those that are left behind, and what is no checkpoint at all."""

import gzip
import os
import sys
import types
import zipfile

import numpy as np
import pytest
import torch
from helpers import assert_same_tensors, fails, load, report, succeeds
from safetensors.torch import load_file, save_file
from torch import nn

# --- under which key --------------------------------------------------------------------------------------------


def holder():
    """An object of a user's class that holds a module, as trainers are saved."""
    module = sys.modules.setdefault("user_code", types.ModuleType("user_code"))
    module.Trainer = type("Trainer", (), {"__module__": "user_code"})
    trainer = module.Trainer()
    trainer.name, trainer.net = "run 3", nn.Conv2d(3, 4, 3)
    return trainer


def states(count):
    return [{"conv.weight": torch.full((4, 3, 3, 3), float(i + 1)), "conv.bias": torch.ones(4)} for i in range(count)]


CASES = {
    "list": (lambda: states(2), ["0", "1"]),
    "tuple": (lambda: tuple(states(1)), ["0"]),
    "list under a name": (lambda: {"models": states(2), "epoch": 3}, ["models.0", "models.1"]),
    "list under a known name": (lambda: {"model": states(1)}, ["model.0"]),
    "list of dicts": (lambda: {"runs": [{"best": s} for s in states(2)]}, ["runs.0.best", "runs.1.best"]),
    "object": (holder, ["net"]),
    "object in a dict": (lambda: {"trainer": holder()}, ["trainer.net"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_names_the_keys_that_would_do(case, tmp_path):
    make, keys = CASES[case]
    torch.save(make(), tmp_path / "in.pt")
    line = fails("info", tmp_path / "in.pt", naming="--key").err
    assert all(f"'{key}'" in line for key in keys)
    for key in keys:
        assert report("info", tmp_path / "in.pt", "--key", key)["parameters"] == 112


@pytest.mark.parametrize("case", CASES)
def test_a_model_that_was_chosen_is_changed_where_it_stands(case, tmp_path):
    make, keys = CASES[case]
    torch.save(make(), tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "--key", keys[-1], "-o", tmp_path / "out.pt", "--amount", "50%")

    def pruned(found, key):
        for part in key.split("."):
            found = found[int(part)] if isinstance(found, (list, tuple)) else getattr(found, part, None) or found[part]
        weight = found.weight if isinstance(found, nn.Module) else found["conv.weight"]
        return int((weight == 0).sum())

    out = load(tmp_path / "out.pt")
    assert type(out) is type(load(tmp_path / "in.pt"))
    assert [pruned(out, key) for key in keys] == [0] * (len(keys) - 1) + [54]


def test_keys_that_are_not_there(tmp_path):
    torch.save({"models": states(2)}, tmp_path / "in.pt")
    for key in ("models.2", "models.-1", "models.x", "models.0.conv", "models.00x"):
        fails("info", tmp_path / "in.pt", "--key", key, naming="no key")


def test_optimizers_are_not_offered(tmp_path):
    torch.save({"optimizers": states(2), "n": [1, 2]}, tmp_path / "in.pt")
    assert "--key" not in fails("info", tmp_path / "in.pt", naming="holds no model; it has 'optimizers', 'n'").err


# --- what is left behind ----------------------------------------------------------------------------------------


def test_other_models_of_the_file_are_named(tmp_path):
    torch.save({"model": states(1)[0], "ema": states(1)[0], "epoch": 1}, tmp_path / "in.pt")
    for options in (("-o", "out.safetensors"), ("-o", "out.pt", "--state-dict")):
        assert "left out: 'model'" in succeeds("convert", "in.pt", *options, cwd=tmp_path).err
    assert "left out" not in succeeds("convert", "in.pt", "-o", "whole.pt", cwd=tmp_path).err


@pytest.mark.parametrize("command", ["convert", "prune", "strip"])
def test_members_that_somebody_added(command, tmp_path):
    torch.save(states(1)[0], tmp_path / "in.pt")
    with zipfile.ZipFile(tmp_path / "in.pt", "a") as archive:
        archive.writestr("in/meta/info.json", "{}")
    result = succeeds(command, tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert "left out: 'in/meta/info.json'" in result.err
    assert all("info.json" not in name for name in zipfile.ZipFile(tmp_path / "out.pt").namelist())


def test_the_wrapper_of_a_compiled_module(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    torch.save(torch.compile(net), tmp_path / "in.pt")
    assert "torch.compile" in succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt").err
    assert type(load(tmp_path / "out.pt")) is nn.Sequential
    assert "torch.compile" not in succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors").err
    assert_same_tensors(net.state_dict(), load_file(tmp_path / "out.safetensors"))


# --- TorchScript ------------------------------------------------------------------------------------------------


class Grid(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 3)
        self.register_buffer("grid", torch.ones(10))

    def forward(self, x):
        return self._conv_forward(x, self.weight, self.bias) + self.grid.sum()


@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, torch.ones(1, 3, 8, 8))])
def test_buffers_of_a_script(make, tmp_path):
    net = nn.Sequential(Grid(), nn.BatchNorm2d(4)).eval()
    torch.jit.save(make(net), tmp_path / "in.pt")
    info = report("info", tmp_path / "in.pt")
    script = torch.jit.load(tmp_path / "in.pt")
    assert info["parameters"] == sum(p.numel() for p in script.parameters()) == 120
    assert info["buffers"] == sum(b.numel() for b in script.buffers())
    assert report("sparsity", tmp_path / "in.pt")["elements"] == 120
    assert_same_tensors(script.state_dict(), torch.load(out(tmp_path), weights_only=True))


def out(folder):
    report("convert", folder / "in.pt", "-o", folder / "out.pt")
    return folder / "out.pt"


# --- what is no checkpoint --------------------------------------------------------------------------------------


def exported(path):
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), path)


OTHERS = {
    "arrays.npz": (lambda p: np.savez(p, a=np.ones(2)), "NumPy arrays (.npz)"),
    "array.npy": (lambda p: np.save(p, np.ones(2)), "NumPy array (.npy)"),
    "model.pt.gz": (lambda p: p.write_bytes(gzip.compress(bytes(100))), "gunzip"),
    "program.pt2": (exported, "torch.export"),
    "model.onnx": (lambda p: p.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x052.0.0" + bytes(40)), "ONNX"),
    "model.gguf": (lambda p: p.write_bytes(b"GGUF" + bytes(60)), "GGUF"),
    "other.zip": (lambda p: zipfile.ZipFile(p, "w").writestr("a/b.txt", "x"), "holds no data.pkl"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_are_named(name, tmp_path):
    make, words = OTHERS[name]
    make(tmp_path / name)
    fails("info", tmp_path / name, naming=words)


@pytest.mark.parametrize("command", [("info",), ("convert", "-o", "x.pt")])
def test_folders(command, tmp_path):
    """Of a Hugging Face folder the file is named; what macOS has unpacked is to be packed again."""
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    fails(command[0], tmp_path, *command[1:], cwd=tmp_path, naming=f"is a folder; give {tmp_path}/model.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "in.pt")
    with zipfile.ZipFile(tmp_path / "in.pt") as archive:
        archive.extractall(tmp_path / "unpacked")
    fails(command[0], tmp_path / "unpacked/in", *command[1:], cwd=tmp_path, naming="zip -0r model.pt in")
    fails(command[0], tmp_path / "unpacked", *command[1:], cwd=tmp_path, naming="is a folder; give a file in it")


def test_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    fails("info", tmp_path / "pipe", naming="send what comes out of it to standard input")
