"""4-bit floats, which PyTorch counts in pairs and safetensors one by one; 6-bit floats, which PyTorch does not have."""

import json
import struct

import pytest
import torch
from helpers import fails, report
from safetensors.torch import load_file, save, save_file

pytestmark = pytest.mark.skipif(not hasattr(torch, "float4_e2m1fn_x2"), reason="this PyTorch has no 4-bit floats")


def pairs(*shape):
    count = torch.Size(shape).numel()
    return (torch.arange(count) % 256).to(torch.uint8).view(torch.float4_e2m1fn_x2).reshape(shape)


def views():
    whole = pairs(4, 6)
    return {
        "whole": whole,
        "turned": whole.t(),
        "rows": whole[1:],
        "columns": whole[:, ::2],
        "flat": pairs(5),
        "empty": pairs(0, 3),
        "hollow": pairs(3, 0),
        "parameter": torch.nn.Parameter(pairs(2, 2), requires_grad=False),
    }


def assert_same_pairs(expected, actual):
    assert expected.keys() == actual.keys()
    for name in expected:
        theirs, ours = expected[name], actual[name]
        assert ours.dtype == torch.float4_e2m1fn_x2 and ours.shape == theirs.shape, name
        assert torch.equal(ours.contiguous().view(torch.uint8), theirs.contiguous().view(torch.uint8)), name


def raw_file(path, dtype, shape, count):
    header = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, count]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(range(count)))


def test_pairs_to_safetensors_and_back(tmp_path):
    torch.save(views(), tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")
    assert_same_pairs(views(), load_file(tmp_path / "out.safetensors"))
    plain = {name: tensor.contiguous().view(torch.uint8).clone().view(tensor.dtype) for name, tensor in views().items()}
    assert (tmp_path / "out.safetensors").read_bytes() == save(plain, {"format": "pt"})
    report("convert", tmp_path / "out.safetensors", "-o", tmp_path / "back.pt")
    assert_same_pairs(views(), torch.load(tmp_path / "back.pt", weights_only=True))


@pytest.mark.parametrize("options", [(), ("--state-dict",)])
def test_pairs_in_pytorch_files(options, tmp_path):
    torch.save(views(), tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt", *options)
    assert_same_pairs(views(), torch.load(tmp_path / "out.pt", weights_only=True))


def test_elements_are_counted_one_by_one(tmp_path):
    torch.save({"a": pairs(2)}, tmp_path / "a.pt")
    assert report("info", tmp_path / "a.pt")["parameters"] == 4


def test_a_single_pair_has_no_axis(tmp_path):
    torch.save({"a": pairs(1)[0]}, tmp_path / "a.pt")
    fails("info", tmp_path / "a.pt", naming="a.pt: a: ")


@pytest.mark.parametrize(("dtype", "shape", "count"), [("F4", [2, 3], 3), ("F6_E2M3", [4], 3), ("F6_E3M2", [2, 2], 3)])
def test_what_pytorch_does_not_have(dtype, shape, count, tmp_path):
    """It is refused by name for a .pt, with advice, and carried in safetensors."""
    raw_file(tmp_path / "in.safetensors", dtype, shape, count)
    refused = fails("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.pt", naming="in.safetensors: a: ")
    assert refused.err.rstrip().endswith("write a .safetensors file")
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes().endswith(bytes(range(count)))


@pytest.mark.parametrize("command", [("sparsity",), ("prune", "-o", "out.pt")])
def test_what_is_not_computed_is_named(command, tmp_path):
    save_file({"a.weight": pairs(2)}, tmp_path / "in.safetensors")
    fails(command[0], tmp_path / "in.safetensors", *command[1:], cwd=tmp_path, naming="in.safetensors: a.weight: ")
