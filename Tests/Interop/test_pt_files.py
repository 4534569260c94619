"""PyTorch's files: every protocol and format, nested dicts, archives of all kinds."""

import pickle
import struct
import zipfile
from collections import OrderedDict

import fixtures_pickles
import fixtures_tensors
import nets
import pytest
import torch
from helpers import (
    FIXTURES,
    assert_same_tensors,
    fails,
    report,
    to_pt,
    to_safetensors,
)
from safetensors.torch import save_file
from torch import nn


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickle_protocols(protocol, tmp_path):
    state = nets.small_state(30 + protocol)
    module = fixtures_pickles.OldStyle if protocol == 0 else pickle
    torch.save(state, tmp_path / "in.pt", pickle_module=module, pickle_protocol=protocol)
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))
    assert_same_tensors(state, to_safetensors(tmp_path / "in.pt", tmp_path))


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_legacy_protocols(protocol, tmp_path):
    state = nets.small_state(40 + protocol)
    state["view"] = state["conv.weight"][1:3]
    state["parameter"] = nn.Parameter(state["bn.weight"])
    torch.save(state, tmp_path / "in.pt", _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))


@pytest.mark.parametrize(
    "keys",
    [
        ("state_dict",),
        ("model_state_dict",),
        ("model",),
        ("ema",),
        ("net",),
        ("checkpoint", "state_dict"),
        ("ema", "module"),
    ],
)
def test_nested_state_dicts(keys, tmp_path):
    """A state dict inside a training dict is found by the usual names, also nested."""
    state = nets.small_state(50)
    value = state
    for key in reversed(keys):
        value = {
            "epoch": 4,
            key: value,
            "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
        }
    torch.save(value, tmp_path / "in.pt")
    arguments = () if len(keys) == 1 else ("--key", ".".join(keys))
    assert_same_tensors(state, to_safetensors(tmp_path / "in.pt", tmp_path, *arguments))


def test_choosing_a_key(tmp_path):
    """--key picks one of several; a key that is not there is an error that names it."""
    a, b = nets.small_state(51), nets.small_state(52)
    torch.save({"generator": a, "discriminator": b}, tmp_path / "in.pt")
    assert_same_tensors(b, to_safetensors(tmp_path / "in.pt", tmp_path, "--key", "discriminator"))
    result = fails("convert", tmp_path / "in.pt", "-o", tmp_path / "no.safetensors", "--key", "nothing", naming="in.pt")
    assert "nothing" in result.err


def test_nested_dict_keeps_its_companions(tmp_path):
    """Pruning a training dict and writing .pt keeps epoch, optimizer and the rest, and the order."""
    state = nets.small_state(53)
    value = {
        "epoch": 4,
        "state_dict": state,
        "optimizer": {"state": {0: {"m": torch.ones(3)}}},
        "note": "é",
        "best": 0.5,
    }
    torch.save(value, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "0.5")
    after = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(after) == list(value)
    assert (after["epoch"], after["note"], after["best"]) == (4, "é", 0.5)
    assert torch.equal(after["optimizer"]["state"][0]["m"], torch.ones(3))
    zeros = int((after["state_dict"]["conv.weight"] == 0).sum())
    assert zeros == state["conv.weight"].numel() // 2
    assert type(after["state_dict"]) is OrderedDict


def test_metadata_of_a_state_dict(tmp_path):
    """nn.Module.state_dict() carries `_metadata`, an attribute of the OrderedDict."""
    state = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()
    torch.save(state, tmp_path / "in.pt")
    after = to_pt(tmp_path / "in.pt", tmp_path)
    assert_same_tensors(state, after)
    nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).load_state_dict(after)


def test_big_endian(tmp_path):
    expected = torch.load(FIXTURES / "big_endian.pt")
    assert_same_tensors(expected, to_pt(FIXTURES / "big_endian.pt", tmp_path))
    assert_same_tensors(expected, to_safetensors(FIXTURES / "big_endian.pt", tmp_path))


@pytest.mark.parametrize("trace", [True, False])
def test_torchscript(trace, tmp_path):
    """A TorchScript archive is recognised; its parameters and buffers are read."""
    net = fixtures_tensors.Scripted().eval()
    net = (
        torch.jit.trace(net, torch.zeros(1, 3, 8, 8))
        if trace
        else torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    )
    torch.jit.save(net, str(tmp_path / "in.pt"))
    assert_same_tensors(dict(net.state_dict()), to_safetensors(tmp_path / "in.pt", tmp_path))
    assert report("info", tmp_path / "in.pt")["parameters"] == sum(p.numel() for p in net.parameters())


def test_without_checksums(tmp_path):
    """PyTorch can leave the CRCs out; it never checks them."""
    state = nets.small_state(54)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "in.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))


def test_deflated_and_minimal_archives(tmp_path):
    """PyTorch reads an archive that was packed again with compression, or that lacks the newer records."""
    state = nets.small_state(55)
    torch.save(state, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as source:
        for file, method, keep in (
            ("deflated.pt", zipfile.ZIP_DEFLATED, lambda n: True),
            ("minimal.pt", zipfile.ZIP_STORED, lambda n: "/data/" in n or n.endswith(("data.pkl", "version"))),
        ):
            with zipfile.ZipFile(tmp_path / file, "w", method) as target:
                for name in filter(keep, source.namelist()):
                    target.writestr(name, source.read(name))
            assert_same_tensors(state, torch.load(tmp_path / file))
            assert_same_tensors(state, to_pt(tmp_path / file, tmp_path, "--force"))


def test_content_decides(tmp_path):
    """The extension does not matter for reading."""
    state = dict(nets.small_state(56))
    save_file(state, tmp_path / "liar.pt")
    torch.save(state, tmp_path / "liar.safetensors")
    assert_same_tensors(state, to_pt(tmp_path / "liar.pt", tmp_path))
    assert_same_tensors(state, to_pt(tmp_path / "liar.safetensors", tmp_path, "--force"))


def test_written_pt_files_are_plain(tmp_path):
    """A .pt written from safetensors loads with weights_only, memory-mapped too, and its storages are aligned."""
    state = dict(nets.small_state(57))
    save_file(state, tmp_path / "in.safetensors")
    assert_same_tensors(state, to_pt(tmp_path / "in.safetensors", tmp_path))
    assert_same_tensors(state, torch.load(tmp_path / "out.pt", weights_only=True, mmap=True))
    with zipfile.ZipFile(tmp_path / "out.pt") as archive, open(tmp_path / "out.pt", "rb") as file:
        assert archive.testzip() is None
        assert len({n.split("/")[0] for n in archive.namelist()}) == 1
        for member in archive.infolist():
            assert member.compress_type == zipfile.ZIP_STORED
            if "/data/" in member.filename:
                file.seek(member.header_offset + 26)
                name, extra = struct.unpack("<HH", file.read(4))
                assert (member.header_offset + 30 + name + extra) % 64 == 0, member.filename


def test_many_tensors(tmp_path):
    """Several thousand storages: more than fit any small count."""
    state = {f"layer.{i}.weight": torch.tensor([float(i)]) for i in range(5000)}
    torch.save(state, tmp_path / "in.pt")
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))
    assert_same_tensors(state, to_safetensors(tmp_path / "in.pt", tmp_path))
