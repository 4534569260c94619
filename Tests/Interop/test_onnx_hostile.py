"""Broken and hostile ONNX files: one line, exit 1, in bounded memory and time; strange nodes are sized or said not to be."""

import numpy as np
import onnx_judges as judges
import pytest
from helpers import fails, mutils, report, succeeds
from onnx import TensorProto, helper
from onnx_judges import network, normal, protobuf, tensor, varint


def nested_graphs(depth):
    graph = b""
    for _ in range(depth):
        graph = protobuf(1, protobuf(5, protobuf(1, b"g") + protobuf(6, graph) + varint(20 << 3) + b"\x05"))
    return b"\x08\x08" + protobuf(7, graph)


def nested_types(depth):
    kind = b""
    for _ in range(depth):
        kind = protobuf(4, protobuf(1, kind))
    return b"\x08\x08" + protobuf(7, protobuf(11, protobuf(1, b"x") + protobuf(2, kind)))


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
    "field 0": b"\x08\x08\x02\x00" + protobuf(7, b""), "a group": b"\x08\x08\x3b" + bytes(4), "open groups": b"\x0b" * 100000,
    "wire type 6": b"\x0e\x00", "no graph": b"\x08\x08" + protobuf(2, b"x"), "graph as a number": b"\x08\x08\x38\x05",
    "graphs 20000 deep": nested_graphs(20000), "a name that is no UTF-8": b"\x08\x08" + protobuf(7, protobuf(1, protobuf(4, b"\xff\xfe"))),
    "two million nodes": b"\x08\x08" + protobuf(7, protobuf(1, b"") * 2_000_000),
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
