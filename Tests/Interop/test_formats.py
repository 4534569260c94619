"""Reading and writing: nothing is lost, and the originals take what was written."""

import io
import json
import struct
import zipfile
from collections import OrderedDict

import make_fixtures
import pytest
import torch
from helpers import FIXTURES, assert_same_tensors, fails, load, mutils, report, same_bits, succeeds
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save, save_file, save_model
from torch import nn

MORE_DTYPES = ["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "complex128"]


def every_dtype():
    return make_fixtures.of_every_dtype()


def contiguous(tensors):
    return {k: v.contiguous() for k, v in tensors.items()}


def to_pt(source, tmp_path, *arguments):
    report("convert", source, "-o", tmp_path / "out.pt", *arguments)
    return torch.load(tmp_path / "out.pt", weights_only=True)


def to_safetensors(source, tmp_path, *arguments):
    report("convert", source, "-o", tmp_path / "out.safetensors", *arguments)
    return load_file(tmp_path / "out.safetensors")


# --- dtypes and views -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", list(every_dtype()))
@pytest.mark.parametrize("shape", [(2, 3), (1,), (), (0,), (2, 0, 3), (1, 1, 7)])
def test_every_dtype_both_ways(dtype, shape, tmp_path):
    """.pt to .safetensors and back, bit for bit, 0-d and empty tensors too."""
    tensors = {dtype: make_fixtures.of_every_dtype(shape)[dtype]}
    torch.save(tensors, tmp_path / "in.pt")
    assert_same_tensors(tensors, to_safetensors(tmp_path / "in.pt", tmp_path))
    assert_same_tensors(tensors, to_pt(tmp_path / "out.safetensors", tmp_path))


def test_all_dtypes_together(tmp_path):
    tensors = every_dtype()
    for options in ({}, dict(_use_new_zipfile_serialization=False)):
        old = {k: v for k, v in tensors.items() if not options or not k.startswith(("float8", "uint16", "uint32", "uint64"))}
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
    tensors = make_fixtures.strange_tensors()
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
    assert ours["a"].untyped_storage().data_ptr() == ours["b"].untyped_storage().data_ptr() == ours["d"].untyped_storage().data_ptr()
    assert_same_tensors(contiguous(state), contiguous(ours))


@pytest.mark.parametrize("text, dtype", [("float16", torch.float16), ("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_changing_the_dtype(text, dtype, tmp_path):
    """--dtype converts what floats, rounding to nearest even, and leaves integers."""
    values = torch.cat([torch.randn(1000) * 10 ** torch.randint(-9, 6, (1000,)).float(), torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 65504, 65519.99, 65520, 1e-8, 5.96e-8, 2.98e-8, 3.4e38])])
    tensors = {"w": values, "n": torch.arange(5), "h": torch.randn(33).half(), "b": torch.randn(33).bfloat16(), "d": torch.randn(9).double()}
    torch.save(tensors, tmp_path / "in.pt")
    ours = to_safetensors(tmp_path / "in.pt", tmp_path, "--dtype", text)
    for name, tensor in tensors.items():
        expected = tensor.to(dtype) if tensor.is_floating_point() else tensor
        assert ours[name].dtype == expected.dtype
        assert torch.equal(torch.nan_to_num(ours[name].double(), 7.0, 8.0, 9.0), torch.nan_to_num(expected.double(), 7.0, 8.0, 9.0)), name


# --- .pt files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickle_protocols(protocol, tmp_path):
    state = make_fixtures.small_state(30 + protocol)
    module = make_fixtures.OldStyle if protocol == 0 else make_fixtures.pickle
    torch.save(state, tmp_path / "in.pt", pickle_module=module, pickle_protocol=protocol)
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))
    assert_same_tensors(state, to_safetensors(tmp_path / "in.pt", tmp_path))


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_legacy_protocols(protocol, tmp_path):
    state = make_fixtures.small_state(40 + protocol)
    state["view"] = state["conv.weight"][1:3]
    state["parameter"] = nn.Parameter(state["bn.weight"])
    torch.save(state, tmp_path / "in.pt", _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))


@pytest.mark.parametrize(
    "keys", [("state_dict",), ("model_state_dict",), ("model",), ("ema",), ("net",), ("checkpoint", "state_dict"), ("ema", "module")]
)
def test_nested_state_dicts(keys, tmp_path):
    """A state dict inside a training dict is found by the usual names, also nested."""
    state = make_fixtures.small_state(50)
    value = state
    for key in reversed(keys):
        value = {"epoch": 4, key: value, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}}
    torch.save(value, tmp_path / "in.pt")
    arguments = () if len(keys) == 1 else ("--key", ".".join(keys))
    assert_same_tensors(state, to_safetensors(tmp_path / "in.pt", tmp_path, *arguments))


