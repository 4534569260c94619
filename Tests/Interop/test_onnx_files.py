"""ONNX files: every way to hold a tensor, weights beside the model, what is rewritten, and what is refused."""

import shutil

import numpy as np
import onnx
import onnx_judges as judges
import pytest
from helpers import fails, mutils, report, succeeds
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from onnx_judges import tensor
from safetensors.numpy import load_file, save_file

GENERATOR = np.random.default_rng(1)


def normal(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


def network():
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], name="/conv/Conv"),
        helper.make_node("Relu", ["c"], ["r"], name="/act/Relu"),
        helper.make_node("ReduceMean", ["r"], ["m"], axes=[2, 3], keepdims=0, name="/mean"),
        helper.make_node("Gemm", ["m", "fc.weight", "fc.bias"], ["y"], transB=1, name="/fc/Gemm"),
    ]
    weights = [
        tensor("conv.weight", normal(8, 3, 3, 3)), tensor("conv.bias", normal(8)),
        tensor("fc.weight", normal(40, 8)), tensor("fc.bias", normal(40)),
    ]
    return judges.model(nodes, weights, {"x": ["batch", 3, "height", "width"]}, {"y": ["batch", 40]})


SHAPES = {"x": [2, 3, 9, 7]}


def feeds(path):
    return judges.random_inputs(judges.session(path), **SHAPES)


@pytest.fixture
def file(tmp_path):
    onnx.save(network(), tmp_path / "in.onnx")
    return tmp_path / "in.onnx"


@pytest.fixture
def pair(tmp_path):
    onnx.save(network(), tmp_path / "pair.onnx", save_as_external_data=True, location="pair.data", size_threshold=0)
    return tmp_path / "pair.onnx"


# --- reading -----------------------------------------------------------------------------------------------------

TYPED = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64, "int32": TensorProto.INT32, "int16": TensorProto.INT16, "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32, "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "bfloat16": TensorProto.BFLOAT16,
}


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", TYPED)
def test_every_way_to_hold_elements(name, raw, tmp_path):
    values = np.array([0, 1, 2, 3, 100, 7]) if name.startswith(("u", "bool")) else np.array([0, 1, -2, 3.5, -100, 7])
    if name == "bool":
        values = values > 2
    dtype = helper.tensor_dtype_to_np_dtype(TYPED[name])
    values = values.astype(dtype)
    held = (
        helper.make_tensor("w", TYPED[name], [2, 3], values.tobytes(), raw=True) if raw
        else helper.make_tensor("w", TYPED[name], [2, 3], values.flatten().tolist())
    )
    onnx.save(judges.model([helper.make_node("Identity", ["w"], ["y"])], [held], {}, {"y": (TYPED[name], [2, 3])}),
              tmp_path / "in.onnx")
    succeeds("convert", tmp_path / "in.onnx", "-o", tmp_path / "out.safetensors")
    if name == "bfloat16":
        import torch
        from safetensors.torch import load_file as load_torch

        actual = load_torch(tmp_path / "out.safetensors")["w"].to(torch.float32).numpy()
    else:
        actual = load_file(tmp_path / "out.safetensors")["w"]
    np.testing.assert_array_equal(actual.flatten(), numpy_helper.to_array(held).astype(actual.dtype).flatten())


def test_what_is_not_known_stays(tmp_path):
    """Unknown fields at every level; an edit changes nothing else."""
    unknown = bytes([0xfa, 0x7f, 3]) + b"abc"  # field 2047
    built = network()
    data = bytearray()
    for field, value in (("graph", built.graph),):
        node = built.graph.node[0].SerializeToString() + unknown
        inner = value.SerializeToString()
        first = built.graph.node[0].SerializeToString()
        at = inner.index(first)
        assert inner[at - 1] == len(first) < 128 and len(node) < 128
        inner = inner[: at - 1] + bytes([len(node)]) + node + inner[at + len(first):] + unknown
        built.ClearField(field)
        length = len(inner)
        varint = bytearray()
        while length >= 0x80:
            varint.append(length & 0x7f | 0x80)
            length >>= 7
        data = built.SerializeToString() + bytes([0x3a]) + bytes(varint + bytes([length])) + inner + unknown
    (tmp_path / "in.onnx").write_bytes(data)
    succeeds("convert", tmp_path / "in.onnx", "-o", tmp_path / "same.onnx")
    assert (tmp_path / "same.onnx").read_bytes() == data
    succeeds("prune", tmp_path / "in.onnx", "-o", tmp_path / "pruned.onnx")
    pruned = (tmp_path / "pruned.onnx").read_bytes()
    assert pruned.count(unknown) == 3 and len(pruned) == len(data)


