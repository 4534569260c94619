"""4-bit floats, which PyTorch counts in pairs and safetensors one by one; 6-bit floats, which PyTorch does not have."""

import json
import struct

import pytest
import torch
from helpers import fails, mutils, report
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


def test_what_is_not_computed_is_named(tmp_path):
    save_file({"a.weight": pairs(2), "b.weight": torch.tensor([0.0, 1.0])}, tmp_path / "in.safetensors")
    result = report("sparsity", tmp_path / "in.safetensors")
    assert result["notCounted"] == ["a.weight"] and (result["elements"], result["zeros"]) == (2, 1)
    assert [layer["name"] for layer in result["layers"]] == ["b.weight"]
    assert "'a.weight'" in mutils("sparsity", tmp_path / "in.safetensors").err
    row = mutils("info", tmp_path / "in.safetensors", "--detailed").out.split("a.weight")[1].splitlines()[0]
    assert row.split()[-2:] == ["-", "-"] and "nan" not in row


@pytest.mark.parametrize("dtype", ["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"])
def test_what_is_only_converted_is_counted_and_measured(dtype, tmp_path):
    """As the values are in float32; a NaN is one of 256 patterns and left out here."""
    nan = 0xFF if dtype.endswith("fnu") else 0x80
    weight = torch.tensor([i for i in range(100, 200) if i != nan] + [0, 0], dtype=torch.uint8).view(getattr(torch, dtype))
    torch.save({"a.weight": weight}, tmp_path / "in.pt")
    values = weight.float()
    result = report("sparsity", tmp_path / "in.pt")
    assert (result["elements"], result["zeros"], result["notCounted"]) == (len(values), int((values == 0).sum()), [])
    row = mutils("info", tmp_path / "in.pt", "--detailed").out.split("a.weight")[1].splitlines()[0].split()
    assert [float(x) for x in row[-2:]] == pytest.approx([values.double().mean().item(), values.double().std().item()], rel=1e-2)
