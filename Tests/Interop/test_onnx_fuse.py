"""What fuses in an ONNX model and what does not: ONNX Runtime gives the outputs before and after."""

import numpy as np
import onnx
import onnx_judges as judges
import pytest
from helpers import report, succeeds
from onnx import helper
from onnx_judges import tensor

GENERATOR = np.random.default_rng(3)


def normal(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


def statistics(channels, prefix="bn", **changed):
    values = {
        "scale": GENERATOR.uniform(0.5, 1.5, channels), "bias": normal(channels), "mean": normal(channels),
        "var": GENERATOR.uniform(0.5, 2, channels), **changed,
    }
    return [tensor(f"{prefix}.{name}", value) for name, value in values.items()]


def batch_norm(source, result, prefix="bn", more=(), **attributes):
    names = [f"{prefix}.{name}" for name in ("scale", "bias", "mean", "var")]
    return helper.make_node("BatchNormalization", [source, *names], [result, *more], name=f"/{prefix}", **attributes)


def conv(source, result, *weights, name="/conv", operation="Conv", **attributes):
    return helper.make_node(operation, [source, *weights], [result], name=name, **attributes)


PICTURE = {"x": [2, 4, 6, 5]}


def simple(nodes=None, weights=None, result=None, **options):
    nodes = nodes or [conv("x", "c", "w"), batch_norm("c", "y")]
    weights = weights if weights is not None else [tensor("w", normal(6, 4, 3, 3)), *statistics(6)]
    return judges.model(nodes, weights, PICTURE, {"y": result or [2, 6, 4, 3]}, **options)


def constant(name, values):
    return helper.make_node("Constant", [], [name], value=tensor("", values))


def fused(model, tmp_path, tolerance=1e-5, feeds=None, checks=True):
    onnx.save(model, tmp_path / "in.onnx")
    result = report("fuse", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")
    if checks:
        judges.check(tmp_path / "out.onnx")
    judges.assert_same_outputs(tmp_path / "in.onnx", tmp_path / "out.onnx", feeds, tolerance)
    return result, onnx.load(tmp_path / "out.onnx").graph


def operations(graph):
    return [node.op_type for node in graph.node]


TAKEN = {
    "conv": simple(),
    "conv with a bias": simple(
        [conv("x", "c", "w", "b"), batch_norm("c", "y")],
        [tensor("w", normal(6, 4, 3, 3)), tensor("b", normal(6)), *statistics(6)]),
    "an absent bias": simple([conv("x", "c", "w", ""), batch_norm("c", "y")]),
    "groups": simple([conv("x", "c", "w", group=2), batch_norm("c", "y")],
                     [tensor("w", normal(6, 2, 3, 3)), *statistics(6)]),
    "transposed": simple(
        [conv("x", "c", "w", operation="ConvTranspose"), batch_norm("c", "y")],
        [tensor("w", normal(4, 6, 3, 3)), *statistics(6)], [2, 6, 8, 7]),
    "transposed in groups": simple(
        [conv("x", "c", "w", operation="ConvTranspose", group=2), batch_norm("c", "y")],
        [tensor("w", normal(4, 3, 3, 3)), *statistics(6)], [2, 6, 8, 7]),
    "transposed, a sum, a batch norm": simple(
        [conv("x", "c", "w", operation="ConvTranspose"), helper.make_node("Add", ["c", "b"], ["a"], name="/add"),
         batch_norm("a", "y")],
        [tensor("w", normal(4, 6, 3, 3)), tensor("b", normal(1, 6, 1, 1)), *statistics(6)], [2, 6, 8, 7]),
    "arithmetic": simple(
        [conv("x", "c", "w"), helper.make_node("Mul", ["s", "c"], ["m"]), helper.make_node("Add", ["m", "t"], ["a"]),
         helper.make_node("Sub", ["a", "u"], ["b"]), helper.make_node("Div", ["b", "v"], ["d"]), batch_norm("d", "y")],
        [tensor("w", normal(6, 4, 3, 3)), tensor("s", normal(6, 1, 1)), tensor("t", normal(1)),
         tensor("u", normal(1, 6, 1, 1)), tensor("v", 2.5), *statistics(6)]),
    "constants behind nodes": simple(
        [constant("k", normal(6, 4, 3, 3)), helper.make_node("Identity", ["k"], ["w"]), constant("flat", normal(6)),
         conv("x", "c", "w"),
         helper.make_node("Reshape", ["flat", "shape64"], ["b"]), helper.make_node("Add", ["c", "b"], ["a"]),
         batch_norm("a", "y")],
        [tensor("shape64", [1, -1, 1, 1], np.int64), *statistics(6)]),
    "gemm": judges.model(
        [helper.make_node("Gemm", ["x", "w"], ["g"], name="/fc", transB=1), batch_norm("g", "y")],
        [tensor("w", normal(6, 4)), *statistics(6)], {"x": [3, 4]}, {"y": [3, 6]}),
    "gemm with a bias and factors": judges.model(
        [helper.make_node("Gemm", ["x", "w", "b"], ["g"], name="/fc", alpha=0.5, beta=2.0), batch_norm("g", "y")],
        [tensor("w", normal(4, 6)), tensor("b", normal(6)), *statistics(6)], {"x": [3, 4]}, {"y": [3, 6]}),
    "gemm with a bias by rows": judges.model(
        [helper.make_node("Gemm", ["x", "w", "b"], ["g"], name="/fc"), batch_norm("g", "y")],
        [tensor("w", normal(4, 6)), tensor("b", normal(3, 6)), *statistics(6)], {"x": [3, 4]}, {"y": [3, 6]}),
    "matmul of two axes": judges.model(
        [helper.make_node("MatMul", ["x", "w"], ["g"], name="/fc"), batch_norm("g", "y")],
        [tensor("w", normal(4, 6)), *statistics(6)], {"x": [3, 4]}, {"y": [3, 6]}),
    "IR 3": simple(
        [conv("x", "c", "w"), batch_norm("c", "y")], opset=8, ir=3),
    "unsorted": simple([batch_norm("c", "y"), conv("x", "c", "w")]),
}
TAKEN["IR 3"].graph.input.extend(
    helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in TAKEN["IR 3"].graph.initializer)


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name, tmp_path):
    unsorted = name == "unsorted"
    if unsorted:
        onnx.save(TAKEN[name], tmp_path / "in.onnx")
        result = report("fuse", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")
        graph = onnx.load(tmp_path / "out.onnx").graph
        judges.check(tmp_path / "out.onnx")
    else:
        result, graph = fused(TAKEN[name], tmp_path)
    assert [pair["bn"] for pair in result["fused"]] == ["/bn"] and not result["refused"]
    left = set(operations(graph)) - {"Conv", "ConvTranspose", "Gemm"}
    assert not left, left
    # What lost its last user is gone.
    used = {name for node in graph.node for name in node.input}
    assert {item.name for item in graph.initializer} <= used


def training(opset):
    return simple([conv("x", "c", "w"), batch_norm("c", "y", training_mode=1, more=["m", "v"])], opset=opset)


def shared():
    nodes = [conv("x", "c", "w", name="/conv1"), batch_norm("c", "p"), conv("x", "q", "w", name="/conv2"),
             helper.make_node("Add", ["p", "q"], ["y"])]
    return simple(nodes)


def overridable():
    built = simple()
    built.graph.input.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [6, 4, 3, 3]))
    return built