def test_as_a_checkpoint(file, tmp_path):
    result = report("info", file, "--shape", "x=2x3x9x7")
    assert result["parameters"] == 8 * 27 + 8 + 320 + 40 and result["buffers"] == 0 and result["layers"] == 4
    assert result["operators"] == {"Conv": 1, "Relu": 1, "ReduceMean": 1, "Gemm": 1} and result["opset"] == 17
    assert result["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", 3, "height", "width"]}]
    assert [row["output"] for row in result["modules"]] == [[2, 8, 7, 5], [2, 8, 7, 5], [2, 8], [2, 40]]
    assert result["gflops"]["macs"] * 1e9 == pytest.approx(2 * 8 * 35 * 27 + 2 * 40 * 8)
    assert [row["name"] for row in report("find", file, "--type", "Gemm")["modules"]] == ["/fc/Gemm"]
    pruned = report("prune", file, "--amount", "0.5", "-o", tmp_path / "pruned.onnx")
    assert [layer["name"] for layer in pruned["layers"]] == ["conv.weight"]
    weight = {item.name: numpy_helper.to_array(item) for item in onnx.load(tmp_path / "pruned.onnx").graph.initializer}
    assert (weight["conv.weight"] == 0).sum() == 108 and not (weight["fc.weight"] == 0).any()
    assert mutils("diff", file, tmp_path / "pruned.onnx").code == 1
    assert report("diff", file, file)["equal"]


def test_into(file, tmp_path):
    succeeds("convert", file, "-o", tmp_path / "w.safetensors")
    weights = load_file(tmp_path / "w.safetensors")
    weights["fc.bias"] = weights["fc.bias"] + 1
    save_file({"fc.bias": weights["fc.bias"]}, tmp_path / "w.safetensors")
    succeeds("convert", tmp_path / "w.safetensors", "--into", file, "-o", tmp_path / "out.onnx")
    before, after = (judges.outputs(path, feeds(file))["y"] for path in (file, tmp_path / "out.onnx"))
    np.testing.assert_allclose(before + 1, after, rtol=1e-5, atol=1e-5)
    save_file({"other": weights["fc.bias"]}, tmp_path / "w.safetensors")
    fails("convert", tmp_path / "w.safetensors", "--into", file, "-o", tmp_path / "no.onnx", naming="other")
    save_file({"fc.bias": weights["fc.bias"][:3]}, tmp_path / "w.safetensors")
    fails("convert", tmp_path / "w.safetensors", "--into", file, "-o", tmp_path / "no.onnx", naming="fc.bias")


def test_float16(file, tmp_path):
    succeeds("convert", file, "-o", tmp_path / "half.onnx", "--dtype", "float16")
    judges.check(tmp_path / "half.onnx")
    half = onnx.load(tmp_path / "half.onnx").graph
    assert {item.data_type for item in half.initializer} == {TensorProto.FLOAT16}
    assert half.input[0].type.tensor_type.elem_type == half.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    judges.assert_same_outputs(file, tmp_path / "half.onnx", feeds(file), 5e-3)


