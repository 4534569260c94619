"""What the engine makes of ONNX models in folders, many in one process, and what ONNX Runtime makes of them."""

import numpy as np
import onnx
import onnxruntime
import torch
from helpers import mutils
from output_judges import INTERPRET
from safetensors.torch import load_file, save_file

# Of each output's largest value.
TOLERANCE = 1e-4


def tensor(array):
    array = np.asarray(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(np.ascontiguousarray(array).view(np.int16).reshape(array.shape)).view(torch.bfloat16)
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def interpreted(folders):
    """What the engine makes of the model in each folder: `ok`, or why not."""
    result = mutils("--onnx", *folders, program=INTERPRET, timeout=600)
    assert result.code == 0, result.err
    return dict(line.split("\t", 1) for line in result.out.splitlines())


def case(folder, model, feed):
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, onnx.ModelProto):
        onnx.save(model, folder / "model.onnx")
    save_file({name: tensor(value) for name, value in feed.items()}, folder / "inputs.safetensors")


def assert_close(expected, actual, name=""):
    expected, actual = tensor(expected), tensor(actual) if isinstance(actual, np.ndarray) else actual
    assert expected.shape == actual.shape and expected.dtype == actual.dtype, (name, actual.shape, actual.dtype)
    if expected.numel():
        largest = max(expected.double().abs().max().item(), 1e-6)
        difference = (expected.double() - actual.double()).abs().max().item()
        assert difference <= TOLERANCE * largest, f"{name} differs by {difference} of {largest}"


def check(folder, feed, model=None):
    """The outputs of the model in a folder against ONNX Runtime's. Gives what is said of it."""
    case(folder, model, feed)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    expected = session.run(None, feed)
    line = interpreted([folder])[str(folder)]
    assert line.startswith("ok"), line
    actual = load_file(folder / "outputs.safetensors")
    for output, value in zip(session.get_outputs(), expected):
        assert_close(value, actual[output.name], output.name)
    return line