def test_choosing_a_key(tmp_path):
    """--key picks one of several; a key that is not there is an error that names it."""
    a, b = make_fixtures.small_state(51), make_fixtures.small_state(52)
    torch.save({"generator": a, "discriminator": b}, tmp_path / "in.pt")
    assert_same_tensors(b, to_safetensors(tmp_path / "in.pt", tmp_path, "--key", "discriminator"))
    result = fails("convert", tmp_path / "in.pt", "-o", tmp_path / "no.safetensors", "--key", "nothing", naming="in.pt")
    assert "nothing" in result.err


def test_nested_dict_keeps_its_companions(tmp_path):
    """Pruning a training dict and writing .pt keeps epoch, optimizer and the rest, and the order."""
    state = make_fixtures.small_state(53)
    value = {"epoch": 4, "state_dict": state, "optimizer": {"state": {0: {"m": torch.ones(3)}}}, "note": "é", "best": 0.5}
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
    net = make_fixtures.Scripted().eval()
    net = torch.jit.trace(net, torch.zeros(1, 3, 8, 8)) if trace else torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    torch.jit.save(net, str(tmp_path / "in.pt"))
    assert_same_tensors(dict(net.state_dict()), to_safetensors(tmp_path / "in.pt", tmp_path))
    assert report("info", tmp_path / "in.pt")["parameters"] == sum(p.numel() for p in net.parameters())


def test_without_checksums(tmp_path):
    """PyTorch can leave the CRCs out; it never checks them."""
    state = make_fixtures.small_state(54)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "in.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same_tensors(state, to_pt(tmp_path / "in.pt", tmp_path))


def test_deflated_and_minimal_archives(tmp_path):
    """PyTorch reads an archive that was packed again with compression, or that lacks the newer records."""
    state = make_fixtures.small_state(55)
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
    state = dict(make_fixtures.small_state(56))
    save_file(state, tmp_path / "liar.pt")
    torch.save(state, tmp_path / "liar.safetensors")
    assert_same_tensors(state, to_pt(tmp_path / "liar.pt", tmp_path))
    assert_same_tensors(state, to_pt(tmp_path / "liar.safetensors", tmp_path, "--force"))


def test_written_pt_files_are_plain(tmp_path):
    """A .pt written from safetensors loads with weights_only, memory-mapped too, and its storages are aligned."""
    state = dict(make_fixtures.small_state(57))
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


# --- safetensors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"a \"quoted\" é\n\u2028/": "välue\t\x01\x7f 😀"}, {}])
def test_safetensors_bytes(metadata, tmp_path):
    """The file is byte for byte what the Python library writes."""
    tensors = {**every_dtype(), "é \"x\" \\ \n/": torch.ones(2), "zero": torch.tensor(1.5), "empty": torch.empty(0, 3), "b": torch.ones(5, dtype=torch.bool)}
    (tmp_path / "in.safetensors").write_bytes(save(tensors, metadata))
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