def test_strip(tmp_path):
    built = network()
    built.graph.node[0].doc_string = "File model.py, line 3"
    built.graph.initializer.append(tensor("unused", normal(100)))
    entry = built.graph.node[1].metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", "File model.py"
    built.graph.value_info.append(helper.make_tensor_value_info("gone", TensorProto.FLOAT, [1]))
    onnx.save(built, tmp_path / "in.onnx")
    result = report("strip", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")
    assert result["removed"] == {"texts": 1, "entries": 1, "unused": ["unused"], "stale": ["gone"]}
    stripped = onnx.load(tmp_path / "out.onnx").graph
    assert not stripped.node[0].doc_string and len(stripped.initializer) == 4 and not stripped.value_info


# --- weights beside the model -------------------------------------------------------------------------------------


def test_pairs(pair, tmp_path):
    succeeds("convert", pair, "-o", tmp_path / "inside.onnx", "--inline")
    assert not (tmp_path / "inside.onnx.data").exists()
    succeeds("convert", tmp_path / "inside.onnx", "-o", tmp_path / "beside.onnx", "--external-data")
    assert (tmp_path / "beside.onnx.data").stat().st_size >= 8 * 27 * 4
    (tmp_path / "other").mkdir()
    succeeds("convert", pair, "-o", tmp_path / "other/copy.onnx")
    for path in (tmp_path / "inside.onnx", tmp_path / "beside.onnx", tmp_path / "other/copy.onnx"):
        judges.check(path)
        judges.assert_same_outputs(pair, path, feeds(pair), 0)
        assert report("diff", pair, path)["equal"] or path.name == "no"


def test_a_pair_over_itself(pair, tmp_path):
    """The old data is read to its end, and goes when the new pair is whole."""
    succeeds("convert", pair, "-o", tmp_path / "own.onnx")
    expected = judges.outputs(tmp_path / "own.onnx", feeds(pair))["y"]
    for _ in range(3):
        succeeds("convert", tmp_path / "own.onnx", "-o", tmp_path / "own.onnx", "--force")
        np.testing.assert_array_equal(judges.outputs(tmp_path / "own.onnx", feeds(pair))["y"], expected)
        assert len(list(tmp_path.glob("own*"))) == 2 and not list(tmp_path.glob(".own*"))
    succeeds("convert", tmp_path / "own.onnx", "-o", tmp_path / "own.onnx", "--inline", "--force")
    assert [path.name for path in tmp_path.glob("own*")] == ["own.onnx"]


def renamed(pair, location, **entries):
    built = onnx.load(pair, load_external_data=False)
    for item in built.graph.initializer:
        held = {entry.key: entry.value for entry in item.external_data}
        held.update({"location": location} if location is not None else {}, **entries)
        del item.external_data[:]
        for key, value in held.items():
            entry = item.external_data.add()
            entry.key, entry.value = key, value
    pair.write_bytes(built.SerializeToString())


LOCATIONS = {
    "missing": ("gone.data", {}, "not there"), "empty": ("", {}, "no name"), "up": ("../pair.data", {}, "out of"),
    "up within": ("a/../pair.data", {}, "out of"), "absolute": ("/etc/passwd", {}, "out of"),
    "device": ("/dev/zero", {}, "out of"), "folder": ("sub", {}, "regular file"), "fifo": ("pipe", {}, "regular file"),
    "link": ("link.data", {}, "out of"), "itself": ("pair.onnx", {}, "the model itself"),
    "offset past the end": (None, {"offset": "99999999"}, "ends at"), "negative": (None, {"offset": "-1"}, "-1"),
    "no number": (None, {"offset": "x"}, "offset"), "wraps": (None, {"offset": "9223372036854775800"}, "ends at"),
    "length": (None, {"length": "5"}, "5 bytes"),
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_locations(name, pair, tmp_path):
    import os

    location, entries, reason = LOCATIONS[name]
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    outside = tmp_path.parent / "outside.data"
    outside.write_bytes(bytes(4000))
    (tmp_path / "link.data").symlink_to(outside)
    renamed(pair, location, **entries)
    if name in ("negative", "no number"):
        fails("info", pair, naming=reason)
    else:
        report("info", pair)
        assert any(finding["severity"] == "broken" for finding in report_of_check(pair)["findings"])
    fails("convert", pair, "-o", tmp_path / "out.onnx", naming=reason)
    assert not (tmp_path / "out.onnx").exists()


def report_of_check(path):
    import json

    result = mutils("check", path, "--json")
    assert result.code == 1, result.err
    return json.loads(result.out)


def test_links_of_a_store(pair, tmp_path):
    """As Hugging Face's cache has it: a folder of links to files in another."""
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "blobs").mkdir()
    for name in ("pair.onnx", "pair.data"):
        shutil.move(tmp_path / name, tmp_path / "blobs" / name)
        (tmp_path / "snapshots" / name).symlink_to(tmp_path / "blobs" / name)
    succeeds("convert", tmp_path / "snapshots/pair.onnx", "-o", tmp_path / "out.safetensors")


def test_checksums(pair):
    external_data_helper.load_external_data_for_model(built := onnx.load(pair, load_external_data=False), str(pair.parent))
    import hashlib

    digests = {item.name: hashlib.sha1(item.raw_data).hexdigest() for item in built.graph.initializer}
    held = onnx.load(pair, load_external_data=False)
    for item in held.graph.initializer:
        entry = item.external_data.add()
        entry.key, entry.value = "checksum", digests[item.name]
    pair.write_bytes(held.SerializeToString())
    assert not [f for f in report("check", pair)["findings"] if f["severity"] == "broken"]
    data = bytearray((pair.parent / "pair.data").read_bytes())
    data[5] ^= 1
    (pair.parent / "pair.data").write_bytes(data)
    assert any("SHA-1" in finding["what"] for finding in report_of_check(pair)["findings"])


def checked(built, tmp_path):
    (tmp_path / "in.onnx").write_bytes(built.SerializeToString())
    return report_of_check(tmp_path / "in.onnx")["findings"]


def test_check(tmp_path):
    built = network()
    built.graph.node[1].input[0] = "nowhere"
    assert any("nothing makes" in finding["what"] for finding in checked(built, tmp_path))
    built = network()
    built.graph.node[1].output[0] = "c"
    assert any("made twice" in finding["what"] for finding in checked(built, tmp_path))
    built = network()
    built.graph.initializer.append(built.graph.initializer[0])
    assert any("two initializers" in finding["what"] for finding in checked(built, tmp_path))
    built = network()
    built.graph.initializer[0].raw_data = built.graph.initializer[0].raw_data[:-1]
    assert any("bytes where" in finding["what"] for finding in checked(built, tmp_path))
    built = network()
    values = np.array(numpy_helper.to_array(built.graph.initializer[1]))
    values[3] = np.nan
    built.graph.initializer[1].raw_data = values.tobytes()
    assert any("NaN" in finding["what"] for finding in checked(built, tmp_path))


# --- broken and hostile files -------------------------------------------------------------------------------------


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested_graphs(depth):
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(1, b"g") + field(6, graph) + varint(20 << 3) + b"\x05"))
    return b"\x08\x08" + field(7, graph)


