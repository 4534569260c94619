"""check of files that only look dangerous, hold no model, or broken numbers; texts as Python reads them."""

import functools
import json
import pickle
import struct
import sys
import tarfile
import types
import typing

import numpy as np
import pytest
import torch
from helpers import fails, load_file, mutils, report
from hostile_archives import archive
from hostile_checks import Evil, checked
from hostile_pickles import PROTO, STOP, tensor, text
from safetensors.torch import save_file
from torch import nn


def own(source, module="nested"):
    made = sys.modules[module] = types.ModuleType(module)
    exec("from torch import nn\nimport enum\n" + source, made.__dict__)
    return made


NESTED = own(
    "class Net(nn.Module):\n"
    " class Block(nn.Conv2d): pass\n"
    " class Kind(enum.Enum): A = 1\n"
    " def __init__(s):\n  super().__init__(); s.stem = Net.Block(3, 4, 3); s.kind = Net.Kind.A\n"
)


def thnn():
    class Backend:
        def __reduce__(self):
            from torch.nn.backends.thnn import _get_thnn_function_backend

            return _get_thnn_function_backend, ()

    old = nn.Conv2d(3, 4, 3)
    old.__dict__["_backend"] = Backend()
    return old


def users_own():
    user = sys.modules["code.models"] = types.ModuleType("code.models")
    user.Net = type("Net", (nn.Sequential,), {"__module__": "code.models"})
    return user.Net(nn.Conv2d(3, 4, 3))


W = nn.Conv2d(3, 4, 3).state_dict()
INNOCENT = {
    "RandomState": ("safe", lambda: {"state_dict": W, "rng": np.random.RandomState(0)}),
    "Generator": ("safe", lambda: {"state_dict": W, "rng": np.random.default_rng(0)}),
    "SeedSequence": ("safe", lambda: {"state_dict": W, "rng": np.random.SeedSequence(3)}),
    "random state": ("safe", lambda: {"state_dict": W, "rng": np.random.get_state()}),
    "torch.Generator": ("safe", lambda: {"state_dict": W, "rng": torch.Generator()}),
    "Optional": ("safe", lambda: {"state_dict": W, "kind": typing.Optional[int]}),
    "list of int": ("safe", lambda: {"state_dict": W, "kind": list[int]}),
    "union": ("safe", lambda: {"state_dict": W, "kind": int | str}),
    "type of None": ("safe", lambda: {"state_dict": W, "kind": type(None)}),
    "torch's version": ("safe", lambda: {"state_dict": W, "version": torch.__version__}),
    "partial of a layer": ("safe", lambda: {"state_dict": W, "norm": functools.partial(nn.LayerNorm, eps=1e-6)}),
    "function of torch.nn": ("safe", lambda: {"state_dict": W, "act": nn.functional.silu}),
    "optimizer": ("safe", lambda: {"state_dict": W, "optimizer": torch.optim.AdamW([torch.ones(1)])}),
    "thnn backend": ("safe", thnn),
    "nested classes": ("suspicious", NESTED.Net),
    "user's package": ("suspicious", users_own),
}


@pytest.mark.parametrize("kind", INNOCENT)
def test_innocent(tmp_path, kind):
    expected, make = INNOCENT[kind]
    path, out = tmp_path / "m.pt", tmp_path / "o.pt"
    torch.save(make(), path)
    assert checked(path) == expected
    assert mutils("convert", path, "-o", out).code == 0
    a, b = (torch.load(p, weights_only=False) for p in (path, out))
    assert type(a) is type(b)
    assert report("info", path)["parameters"] == 112


@pytest.mark.parametrize("kind", ["quantized", "list", "optimizer", "scheduler", "sparse", "plain"])
def test_files_without_a_model(tmp_path, kind):
    """They get their verdict."""
    path = tmp_path / "m.pt"
    parameters = list(nn.Conv2d(3, 4, 3).parameters())
    optimizer = torch.optim.AdamW(parameters)
    value = {
        "quantized": {"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)},
        "list": [torch.ones(2)],
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3).state_dict(),
        "sparse": {"w": torch.eye(3).to_sparse()},
        "plain": "text",
    }[kind]
    torch.save(value, path)
    result = mutils("check", path, "--json")
    assert result.code == 0 and json.loads(result.out)["verdict"] == "safe", result.out
    torch.save({"x": value, "e": Evil()}, path)
    assert checked(path) == "dangerous"


