"""ONNX files as checkpoints: every way to hold a tensor, what is rewritten, looked for and put back."""

import json
import shutil

import numpy as np
import onnx
import onnx_judges as judges
import pytest
import torch
from helpers import fails, mutils, report, succeeds
from onnx import TensorProto, helper, numpy_helper
from onnx_judges import feeds, network, normal, protobuf, report_of_check, tensor
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch


@pytest.fixture
def file(tmp_path):
    onnx.save(network(), tmp_path / "in.onnx")
    return tmp_path / "in.onnx"


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
    actual = load_torch(tmp_path / "out.safetensors")["w"].to(torch.float64).numpy()
    np.testing.assert_array_equal(actual, numpy_helper.to_array(held).astype(np.float64))


def test_what_is_not_known_stays(tmp_path):
    """Unknown fields at every level; an edit changes nothing else."""
    unknown = bytes([0xfa, 0x7f, 3]) + b"abc"  # field 2047
    built = network()
    first = built.graph.node[0].SerializeToString()
    node, inner = first + unknown, built.graph.SerializeToString()
    at = inner.index(first)
    assert inner[at - 1] == len(first) < 128 and len(node) < 128
    inner = inner[: at - 1] + bytes([len(node)]) + node + inner[at + len(first):] + unknown
    built.ClearField("graph")
    data = built.SerializeToString() + protobuf(7, inner) + unknown
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
    assert result["operatorMacs"] == {"Conv": 2 * 8 * 35 * 27, "Gemm": 2 * 40 * 8}
    assert "  GMACs by operator: Conv 1.51e-05, Gemm 6.4e-07\n" in succeeds("info", file, "--shape", "x=2x3x9x7").out


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


def test_types_that_are_stale(tmp_path):
    """As a tool leaves them that changes a weight, a stride or a type and not what is recorded of the values behind."""
    built = onnx.shape_inference.infer_shapes(network())
    path = tmp_path / "in.onnx"

    def recorded(code):
        onnx.save(built, path)
        result = mutils("check", path, "--json")
        assert result.code == code
        findings = json.loads(result.out)["findings"]
        return [(item["severity"], item["where"]) for item in findings if "recorded" in item["what"]]

    assert recorded(0) == []
    value = next(value for value in built.graph.value_info if value.name == "c").type.tensor_type
    value.shape.dim[1].dim_value = 9
    assert recorded(0) == [("warning", "c")]
    value.elem_type = TensorProto.FLOAT16
    assert recorded(1) == [("broken", "c")]
    with pytest.raises(Exception):  # ONNX Runtime refuses it as well.
        judges.session(path)


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", *(pytest.param(name, marks=pytest.mark.slow) for name in ("swin_t", "shufflenet_v2_x0_5"))])
def test_exported_networks_record_what_they_compute(name, dynamo, dynamic, tmp_path):
    import torchvision

    net = getattr(torchvision.models, name)().eval()
    axes = {}
    if dynamic:
        axes = (
            dict(dynamic_shapes=({0: torch.export.Dim("batch")},)) if dynamo
            else dict(dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
        )
    torch.onnx.export(
        net, torch.rand(2, 3, 224, 224), tmp_path / "in.onnx", dynamo=dynamo, input_names=["x"], output_names=["y"], **axes)
    if not dynamo:
        onnx.save(onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "in.onnx")), tmp_path / "in.onnx")
    assert len(onnx.load(tmp_path / "in.onnx", load_external_data=False).graph.value_info) > 20
    assert not [f for f in report("check", tmp_path / "in.onnx")["findings"] if "recorded" in f["what"]]


