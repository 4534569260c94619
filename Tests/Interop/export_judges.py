"""Exported models against their originals: ONNX's checker in full, and ONNX Runtime's outputs against torch's."""

import numpy as np
import onnx
import onnxruntime
import torch
from helpers import report, tensors_in
from output_judges import error

# ONNX Runtime and torch both compute in float32, in other orders.
TOLERANCE = 1e-4
onnxruntime.set_default_logger_severity(3)


def exported(model, x, folder, *options):
    """The path of a model that is exported for an input."""
    torch.save(model, folder / "in.pt")
    shape = "x".join(map(str, x.shape))
    report("convert", folder / "in.pt", "-o", folder / "out.onnx", "--force", "--shape", shape, *options, timeout=300)
    return folder / "out.onnx"


def checked(path):
    """The file's model, which ONNX's checker takes in full, with what holds of every file that is exported."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    graph = model.graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names) and all(names)
    kinds = {node.op_type for node in graph.node}
    assert not kinds & {"Constant"}, kinds
    described = {v.name for v in [*graph.value_info, *graph.output]}
    assert {o for node in graph.node for o in node.output if o} <= described
    used = {i for node in graph.node for i in node.input} | {o.name for o in graph.output}
    assert {i.name for i in graph.initializer} <= used
    return model


def ran(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(np.ascontiguousarray(y)) for y in session.run(None, {session.get_inputs()[0].name: x.numpy()})]


@torch.no_grad()
def expected(model, x, count=None, in_double=False):
    """The model's first `count` outputs in evaluation, or all."""
    outputs = tensors_in(model.eval().double()(x.double()) if in_double else model.eval()(x.clone()))[:count]
    model.float()
    return [t.float() if in_double else t.clone() for t in outputs]


def check_export(
    model, x, folder, *options, count=None, tolerance=TOLERANCE, arrange=lambda outputs: outputs, others=(),
    in_double=False,
):
    """A model and its file agree for x, and for `others` where it is exported with dynamic axes.

    `arrange` puts near-tied rows of both in one order. `in_double`: torch runs in double, where its float32 loses more
    than the tolerance by itself.
    """
    path = exported(model, x, folder, *options)
    result = checked(path)
    for picture in (x, *others):
        actual = arrange(ran(path, picture))
        wanted = arrange(expected(model, picture, count, in_double))
        shapes = [[tuple(t.shape) for t in tensors] for tensors in (wanted, actual)]
        assert shapes[0] == shapes[1], f"{shapes[1]}, not {shapes[0]}"
        errors = [error(a, b) for a, b in zip(wanted, actual)]
        assert max(errors) <= tolerance, f"outputs differ by {errors}"
    return result