def nested_types(depth):
    kind = b""
    for _ in range(depth):
        kind = field(4, field(1, kind))
    return b"\x08\x08" + field(7, field(11, field(1, b"x") + field(2, kind)))


def with_tensor(**changed):
    built = network()
    for name, value in changed.items():
        item = built.graph.initializer[0]
        if isinstance(value, list):
            item.ClearField(name)
            getattr(item, name).extend(value)
        else:
            setattr(item, name, value)
    return built.SerializeToString()


WHOLE = network().SerializeToString()
HOSTILE = {
    "empty": b"", "text": b"hello, this is no model", "zeros": bytes(1000), "half": WHOLE[: len(WHOLE) // 2],
    "short": WHOLE[:-1], "one byte": b"\x08", "length beyond": b"\x08\x08\x3a\xff\x7f" + bytes(10),
    "length 2^64-1": b"\x08\x08\x3a" + b"\xff" * 9 + b"\x01", "a varint of eleven bytes": b"\x08" + b"\x80" * 10 + b"\x01",
    "field 0": b"\x08\x08\x02\x00" + field(7, b""), "a group": b"\x08\x08\x3b" + bytes(4), "open groups": b"\x0b" * 100000,
    "wire type 6": b"\x0e\x00", "no graph": b"\x08\x08" + field(2, b"x"), "graph as a number": b"\x08\x08\x38\x05",
    "graphs 20000 deep": nested_graphs(20000), "a name that is no UTF-8": b"\x08\x08" + field(7, field(1, field(4, b"\xff\xfe"))),
    "two million nodes": b"\x08\x08" + field(7, field(1, b"") * 2_000_000),
}


@pytest.mark.parametrize("command", ["info", "check", "convert"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_models(name, command, tmp_path):
    (tmp_path / "in.onnx").write_bytes(HOSTILE[name])
    more = ["-o", tmp_path / "out.onnx"] if command == "convert" else []
    fails(command, tmp_path / "in.onnx", *more, timeout=10, address_space=1 << 30)
    assert not (tmp_path / "out.onnx").exists()


TENSORS = {
    "negative": with_tensor(dims=[-1, 3]), "overflowing": with_tensor(dims=[1 << 40, 1 << 40]),
    "one byte short": with_tensor(raw_data=bytes(863)), "too long": with_tensor(raw_data=bytes(868)),
    "raw and typed": with_tensor(float_data=[1.0]), "typed too short": with_tensor(raw_data=b"", float_data=[1.0]),
}


@pytest.mark.parametrize("name", TENSORS)
def test_broken_tensors(name, tmp_path):
    (tmp_path / "in.onnx").write_bytes(TENSORS[name])
    fails("convert", tmp_path / "in.onnx", "-o", tmp_path / "out.safetensors", naming="conv.weight", timeout=10)


def test_types_that_are_not_looked_into(tmp_path):
    """Texts, four bits, numbers that no edition has: carried, told, never a trap."""
    built = network()
    built.graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"b"]))
    built.graph.initializer.append(TensorProto(name="strange", data_type=99, dims=[3], raw_data=bytes(12)))
    built.graph.initializer.append(TensorProto(name="none", data_type=0, dims=[3], raw_data=bytes(12)))
    (tmp_path / "in.onnx").write_bytes(built.SerializeToString())
    succeeds("convert", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "in.onnx").read_bytes()
    report("info", tmp_path / "in.onnx")


