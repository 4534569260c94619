"""ONNX models that are built by hand, and what the original tools say of files."""

import json

import numpy as np
import onnx
import onnxruntime
from helpers import mutils
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def tensor(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def model(nodes, weights, inputs, outputs, opset=17, ir=8, domains=(), **graph):
    """A model of nodes; inputs and outputs as name -> shape (or a type and a shape)."""

    def value(name, shape):
        kind, shape = shape if isinstance(shape, tuple) and not isinstance(shape[0], (str, type(None))) and isinstance(
            shape[1], (list, tuple)) else (FLOAT, shape)
        return helper.make_tensor_value_info(name, kind, shape)

    made = helper.make_graph(
        nodes, "graph", [value(*item) for item in inputs.items()], [value(*item) for item in outputs.items()], weights,
        **graph,
    )
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(domain, 1) for domain in domains]]
    return helper.make_model(made, opset_imports=imports, ir_version=ir, producer_name="tests")


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(bool)": np.bool_,
    "tensor(double)": np.float64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8,
}


def random_inputs(session, seed=0, **shapes):
    generator = np.random.default_rng(seed)
    feeds = {}
    for item in session.get_inputs():
        shape = shapes.get(item.name) or [length if isinstance(length, int) else 2 for length in item.shape]
        kind = TYPES[item.type]
        feeds[item.name] = generator.standard_normal(shape).astype(kind) if np.issubdtype(
            kind, np.floating) else np.ones(shape, kind)
    return feeds


def outputs(path, feeds=None):
    running = session(path)
    feeds = feeds or random_inputs(running)
    return dict(zip([item.name for item in running.get_outputs()], running.run(None, feeds)))


def assert_same_outputs(before, after, feeds=None, tolerance=1e-5):
    """Equal names; every value within the tolerance of its output's largest."""
    expected, actual = outputs(before, feeds), outputs(after, feeds)
    assert list(expected) == list(actual)
    for name, value in expected.items():
        assert value.shape == actual[name].shape and value.dtype == actual[name].dtype
        largest = np.abs(value.astype(np.float64)).max(initial=0) or 1
        difference = np.abs(value.astype(np.float64) - actual[name].astype(np.float64)).max(initial=0)
        assert difference <= tolerance * largest, (name, difference, largest)


def check(path):
    onnx.checker.check_model(str(path), full_check=True)


# --- a small network, as the suites of files take it ----------------------------------------------------------------

_generator = np.random.default_rng(1)
SHAPES = {"x": [2, 3, 9, 7]}


def normal(*shape):
    return _generator.standard_normal(shape).astype(np.float32)


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
    return model(nodes, weights, {"x": ["batch", 3, "height", "width"]}, {"y": ["batch", 40]})


def feeds(path):
    """Random inputs of the network."""
    return random_inputs(session(path), **SHAPES)


def report_of_check(path):
    result = mutils("check", path, "--json")
    assert result.code == 1, result.err
    return json.loads(result.out)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def protobuf(number, content):
    """A field of bytes, as it stands in a file."""
    return varint(number << 3 | 2) + varint(len(content)) + content