# No pickles: by their content, as `info` tells, and whether torch.load gives up as well is asked of it.
OTHERS = {
    "onnx": (b"\x08\x07\x12\x07pytorch" + bytes(40), "is neither"),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), "is compressed with gzip"),
    "page": (b"<!DOCTYPE html><html></html>", "is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer"),
    "gguf": (b"GGUF" + struct.pack("<IQQ", 3, 2, 2) + bytes(40), "is a GGUF file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "is an HDF5 file"),
    "npy": (b"\x93NUMPY\x01\0" + bytes(40), "is a single NumPy array"),
    "webp": (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40), "is neither"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "is neither"),
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(40), "is neither"),
    "text": (b"hi", "is neither"),
    "sentence": (b"In all that follows, no number is meant.\nSo.", "is neither"),
    "memo": (b"get it\n", "is neither"),
    "zeros": (bytes(100), "is neither"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_pickle_has_no_verdict(tmp_path, kind):
    data, what = OTHERS[kind]
    path = tmp_path / "m.pt"
    path.write_bytes(data)
    with pytest.raises(Exception):
        torch.load(path, weights_only=False)
    assert what in fails("check", path, naming="m.pt").err
    assert fails("check", path, naming="m.pt").err == fails("info", path, naming="m.pt").err


@pytest.mark.parametrize("data", [
    b"cos\nsystem\n(S'touch MARK'\ntR\x08",  # runs before it breaks off
    b"\x89cos\nsystem\n<html",  # imports
    b"cos\nsystem",  # imported by Python's own unpickler, which needs no line feed at the end
    b"ios\nsystem\n",  # and before that looks for the MARK
    b"U\x02osU\x06system\x93",  # named by texts of Python 2
    b"\x82\x01.",  # of the registry of extensions
])
def test_what_python_would_import_keeps_its_verdict(tmp_path, data):
    path = tmp_path / "m.pt"
    path.write_bytes(data)
    result = mutils("check", path, "--strict", "--json")
    assert result.code == 1 and json.loads(result.out)["verdict"] in ("dangerous", "suspicious"), result.err


def test_one_shard_that_is_dangerous_is_told_beside_one_that_is_none(tmp_path):
    (tmp_path / "a.bin").write_bytes(OTHERS["pointer"][0])
    torch.save({"b": torch.ones(2), "e": Evil()}, tmp_path / "b.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "a.bin", "b": "b.bin"}}))
    assert checked(index) == "dangerous"
    index.write_text(json.dumps({"weight_map": {"a": "a.bin"}}))
    assert "Git LFS" in fails("check", index, naming="a.bin").err


def test_files_without_pickles(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "m.safetensors")
    assert mutils("check", tmp_path / "m.safetensors").out == "Holds no pickles; 0 findings\n"


def test_tar_archives(tmp_path):
    for kind, names in {"other": ["a.txt", "b.txt"], "torch": ["sys_info", "pickle", "storages", "tensors"]}.items():
        for mode, ending in (("w", "tar"), ("w:gz", "tar.gz")):
            with tarfile.open(tmp_path / f"{kind}.{ending}", mode) as tar:
                for name in names:
                    tar.addfile(tarfile.TarInfo(name))
    for command in ("check", "info"):
        assert fails(command, tmp_path / "other.tar", naming="other.tar").err.rstrip().endswith("is a tar archive; unpack it")
        assert "before 0.2" in fails(command, tmp_path / "torch.tar", naming="torch.tar").err
        assert "is a compressed tar archive; unpack it with tar xzf" in fails(command, tmp_path / "other.tar.gz", naming="other").err


def test_strict(tmp_path):
    path = tmp_path / "m.pt"
    torch.save(NESTED.Net(), path)
    assert mutils("check", path).code == 0 and mutils("check", path, "--strict").code == 1
    torch.save(W, path)
    assert mutils("check", path, "--strict").code == 0


def test_numbers_of_every_type_and_model(tmp_path):
    path = tmp_path / "m.pt"
    nan = float("nan")
    for value in (
        {"w": torch.tensor([complex(1, nan)])},
        {"w": torch.tensor([complex(1, nan)]).to(torch.complex32)},
        {"w": torch.tensor([complex(float("inf"), 0)], dtype=torch.complex128)},
        {"w": torch.tensor([nan]).to(torch.float8_e4m3fnuz)},
        {"w": torch.tensor([nan]).to(torch.float8_e5m2fnuz)},
        {"w": torch.tensor([nan]).to(torch.float8_e8m0fnu)},
        {"ema": {"w": torch.ones(2)}, "model": {"w": torch.tensor([nan])}},
    ):
        torch.save(value, path)
        result = mutils("check", path, "--json")
        assert result.code == 1 and json.loads(result.out)["verdict"] == "safe", value


def test_trailing_bytes(tmp_path):
    path = tmp_path / "m.pt"
    torch.save(W, path)
    with open(path, "ab") as file:
        file.write(b"\n")
    assert torch.load(path).keys() == W.keys() and report("info", path)["parameters"] == 112
    torch.save({"w": torch.ones(1), "e": Evil()}, path)
    with open(path, "ab") as file:
        file.write(b"\n")
    assert checked(path) == "dangerous"


def test_python2_strings_as_python_reads_them(tmp_path):
    for literal in (rb"'\a\b\f\v\\\'\"\101\7\1234\q'", rb"'\x41\x0a\n\t\r\0'", rb'"it\'s"'):
        path = tmp_path / "m.pt"
        path.write_bytes(archive(PROTO + b"}(S" + literal + b"\n" + tensor() + b"u" + STOP))
        expected = list(torch.load(path, weights_only=False))
        assert mutils("convert", path, "-o", tmp_path / "o.safetensors", "--force").code == 0
        assert list(load_file(tmp_path / "o.safetensors")) == expected, literal


def test_raw_unicode_as_python_reads_it(tmp_path):
    path = tmp_path / "m.pt"
    for line in (rb"\u0041", rb"a\\u0041", rb"\\\u0041", rb"\U00000041b", rb"a\q"):
        data = PROTO + b"}(V" + line + b"\n" + tensor() + b"u" + STOP
        path.write_bytes(archive(data))
        expected = list(torch.load(path, weights_only=False))
        assert mutils("convert", path, "-o", tmp_path / "o.safetensors", "--force").code == 0
        assert list(load_file(tmp_path / "o.safetensors")) == expected, line
    assert pickle.loads(b"V" + rb"\\u0041" + b"\n.") == "\\\\u0041"
