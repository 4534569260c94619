"""Reading and rewriting tensors: every dtype, every view, bit for bit."""

from collections import OrderedDict

import fixtures_tensors
import pytest
import torch
from helpers import (
    assert_same_tensors,
    contiguous,
    mutils,
    to_pt,
    to_safetensors,
)
from safetensors import safe_open

MORE_DTYPES = ["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "complex128"]


def every_dtype():
    return fixtures_tensors.of_every_dtype()


@pytest.mark.parametrize("dtype", list(every_dtype()))
@pytest.mark.parametrize("shape", [(2, 3), (1,), (), (0,), (2, 0, 3), (1, 1, 7)])
def test_every_dtype_both_ways(dtype, shape, tmp_path):
    """.pt to .safetensors and back, bit for bit, 0-d and empty tensors too."""
    tensors = {dtype: fixtures_tensors.of_every_dtype(shape)[dtype]}
    torch.save(tensors, tmp_path / "in.pt")
    assert_same_tensors(tensors, to_safetensors(tmp_path / "in.pt", tmp_path))
    assert_same_tensors(tensors, to_pt(tmp_path / "out.safetensors", tmp_path))


def test_all_dtypes_together(tmp_path):
    tensors = every_dtype()
    for options in ({}, dict(_use_new_zipfile_serialization=False)):
        old = {
            k: v
            for k, v in tensors.items()
            if not options or not k.startswith(("float8", "uint16", "uint32", "uint64"))
        }
        torch.save(old, tmp_path / "in.pt", **options)
        assert_same_tensors(old, to_pt(tmp_path / "in.pt", tmp_path, "--force"))


@pytest.mark.parametrize("dtype", MORE_DTYPES)
def test_dtypes_carried(dtype, tmp_path):
    """Rarer dtypes are carried faithfully or refused; never changed."""
    tensors = {"a": torch.arange(64, dtype=torch.uint8).view(getattr(torch, dtype)), "b": torch.ones(2)}
    torch.save(tensors, tmp_path / "in.pt")
    result = mutils("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert result.code in (0, 1)
    if result.code == 0:
        assert_same_tensors(tensors, torch.load(tmp_path / "out.pt", weights_only=True))


@pytest.mark.parametrize("extension", ["pt", "safetensors"])
def test_strange_views(extension, tmp_path):
    """Shared, offset, strided, transposed, channels_last and expanded tensors are written with the right values."""
    tensors = fixtures_tensors.strange_tensors()
    torch.save(tensors, tmp_path / "in.pt")
    ours = (to_pt if extension == "pt" else to_safetensors)(tmp_path / "in.pt", tmp_path)
    if extension == "safetensors":
        with safe_open(tmp_path / "out.safetensors", "pt") as f:
            aliases = f.metadata() or {}
        for name, kept in aliases.items():
            if name in tensors and kept in ours:
                ours[name] = ours[kept]
    assert_same_tensors(contiguous(tensors), contiguous(ours))


def test_a_view_of_a_large_storage(tmp_path):
    """A small view keeps its values whether or not the rest of its storage is written."""
    base = torch.randn(1000, 100)
    tensors = {"row": base[500], "column": base[:, 7], "corner": base[990:, 95:].t()}
    torch.save(tensors, tmp_path / "in.pt")
    assert_same_tensors(contiguous(tensors), contiguous(to_pt(tmp_path / "in.pt", tmp_path)))
    assert_same_tensors(contiguous(tensors), to_safetensors(tmp_path / "in.pt", tmp_path))
    assert (tmp_path / "out.safetensors").stat().st_size < 20_000


def test_sharing_survives(tmp_path):
    """Tensors that share a storage in a .pt still share one after a rewrite."""
    state = OrderedDict(a=torch.randn(4, 4), c=torch.randn(3))
    state["b"] = state["a"]
    state["d"] = state["a"].t()
    torch.save(state, tmp_path / "in.pt")
    ours = to_pt(tmp_path / "in.pt", tmp_path)
    assert list(ours) == list(state)
    assert (
        ours["a"].untyped_storage().data_ptr()
        == ours["b"].untyped_storage().data_ptr()
        == ours["d"].untyped_storage().data_ptr()
    )
    assert_same_tensors(contiguous(state), contiguous(ours))


@pytest.mark.parametrize(
    "text, dtype", [("float16", torch.float16), ("bfloat16", torch.bfloat16), ("float32", torch.float32)]
)
def test_changing_the_dtype(text, dtype, tmp_path):
    """--dtype converts what floats, rounding to nearest even, and leaves integers."""
    values = torch.cat(
        [
            torch.randn(1000) * 10 ** torch.randint(-9, 6, (1000,)).float(),
            torch.tensor(
                [
                    0.0,
                    -0.0,
                    float("inf"),
                    -float("inf"),
                    float("nan"),
                    65504,
                    65519.99,
                    65520,
                    1e-8,
                    5.96e-8,
                    2.98e-8,
                    3.4e38,
                ]
            ),
        ]
    )
    tensors = {
        "w": values,
        "n": torch.arange(5),
        "h": torch.randn(33).half(),
        "b": torch.randn(33).bfloat16(),
        "d": torch.randn(9).double(),
    }
    torch.save(tensors, tmp_path / "in.pt")
    ours = to_safetensors(tmp_path / "in.pt", tmp_path, "--dtype", text)
    for name, tensor in tensors.items():
        expected = tensor.to(dtype) if tensor.is_floating_point() else tensor
        assert ours[name].dtype == expected.dtype
        assert torch.equal(
            torch.nan_to_num(ours[name].double(), 7.0, 8.0, 9.0), torch.nan_to_num(expected.double(), 7.0, 8.0, 9.0)
        ), name