def test_deep_types(tmp_path):
    (tmp_path / "in.onnx").write_bytes(nested_types(3000))
    report("info", tmp_path / "in.onnx", timeout=10, address_space=1 << 30)


def with_node(operation, inputs=("x",), more=(), **attributes):
    nodes = [helper.make_node(operation, list(inputs), ["y"], name="/node", **attributes)]
    built = judges.model(nodes, list(more), {"x": [1, 3, 8, 8]}, {"y": None})
    return built.SerializeToString()


WEIGHT = tensor("w", normal(4, 3, 3, 3))
BIG = 1 << 62
NODES = {
    "strides 0": with_node("Conv", ["x", "w"], [WEIGHT], strides=[0, 0]),
    "group 0": with_node("Conv", ["x", "w"], [WEIGHT], group=0),
    "group negative": with_node("Conv", ["x", "w"], [WEIGHT], group=-1),
    "pads": with_node("Conv", ["x", "w"], [WEIGHT], pads=[BIG] * 4),
    "few pads": with_node("Conv", ["x", "w"], [WEIGHT], pads=[1]),
    "dilations": with_node("Conv", ["x", "w"], [WEIGHT], dilations=[BIG, BIG]),
    "a large kernel": with_node("MaxPool", kernel_shape=[100, 100]),
    "kernel of 2^62": with_node("AveragePool", kernel_shape=[BIG, BIG]),
    "axis": with_node("Softmax", axis=99), "axes": with_node("ReduceMean", axes=[BIG]),
    "a reshape": with_node("Reshape", ["x", "s"], [tensor("s", [BIG, BIG], np.int64)]),
    "a tile": with_node("Tile", ["x", "s"], [tensor("s", [10**9, 1, 10**9, 1], np.int64)]),
    "of a shape": with_node("ConstantOfShape", ["s"], [tensor("s", [10**12], np.int64)]),
    "of a negative shape": with_node("ConstantOfShape", ["s"], [tensor("s", [-5], np.int64)]),
    "range": with_node("Range", ["a", "b", "c"], [tensor("a", 0, np.int64), tensor("b", 10**15, np.int64),
                                                   tensor("c", 1, np.int64)]),
    "range by zero": with_node("Range", ["a", "b", "a"], [tensor("a", 0, np.int64), tensor("b", 10, np.int64)]),
    "resize": with_node("Resize", ["x", "", "s"], [tensor("s", [1, 1, 1e30, 1e30])]),
    "resize by NaN": with_node("Resize", ["x", "", "s"], [tensor("s", [1, 1, np.nan, np.inf])]),
    "pad": with_node("Pad", ["x", "s"], [tensor("s", [0, 0, BIG, BIG, 0, 0, BIG, BIG], np.int64)]),
    "negative pad": with_node("Pad", ["x", "s"], [tensor("s", [0, 0, -100, 0, 0, 0, 0, 0], np.int64)]),
    "split": with_node("Split", axis=7), "transpose": with_node("Transpose", perm=[0, 0, 9, 1]),
    "type": with_node("Cast", to=99), "no inputs": with_node("Conv", []), "one input": with_node("Gemm"),
    "expand": with_node("Expand", ["x", "s"], [tensor("s", [10**9, 1, 1, 1, 1, 1], np.int64)]),
    "one hot": with_node("OneHot", ["i", "d", "v"], [tensor("i", [1, 2], np.int64), tensor("d", 10**15, np.int64),
                                                       tensor("v", [0, 1])]),
    "top k": with_node("TopK", ["x", "k"], [tensor("k", [10**15], np.int64)]),
    "depth to space": with_node("DepthToSpace", blocksize=0), "lrn": with_node("LRN", size=0),
    "gather": with_node("Gather", ["x", "i"], [tensor("i", [10**15], np.int64)], axis=3),
    "slice by zero": with_node("Slice", ["x", "a", "b", "c", "d"], [
        tensor("a", [0], np.int64), tensor("b", [9], np.int64), tensor("c", [2], np.int64), tensor("d", [0], np.int64)]),
    "einsum": with_node("Einsum", equation="ab,->->"), "unknown": with_node("NoSuchThing"),
}