def test_safetensors_bytes_in_any_order(tmp_path):
    """A file with its tensors in another order is written in the library's order."""
    tensors = every_dtype()
    chunks, header, offset = [], {}, 0
    for name in reversed(list(tensors)):
        data = make_fixtures.golden.raw_bytes(tensors[name])
        code = json.loads(save({name: tensors[name]})[8:].split(b"}")[0] + b"}}")[name]["dtype"]
        header[name] = {"data_offsets": [offset, offset + len(data)], "shape": list(tensors[name].shape), "dtype": code, "extra": [1]}
        chunks.append(data)
        offset += len(data)
    text = b"  " + json.dumps(header, indent=1).encode()
    (tmp_path / "in.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    assert_same_tensors(tensors, load_file(tmp_path / "in.safetensors"))
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == save(tensors)


def test_safetensors_bytes_from_pt(tmp_path):
    """From a .pt with nothing shared the file is the library's, save for one key of metadata."""
    state = dict(make_fixtures.small_state(60))
    torch.save(state, tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")
    written = (tmp_path / "out.safetensors").read_bytes()
    assert written in (save(state), save(state, {"format": "pt"}))


def test_metadata_is_kept(tmp_path):
    metadata = {f"key {i}": f"value {i}" for i in range(20)}
    save_file({"a": torch.randn(4, 4, 1, 1).repeat(1, 1, 3, 3), "b.weight": torch.randn(4, 4, 3, 3)}, tmp_path / "in.safetensors", metadata)
    for command in (("convert",), ("prune", "--amount", "0.5")):
        report(*command, tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors", "--force")
        with safe_open(tmp_path / "out.safetensors", "pt") as f:
            assert f.metadata() == metadata


def test_rare_dtypes_in_safetensors(tmp_path):
    """What the library can write is carried byte for byte: fnuz, e8m0 and the packed 4-bit floats."""
    data = torch.arange(8, dtype=torch.uint8)
    names = ["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"]
    tensors = {n: data.clone().view(getattr(torch, n)) for n in names if hasattr(torch, n)}
    (tmp_path / "in.safetensors").write_bytes(save(tensors))
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


class Tied(make_fixtures.Tied):
    pass


def test_tied_weights(tmp_path):
    """A tied tensor is written once, its other name stands in the metadata, and reading restores it."""
    net = Tied()
    torch.save(net.state_dict(), tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as f:
        assert len(list(f.keys())) == 3
        metadata = f.metadata()
    kept = "embedding.weight" if "head.weight" in metadata else "head.weight"
    other = ({"embedding.weight", "head.weight"} - {kept}).pop()
    assert metadata[other] == kept
    save_model(net, str(tmp_path / "theirs.safetensors"))
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()

    fresh = Tied()
    load_model(fresh, str(tmp_path / "out.safetensors"))
    assert_same_tensors(net.state_dict(), fresh.state_dict())
    back = to_pt(tmp_path / "theirs.safetensors", tmp_path)
    assert_same_tensors(net.state_dict(), back)
    assert back["embedding.weight"].untyped_storage().data_ptr() == back["head.weight"].untyped_storage().data_ptr()


@pytest.mark.parametrize("file", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_sharded(file, tmp_path):
    """An index reads as one model; a missing shard or tensor is an error."""
    expected = make_fixtures.small_state(16)
    folder = FIXTURES / "sharded"
    assert_same_tensors(expected, to_safetensors(folder / file, tmp_path))
    index = json.loads((folder / file).read_text())
    shards = sorted(set(index["weight_map"].values()))
    for shard in shards:
        (tmp_path / shard).write_bytes((folder / shard).read_bytes())
    (tmp_path / file).write_text(json.dumps(index))
    assert report("info", tmp_path / file)["parameters"] == sum(
        v.numel() for k, v in expected.items() if "running" not in k and "num_batches" not in k
    )
    index["weight_map"]["conv.weight"] = shards[1]  # it is in the first
    (tmp_path / file).write_text(json.dumps(index))
    fails("info", tmp_path / file, naming=file)
    index["weight_map"]["conv.weight"] = "missing.safetensors"
    (tmp_path / file).write_text(json.dumps(index))
    fails("info", tmp_path / file)


@pytest.mark.parametrize("escape", ["../secret.safetensors", "/etc/hostname", "a/../../secret.safetensors"])
def test_an_index_cannot_point_outside_its_folder(escape, tmp_path):
    """A shard's name stays within the folder of its index."""
    (tmp_path / "model" / "a").mkdir(parents=True)
    save_file({"w": torch.ones(2)}, tmp_path / "secret.safetensors")
    path = tmp_path / "model" / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 8}, "weight_map": {"w": escape}}))
    fails("info", path, naming="model.safetensors.index.json")


# --- whole modules ----------------------------------------------------------------------------------------------


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
    import datetime
    import decimal
    import fractions
    import uuid

    import numpy as np

    net = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    shared = [1, 2, 3]
    net.plain = {
        "none": None, "bools": (True, False), "ints": [0, -1, 255, 65535, 2**31, -(2**31), 2**63, -(2**63) - 1, 2**200, -(2**200)],
        "floats": [0.0, -0.0, 1e308, float("inf"), 5e-324], "text": ["", "é", "😀", "\x00", "x" * 300], "bytes": [b"", b"\x00\xff" * 200],
        "sets": [set(), {1, "a"}, frozenset({2})], "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "complex": 1 + 2j,
        "range": range(3), "slice": slice(1, None, 2), "dtype": torch.float16, "device": torch.device("cpu"), "size": torch.Size([1, 2]),
        "date": datetime.datetime(2020, 1, 2, 3, 4, 5), "decimal": decimal.Decimal("1.5"), "fraction": fractions.Fraction(1, 3),
        "uuid": uuid.UUID(int=7), "bytearray": bytearray(b"abc"), "type": nn.Conv2d, "function": nn.functional.relu, 1: "one", (2, 3): "key",
        "ordered": OrderedDict(a=1, b=shared), "shared": shared,
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


def test_functions_as_attributes(tmp_path):
    """Built-in functions and methods of classes are pickled as a getattr on a class: kept, like any unknown object."""
    net = nn.Sequential(nn.Conv2d(2, 2, 1))
    net.activation, net.gelu, net.method, net.bound = torch.tanh, nn.functional.gelu, nn.Conv2d.forward, net[0].forward
    torch.save(net, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "0.5")
    after = load(tmp_path / "out.pt")
    assert after.activation is torch.tanh and after.gelu is nn.functional.gelu and after.method is nn.Conv2d.forward
    assert after.bound.__self__ is after[0]


# --- writing ----------------------------------------------------------------------------------------------------


def test_an_existing_file_is_refused(tmp_path):
    state = dict(make_fixtures.small_state(70))
    torch.save(state, tmp_path / "in.pt")
    (tmp_path / "out.safetensors").write_bytes(b"precious")
    fails("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors", naming="out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == b"precious"
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors", "--force")
    assert_same_tensors(state, load_file(tmp_path / "out.safetensors"))


def test_input_as_output(tmp_path):
    """The input may be the output, with --force."""
    state = dict(make_fixtures.small_state(71))
    for name, write, read in (
        ("x.pt", torch.save, lambda p: torch.load(p, weights_only=True)), ("x.safetensors", save_file, load_file)
    ):
        write(state, tmp_path / name)
        report("prune", tmp_path / name, "-o", tmp_path / name, "--force", "--amount", "0.5")
        after = read(tmp_path / name)
        assert int((after["conv.weight"] == 0).sum()) == state["conv.weight"].numel() // 2
        assert same_bits(after["bn.bias"], state["bn.bias"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.pt", "x.safetensors"]


def test_default_output_name(tmp_path):
    """Without -o the result stands beside the input: model-pruned.pt, model-fused.pt."""
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), tmp_path / "model.pt")
    assert report("prune", tmp_path / "model.pt")["output"].endswith("model-pruned.pt")
    assert report("fuse", tmp_path / "model.pt")["output"].endswith("model-fused.pt")
    assert (tmp_path / "model-pruned.pt").exists() and (tmp_path / "model-fused.pt").exists()
    fails("fuse", tmp_path / "model.pt", naming="model-fused.pt")


def test_output_that_cannot_be_written(tmp_path):
    torch.save(dict(make_fixtures.small_state(72)), tmp_path / "in.pt")
    fails("convert", tmp_path / "in.pt", "-o", tmp_path / "missing" / "out.safetensors", naming="missing")
    (tmp_path / "folder.safetensors").mkdir()
    fails("convert", tmp_path / "in.pt", "-o", tmp_path / "folder.safetensors", "--force", naming="folder.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.safetensors", "in.pt"]


def test_fixtures_are_read_as_their_goldens_say(tmp_path):
    """Every golden beside a fixture holds for the command too."""
    for path in sorted(FIXTURES.glob("**/*.json")):
        golden = json.loads(path.read_text())
        if "tensors" not in golden:
            continue
        source = path.with_name(path.name.removesuffix(".json"))
        out = tmp_path / f"{source.name}.safetensors"
        report("convert", source, "-o", out)
        ours = load_file(out)
        with safe_open(out, "pt") as f:
            for name, kept in (f.metadata() or {}).items():
                if kept in ours:
                    ours.setdefault(name, ours[kept])
        prefixes = ("module.", "_orig_mod.")
        for expected in golden["tensors"]:
            name = expected["name"]
            tensor = ours.get(name, ours.get(name.removeprefix(prefixes[0]).removeprefix(prefixes[1])))
            assert tensor is not None, f"{source.name}: {name} is missing"
            assert make_fixtures.golden.tensor_record(name, tensor)["sha256"] == expected["sha256"], f"{source.name}: {name}"


def test_stdout_of_a_plain_run(tmp_path):
    torch.save(dict(make_fixtures.small_state(73)), tmp_path / "in.pt")
    assert succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors").err == ""
