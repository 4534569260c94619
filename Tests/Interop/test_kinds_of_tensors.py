"""Tensors that are more or less than numbers: attributes, rare floats, NumPy's arrays, meta and lazy parameters."""

import numpy as np
import pytest
import torch
from helpers import fails, load, mutils, report, same_bits, succeeds
from safetensors.torch import load_file
from torch import nn

RARE = ["float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"]


# --- element types ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("name", RARE)
def test_rare_floats_are_converted(name, target, tmp_path):
    """Every pattern of the types that are not computed with; more of them than one block takes."""
    patterns = torch.arange(256).to(torch.uint8).repeat(100).view(getattr(torch, name)).reshape(100, 256)
    torch.save({"w": patterns, "turned": patterns.t()}, tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--dtype", target)
    found = load(tmp_path / "out.pt")
    for key, theirs in (("w", patterns), ("turned", patterns.t())):
        wanted, ours = theirs.float().to(getattr(torch, target)).double(), found[key].double()
        assert found[key].dtype == getattr(torch, target)
        assert torch.equal(wanted.isnan(), ours.isnan())
        assert torch.equal(wanted.nan_to_num(nan=0), ours.nan_to_num(nan=0))


def test_what_becomes_infinite_is_named(tmp_path):
    large = {"a.weight": torch.tensor([1.0, 70000.0, -1e30]), "b.weight": torch.ones(2), "c.weight": torch.tensor([1e5])}
    torch.save(large, tmp_path / "in.pt")
    result = succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--dtype", "float16")
    assert "2 elements of a.weight became infinite in float16" in result.err
    assert "1 elements of c.weight became infinite in float16" in result.err and "b.weight" not in result.err
    for name, tensor in load(tmp_path / "out.pt").items():
        assert same_bits(tensor, large[name].half())
    kept = succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "kept.pt", "--dtype", "bfloat16")
    assert "infinite" not in kept.err


def test_many_that_become_infinite(tmp_path):
    torch.save({f"w{i}": torch.tensor([1e5]) for i in range(11)}, tmp_path / "in.pt")
    result = succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--dtype", "float16")
    assert result.err.count("became infinite") == 8 and "3 more tensors" in result.err


# --- attributes of tensors --------------------------------------------------------------------------------------


def marked(tensor, **attributes):
    for name, value in attributes.items():
        setattr(tensor, name, value)
    return tensor


@pytest.mark.parametrize("options", [(), ("--amount", "0.5")])
def test_attributes_of_parameters_stay(options, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    marked(net[0].weight, sparsity=0.3, mask=torch.ones(2))
    marked(net[1].running_mean, origin=["x"])
    torch.save(net, tmp_path / "in.pt")
    command = ("prune", *options) if options else ("convert", "--dtype", "float64")
    report(command[0], tmp_path / "in.pt", "-o", tmp_path / "out.pt", *command[1:])
    out = load(tmp_path / "out.pt")
    assert type(out[0].weight) is nn.Parameter and out[0].weight.requires_grad
    assert out[0].weight.sparsity == 0.3 and torch.equal(out[0].weight.mask, torch.ones(2))
    assert out[1].running_mean.origin == ["x"]
    assert out(torch.ones(1, 3, 8, 8).to(out[0].weight.dtype)).shape == (1, 4, 6, 6)


def test_fusing_keeps_attributes(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    marked(net[0].weight, sparsity=0.3)
    torch.save(net, tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert load(tmp_path / "out.pt")[0].weight.sparsity == 0.3


@pytest.mark.parametrize("dtype", ["float16", "float8_e5m2"])
def test_attributes_in_a_state_dict_stay(dtype, tmp_path):
    state = {
        "plain": marked(torch.ones(2, 3), note="x"),
        "view": marked(torch.arange(12.0).reshape(3, 4).t()[1:], note=7),
        "parameter": marked(nn.Parameter(torch.ones(2), requires_grad=False), note=None),
    }
    torch.save(state, tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--dtype", dtype)
    out = load(tmp_path / "out.pt")
    for name, tensor in state.items():
        assert type(out[name]) is type(tensor) and out[name].note == tensor.note
        assert out[name].requires_grad == tensor.requires_grad
        assert torch.equal(out[name].float(), tensor.to(getattr(torch, dtype)).float())
        assert out[name].dtype == getattr(torch, dtype)


# --- NumPy's arrays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_arrays(protocol, tmp_path):
    arrays = {
        "rows": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "axes": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(4, dtype=">i4"),
        "steps": np.arange(10.0)[::2],
        "fixed": np.frombuffer(b"\1\2\3", np.uint8),
        "empty": np.zeros((0, 3), np.float16),
        "scalar": np.array(2.5),
    }
    torch.save({"model": arrays}, tmp_path / "in.pt", pickle_protocol=protocol)
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].shape == array.shape and np.array_equal(found[name].numpy(), array), name
    assert report("check", tmp_path / "in.pt")["verdict"] == "safe"
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    again = load(tmp_path / "out.pt")["model"]
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())


# --- without values ---------------------------------------------------------------------------------------------


def test_meta_tensors_are_counted(tmp_path):
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.save(net, tmp_path / "net.pt")
    torch.save({"a.weight": torch.ones(2, 3, device="meta"), "huge": torch.empty(1 << 40, device="meta")}, tmp_path / "s.pt")
    assert report("info", tmp_path / "net.pt")["parameters"] == sum(p.numel() for p in net.parameters())
    assert report("info", tmp_path / "s.pt")["parameters"] == 6 + (1 << 40)
    report("convert", tmp_path / "net.pt", "-o", tmp_path / "same.pt")
    assert load(tmp_path / "same.pt")[0].weight.is_meta
    for command in ("prune", "sparsity", "convert"):
        output = () if command == "sparsity" else ("-o", tmp_path / f"{command}.safetensors")
        fails(command, tmp_path / "net.pt", *output, naming="meta device")
    assert fails("convert", tmp_path / "s.pt", "-o", tmp_path / "s.safetensors", address_space=1 << 32).code == 1


def test_lazy_parameters_are_named(tmp_path):
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Linear(4, 2))
    torch.save(net, tmp_path / "net.pt")
    torch.save(net.state_dict(), tmp_path / "state.pt")
    lazy = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    for name in ("net.pt", "state.pt"):
        info = report("info", tmp_path / name)
        assert info["parameters"] == 10 and sorted(info["uninitialized"]) == sorted(lazy)
        assert "6 lazy parameters" in succeeds("info", tmp_path / name).err
        result = succeeds("convert", tmp_path / name, "-o", tmp_path / "out.safetensors", "--force")
        assert all(f"'{key}'" in result.err for key in lazy)
    succeeds("prune", tmp_path / "net.pt", "-o", tmp_path / "out.pt")
    out = load(tmp_path / "out.pt")
    assert out(torch.ones(1, 3, 6, 4).transpose(2, 3)).shape[-1] == 2 and out[0].weight.shape == (4, 3, 3, 3)


def test_no_notes_where_nothing_is_left_out(tmp_path):
    torch.save({"a.weight": torch.ones(2)}, tmp_path / "in.pt")
    assert mutils("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors").err == ""