def test_sizes_that_are_not_taken(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    onnx.save(judges.model(nodes, [], {"x": [2, 3, 8, 9]}, {"y": [2, 3, 8, 9]}), tmp_path / "fixed.onnx")
    onnx.save(judges.model(nodes, [], {"x": ["n", 3, "h", "w"]}, {"y": ["n", 3, "h", "w"]}), tmp_path / "open.onnx")
    onnx.save(judges.model(nodes, [], {"x": [5]}, {"y": [5]}), tmp_path / "row.onnx")
    for command in ("run", "profile"):
        asked = ("--image-size", "16", "--batch-size", "4")
        notes = succeeds(command, tmp_path / "fixed.onnx", *asked).err
        assert "takes pictures of one size, 8x9" in notes and "takes batches of one size, 2" in notes
        assert succeeds(command, tmp_path / "fixed.onnx", "--image-size", "8x9", "--batch-size", "2").err == ""
        assert succeeds(command, tmp_path / "open.onnx", *asked).err == ""
        assert "takes no pictures" in succeeds(command, tmp_path / "row.onnx", "--image-size", "16").err
    assert "--convention macs" in succeeds("info", tmp_path / "fixed.onnx", "--convention", "thop").err
    assert succeeds("info", tmp_path / "fixed.onnx", "--convention", "macs").err == ""
    fails("info", tmp_path / "fixed.onnx", "--extrapolate", naming="--extrapolate")


def test_names_that_are_not_there(file, tmp_path):
    for options, near in ((("--type", "Conv2d"), "Conv, "), (("--name", "fc.Gem"), "/fc/Gemm, ")):
        none = mutils("find", file, *options)
        assert none.code == 1 and f"the nearest are {near}" in none.err
    shape = ("--shape", "x=1x3x9x7")
    assert "the nearest are /fc/Gemm, " in fails("run", file, *shape, "--save", "/fc/Gem", naming="/fc/Gem").err
    assert "the nearest are y" in fails("run", file, *shape, "--outputs", "z", naming="z").err
    nodes = [helper.make_node("Relu", ["audio"], ["y"])]
    onnx.save(judges.model(nodes, [], {"audio": ["a", "b", 7]}, {"y": ["a", "b", 7]}), tmp_path / "open.onnx")
    error = fails("run", tmp_path / "open.onnx", naming="audio").err
    assert error.count("audio") == 2 and "--shape audio=1x16x7" in error
    assert "--shape audio=1x16x7" in succeeds("info", tmp_path / "open.onnx").err


def test_zeros_of_quantised_weights_are_not_counted(tmp_path):
    weights = [tensor("w", np.zeros((4, 3)), np.int8), tensor("scale", 0.5), tensor("v", [[0, 1, 2, 3]] * 4)]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["f"]), helper.make_node("MatMul", ["f", "x"], ["m"]),
        helper.make_node("MatMul", ["v", "m"], ["y"]),
    ]
    onnx.save(judges.model(nodes, weights, {"x": [3, 2]}, {"y": [4, 2]}), tmp_path / "in.onnx")
    assert "1 quantised weights of 12 elements" in succeeds("sparsity", tmp_path / "in.onnx").err
    result = report("sparsity", tmp_path / "in.onnx")
    assert result["notCounted"] == ["w"] and (result["zeros"], result["elements"]) == (4, 16)


def test_float16_twice(file, tmp_path):
    succeeds("convert", file, "-o", tmp_path / "half.onnx", "--dtype", "float16")
    fails("convert", tmp_path / "half.onnx", "-o", tmp_path / "twice.onnx", "--dtype", "float16", naming="no float32")
    fails("convert", tmp_path / "half.onnx", "-o", tmp_path / "wide.onnx", "--dtype", "float32", naming="float16")
    assert not (tmp_path / "twice.onnx").exists()


def test_names_that_mislead(file, tmp_path):
    shutil.copy(file, tmp_path / "model.pt")
    fails("prune", tmp_path / "model.pt", "-o", tmp_path / "model.pt", "--force", naming="weights alone")
    assert "graph is left out" in succeeds("prune", tmp_path / "model.pt", "-o", tmp_path / "weights.pt").err
    succeeds("init", "resnet18", "-o", tmp_path / "state.pt")
    (tmp_path / "state.pt").rename(tmp_path / "state.onnx")
    assert report("info", tmp_path / "state.onnx")["layers"] == 68


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