def with_statistics(**changed):
    return simple(weights=[tensor("w", normal(6, 4, 3, 3)), *statistics(6, **changed)])


def of_quantised():
    nodes = [helper.make_node("DequantizeLinear", ["q", "scale"], ["w"]), conv("x", "c", "w"), batch_norm("c", "y")]
    weights = [tensor("q", GENERATOR.integers(-100, 100, (6, 4, 3, 3)), np.int8), tensor("scale", 0.02), *statistics(6)]
    return simple(nodes, weights)


def output_between():
    built = simple()
    built.graph.output.append(helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [2, 6, 4, 3]))
    return built


REFUSED = {
    "training": (training(15), "training mode"),
    "overridable": (overridable(), "callers may set"),
    "negative variance": (with_statistics(var=np.array([1, 1, -3, 1, 1, 1])), "below zero"),
    "quantised": (of_quantised(), "DequantizeLinear"),
    "an output between": (output_between(), "output of the graph"),
    "two users": (
        simple([conv("x", "c", "w"), batch_norm("c", "b"), helper.make_node("Add", ["b", "c"], ["y"])]), "2 users"),
    "relu between": (simple([conv("x", "c", "w"), helper.make_node("Relu", ["c"], ["r"]), batch_norm("r", "y")]), "Relu"),
    "computed weight": (
        judges.model(
            [helper.make_node("Relu", ["v"], ["w"]), conv("x", "c", "w"), batch_norm("c", "y")], statistics(6),
            {**PICTURE, "v": [6, 4, 3, 3]}, {"y": [2, 6, 4, 3]}), "computed when"),
    "matmul of three axes": (
        judges.model(
            [helper.make_node("MatMul", ["x", "w"], ["g"], name="/fc"), batch_norm("g", "y")],
            [tensor("w", normal(4, 6)), *statistics(3)], {"x": [2, 3, 4]}, {"y": [2, 3, 6]}), "channels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    model, reason = REFUSED[name]
    before = model.SerializeToString()
    onnx.save(model, tmp_path / "in.onnx")
    result = report("fuse", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")
    assert not result["fused"] and [refusal["bn"] for refusal in result["refused"]] == ["/bn"]
    assert reason in result["refused"][0]["reason"]
    assert (tmp_path / "out.onnx").read_bytes() == before


def test_a_shared_weight_is_copied(tmp_path):
    result, graph = fused(shared(), tmp_path)
    assert result["fused"] == [{"conv": "/conv1", "bn": "/bn"}]
    assert "w" in {item.name for item in graph.initializer}


def test_mixed_precision(tmp_path):
    half = tensor("w", normal(6, 4, 3, 3), np.float16)
    built = judges.model(
        [conv("x", "c", "w"), batch_norm("c", "y")], [half, *statistics(6)],
        {"x": (onnx.TensorProto.FLOAT16, [2, 4, 6, 5])}, {"y": (onnx.TensorProto.FLOAT16, [2, 6, 4, 3])}, opset=15)
    onnx.save(built, tmp_path / "in.onnx")
    assert report("fuse", tmp_path / "in.onnx", "-o", tmp_path / "out.onnx")["fused"]
    judges.check(tmp_path / "out.onnx")
    assert {item.data_type for item in onnx.load(tmp_path / "out.onnx").graph.initializer} == {onnx.TensorProto.FLOAT16}


ENLARGING = {
    "more axes": tensor("s", normal(1, 1, 6, 1, 1)),
    "another axis": tensor("s", normal(3)),
    "by rows of the batch": tensor("s", normal(2, 1, 1, 1)),
}


@pytest.mark.parametrize("name", ENLARGING)
def test_arithmetic_that_is_none_of_channels(name, tmp_path):
    nodes = [conv("x", "c", "w"), helper.make_node("Mul", ["c", "s"], ["y"])]
    shape = [1, 2, 6, 4, 3] if name == "more axes" else [2, 6, 4, 3]
    result, graph = fused(simple(nodes, [tensor("w", normal(6, 4, 3, 3)), ENLARGING[name]], shape), tmp_path)
    assert not result["absorbed"] and operations(graph) == ["Conv", "Mul"]


@pytest.mark.parametrize("nodes", [
    [conv("x", "c", "w"), helper.make_node("Sub", ["s", "c"], ["y"])],
    [conv("x", "c", "w"), helper.make_node("Div", ["s", "c"], ["y"])],
    [conv("x", "c", "w"), helper.make_node("Mul", ["c", "c"], ["y"])],
])
def test_a_constant_before_the_operator(nodes, tmp_path):
    result, graph = fused(simple(nodes, [tensor("w", normal(6, 4, 3, 3)), tensor("s", normal(1))]), tmp_path)
    assert not result["absorbed"] and len(graph.node) == 2


def branches():
    def branch(name):
        prefix = f"{name}.bn"
        return helper.make_graph(
            [conv("x", f"{name}.c", f"{name}.w", name=f"/{name}/conv"), batch_norm(f"{name}.c", f"{name}.y", prefix)], name,
            [], [helper.make_tensor_value_info(f"{name}.y", onnx.TensorProto.FLOAT, [2, 6, 4, 3])],
            [tensor(f"{name}.w", normal(6, 4, 3, 3)), *statistics(6, prefix)])

    choice = helper.make_node("If", ["choice"], ["y"], then_branch=branch("then"), else_branch=branch("else"))
    return judges.model(
        [choice], [], {**PICTURE, "choice": (onnx.TensorProto.BOOL, [])}, {"y": [2, 6, 4, 3]})


def test_both_branches(tmp_path):
    result, graph = fused(branches(), tmp_path)
    assert {pair["bn"] for pair in result["fused"]} == {"/then.bn", "/else.bn"}
    inner = [attribute.g for attribute in graph.node[0].attribute]
    assert [operations(graph) for graph in inner] == [["Conv"], ["Conv"]]


def test_a_branch_captures(tmp_path):
    """What a branch uses of the graph around it stays as it is."""
    inner = helper.make_graph(
        [conv("x", "t", "w", name="/inner")], "then", [],
        [helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, [2, 6, 4, 3])])
    other = helper.make_graph(
        [helper.make_node("Identity", ["p"], ["e"])], "else", [],
        [helper.make_tensor_value_info("e", onnx.TensorProto.FLOAT, [2, 6, 4, 3])])
    nodes = [conv("x", "c", "w"), batch_norm("c", "p"),
             helper.make_node("If", ["choice"], ["y"], then_branch=inner, else_branch=other)]
    built = judges.model(
        nodes, [tensor("w", normal(6, 4, 3, 3)), *statistics(6)], {**PICTURE, "choice": (onnx.TensorProto.BOOL, [])},
        {"y": [2, 6, 4, 3]})
    result, graph = fused(built, tmp_path)
    assert len(result["fused"]) == 1 and "w" in {item.name for item in graph.initializer}


def test_stale_value_info_goes(tmp_path):
    built = simple()
    built.graph.value_info.append(helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [2, 6, 4, 3]))
    _, graph = fused(built, tmp_path)
    assert not graph.value_info


def test_fusing_twice_changes_nothing(tmp_path):
    onnx.save(TAKEN["arithmetic"], tmp_path / "in.onnx")
    succeeds("fuse", tmp_path / "in.onnx", "-o", tmp_path / "a.onnx")
    succeeds("fuse", tmp_path / "a.onnx", "-o", tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