@pytest.mark.parametrize("name", NODES)
def test_strange_nodes(name, tmp_path):
    """The file is read, the node is sized or said not to be; running it is refused or works."""
    (tmp_path / "in.onnx").write_bytes(NODES[name])
    result = mutils("info", tmp_path / "in.onnx", "--json", timeout=10, address_space=2 << 30)
    assert result.code in (0, 1) and not result.timed_out, result.err
    assert len(result.err.splitlines()) <= 1, result.err
    result = mutils("run", tmp_path / "in.onnx", "--random", timeout=20, address_space=4 << 30)
    assert result.code in (0, 1) and not result.timed_out and "Fatal" not in result.err, result.err


# --- what a user would not expect -----------------------------------------------------------------------------------


def test_float16_twice(file, tmp_path):
    succeeds("convert", file, "-o", tmp_path / "half.onnx", "--dtype", "float16")
    fails("convert", tmp_path / "half.onnx", "-o", tmp_path / "twice.onnx", "--dtype", "float16", naming="no float32")
    fails("convert", tmp_path / "half.onnx", "-o", tmp_path / "wide.onnx", "--dtype", "float32", naming="float16")
    assert not (tmp_path / "twice.onnx").exists()


def test_through_a_link(pair, tmp_path):
    """What a link leads to is replaced, with its data beside it."""
    (tmp_path / "links").mkdir()
    for name in ("pair.onnx", "pair.data"):
        (tmp_path / "links" / name).symlink_to(tmp_path / name)
    expected = judges.outputs(pair, feeds(pair))["y"]
    succeeds("convert", tmp_path / "links/pair.onnx", "-o", tmp_path / "links/pair.onnx", "--force")
    np.testing.assert_array_equal(judges.outputs(pair, feeds(pair))["y"], expected)
    assert sorted(path.name for path in (tmp_path / "links").iterdir()) == ["pair.data", "pair.onnx"]


def test_data_that_another_model_names(pair, tmp_path):
    succeeds("convert", pair, "-o", tmp_path / "own.onnx")
    shutil.copy(tmp_path / "own.onnx", tmp_path / "copy.onnx")
    expected = judges.outputs(tmp_path / "copy.onnx", feeds(pair))["y"]
    for amount in ("0.2", "0.5", "0.7"):
        succeeds("prune", tmp_path / "own.onnx", "-o", tmp_path / "own.onnx", "--force", "--amount", amount)
        np.testing.assert_array_equal(judges.outputs(tmp_path / "copy.onnx", feeds(pair))["y"], expected)
    assert len(list(tmp_path.glob("own*.data"))) == 2


def test_names_that_mislead(file, tmp_path):
    shutil.copy(file, tmp_path / "model.pt")
    fails("prune", tmp_path / "model.pt", "-o", tmp_path / "model.pt", "--force", naming="weights alone")
    assert "graph is left out" in succeeds("prune", tmp_path / "model.pt", "-o", tmp_path / "weights.pt").err
    succeeds("init", "resnet18", "-o", tmp_path / "state.pt")
    (tmp_path / "state.pt").rename(tmp_path / "state.onnx")
    assert report("info", tmp_path / "state.onnx")["architecture"] == "resnet18"


def test_verified(file, tmp_path):
    shape = ("--shape", "x=2x3x9x7")
    for command in (("strip",), ("convert", "--dtype", "float16"), ("fuse",)):
        result = mutils(command[0], file, *command[1:], "-o", tmp_path / f"{command[0]}.onnx", "--verify", *shape)
        assert result.code == 0 and (command[0] == "convert" or "Verified: the same" in result.out), result.err


def test_outputs_in_either_order(tmp_path):
    succeeds("init", "resnet18", "-o", tmp_path / "a.pt")
    succeeds("convert", tmp_path / "a.pt", "-o", tmp_path / "a.onnx", "--image-size", "64", "--verify")
    for pair in (("a.pt", "a.onnx"), ("a.onnx", "a.pt")):
        assert report("diff", "--outputs", *(tmp_path / name for name in pair), "--image-size", "64")["equal"]


def test_a_circle(tmp_path):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    onnx.save(judges.model(nodes, [], {"x": [1]}, {"b": [1]}), tmp_path / "in.onnx")
    assert [f for f in report_of_check(tmp_path / "in.onnx")["findings"] if f["severity"] == "broken"]
