"""Whole-module files: everything that is not touched comes back as it was."""

import datetime
import decimal
import fractions
import uuid
from collections import OrderedDict, defaultdict

import nets
import numpy as np
import pytest
import torch
from helpers import (
    assert_same_tensors,
    fails,
    load,
    report,
    same_bits,
    to_pt,
    to_safetensors,
)
from torch import nn


def test_whole_module_to_state_dict(tmp_path):
    """--state-dict writes the state dict alone; .safetensors does so anyway."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(3, 3))
    torch.save(net, tmp_path / "in.pt")
    assert_same_tensors(net.state_dict(), to_pt(tmp_path / "in.pt", tmp_path, "--state-dict"))
    assert_same_tensors(net.state_dict(), to_safetensors(tmp_path / "in.pt", tmp_path))


def test_non_persistent_buffers(tmp_path):
    """A buffer that is not persistent is no entry of the state dict, but stays in the whole-module file."""
    net = nn.Sequential(nn.Linear(2, 2))
    net[0].register_buffer("cache", torch.ones(3), persistent=False)
    net[0].register_buffer("table", torch.ones(2))
    net[0].register_buffer("nothing", None)
    torch.save(net, tmp_path / "in.pt")
    assert_same_tensors(net.state_dict(), to_safetensors(tmp_path / "in.pt", tmp_path))
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "whole.pt")
    assert torch.equal(load(tmp_path / "whole.pt")[0].cache, torch.ones(3))


@pytest.mark.parametrize("saving", [{}, dict(_use_new_zipfile_serialization=False), dict(pickle_protocol=4)])
def test_whole_modules_keep_everything(saving, tmp_path):
    """Attributes of every kind come back as they were, and objects that were one are still one."""

    net = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    shared = [1, 2, 3]
    net.plain = {
        "none": None,
        "bools": (True, False),
        "ints": [0, -1, 255, 65535, 2**31, -(2**31), 2**63, -(2**63) - 1, 2**200, -(2**200)],
        "floats": [0.0, -0.0, 1e308, float("inf"), 5e-324],
        "text": ["", "é", "😀", "\x00", "x" * 300],
        "bytes": [b"", b"\x00\xff" * 200],
        "sets": [set(), {1, "a"}, frozenset({2})],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "complex": 1 + 2j,
        "range": range(3),
        "slice": slice(1, None, 2),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "date": datetime.datetime(2020, 1, 2, 3, 4, 5),
        "decimal": decimal.Decimal("1.5"),
        "fraction": fractions.Fraction(1, 3),
        "uuid": uuid.UUID(int=7),
        "bytearray": bytearray(b"abc"),
        "type": nn.Conv2d,
        "function": nn.functional.relu,
        1: "one",
        (2, 3): "key",
        "ordered": OrderedDict(a=1, b=shared),
        "shared": shared,
    }
    net.array = np.arange(6, dtype=np.float32).reshape(2, 3)
    net.scalar = np.float64(2.5)
    net.tensor = torch.arange(4)
    net.loop = [shared]
    net.loop.append(net.loop)
    net.parent_of_itself = [net]
    torch.save(net, tmp_path / "in.pt", **saving)
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    after = load(tmp_path / "out.pt")
    assert repr(after.plain) == repr(net.plain) and after.plain == net.plain
    assert after.plain["shared"] is after.plain["ordered"]["b"] is after.loop[0]
    assert after.loop[1] is after.loop and after.parent_of_itself[0] is after
    assert after.array.dtype == net.array.dtype and (after.array == net.array).all()
    assert after.scalar == 2.5 and type(after.scalar) is np.float64
    assert same_bits(after.tensor, net.tensor)
    assert_same_tensors(net.state_dict(), after.state_dict())


def kinds(value):
    """The classes of a value and of everything in it, in an order of their own where it has none."""
    if isinstance(value, dict):
        return type(value), [(kinds(key), kinds(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(repr, value))
    return type(value), value.tolist() if isinstance(value, torch.Tensor) else value


def detector(grid):
    """A detector of YOLOv5's, whose grid strip makes float16: here of kinds that it never has."""
    nets.import_yolov5()
    from yolov5.models import yolo

    rows = [[-1, 1, "Conv", [8, 3, 2]]], [[[-1], 1, "Detect", ["nc", "anchors"]]]
    model = yolo.DetectionModel(dict(zip(("backbone", "head"), rows), nc=1, anchors=1, depth_multiple=1, width_multiple=1))
    model.model[-1].grid = grid
    return {"model": model}


@pytest.mark.parametrize("saving", [{}, dict(pickle_protocol=4)])
@pytest.mark.parametrize("outer", [dict, OrderedDict])
def test_changed_dicts_keep_their_kind(outer, saving, tmp_path):
    """A tensor inside of a dict becomes another one; what stands beside it stays what it was."""
    grid = outer(
        weight=torch.ones(2),
        ordered=OrderedDict(b=1, a=OrderedDict(), c=[OrderedDict({3: torch.zeros(1)})]),
        sets=[set(), {1, "a", (2, None)}, frozenset(), frozenset({"b", frozenset({5})})],
        plain={(1, frozenset()): {}, "d": {"e": set()}},
    )
    with nets.RepositoryNames():
        torch.save(detector(grid), tmp_path / "in.pt", **saving)
    report("strip", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    after = load(tmp_path / "out.pt")["model"].model[-1].grid
    assert after["weight"].dtype == after["ordered"]["c"][0][3].dtype == torch.float16
    assert kinds(after) == kinds(grid)


def test_what_cannot_be_written_anew(tmp_path):
    """What a dict of another class holds stays, and nothing that holds one can change."""
    grid = defaultdict(list, weights=[torch.ones(2)])
    with nets.RepositoryNames():
        torch.save(detector(grid), tmp_path / "in.pt")
        report("strip", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
        assert kinds(load(tmp_path / "out.pt")["model"].model[-1].grid) == kinds(grid)
        torch.save(detector([torch.ones(2), grid]), tmp_path / "in.pt")
    reason = fails("strip", tmp_path / "in.pt", "-o", tmp_path / "again.pt").err
    assert "'grid' holds what was not understood when it was read (collections.defaultdict)" in reason


def test_functions_as_attributes(tmp_path):
    """Built-in functions and methods of classes are pickled as a getattr on a class: kept, like any unknown object."""
    net = nn.Sequential(nn.Conv2d(2, 2, 1))
    net.activation, net.gelu, net.method, net.bound = torch.tanh, nn.functional.gelu, nn.Conv2d.forward, net[0].forward
    torch.save(net, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "0.5")
    after = load(tmp_path / "out.pt")
    assert after.activation is torch.tanh and after.gelu is nn.functional.gelu and after.method is nn.Conv2d.forward
    assert after.bound.__self__ is after[0]
