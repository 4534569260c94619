"""The originals' outputs against those of the reference interpreter."""

import os

import torch
from helpers import INTERPRET, mutils, tensors_in
from safetensors.torch import load_file, save_file
from torch import nn


# The originals compute in float32 and the interpreter in double.
TOLERANCE = 5e-5


def quiet(model):
    """The model without anything random: dropout and stochastic depth never drop."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if hasattr(module, "drop_rate"):
            module.drop_rate = 0.0
        for rate in ("drop_prob", "prob"):  # of timm's DropPath, DropBlock2d, PatchDropout
            if hasattr(module, rate):
                setattr(module, rate, 0.0)
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return model


def several(x):
    return x if isinstance(x, tuple) else (x,)


def run(model, x):
    """The model's outputs; an LSTM takes its states as one tuple."""
    first, *others = (t.clone() for t in several(x))
    takes_pair = isinstance(model, (nn.LSTM, nn.LSTMCell))
    return model(first, tuple(others)) if takes_pair and others else model(first, *others)


def doubled(x):
    """Inputs in double; places stay whole numbers."""
    return tuple(t.double() if t.is_floating_point() else t.clone() for t in several(x))


def interpreted(model, x, folder, *options):
    """What the interpreter makes of a model saved whole: its tensors by name. `x` is a tensor, or a tuple of them."""
    torch.save(model, folder / "model.pt")
    save_file({f"input.{i}": t.contiguous() for i, t in enumerate(several(x))}, folder / "input.safetensors")
    paths = [folder / name for name in ("model.pt", "input.safetensors", "output.safetensors")]
    result = mutils(*paths, *options, *os.environ.get("INTERPRET_OPTIONS", "").split(), program=INTERPRET, timeout=300)
    assert result.code == 0, result.err
    return load_file(folder / "output.safetensors")


def error(expected, actual):
    """The largest difference, of the largest value."""
    assert expected.shape == actual.shape, f"{tuple(actual.shape)}, not {tuple(expected.shape)}"
    assert expected.dtype == actual.dtype, f"{actual.dtype}, not {expected.dtype}"
    if expected.numel() == 0 or torch.equal(expected, actual):
        return 0.0
    expected, actual = expected.double(), actual.double()
    return (expected - actual).abs().max().item() / max(expected.abs().max().item(), 1e-12)


def assert_same(expected, actual, tolerance=TOLERANCE):
    assert len(expected) > 0
    outputs = [actual[f"output.{index}"] for index in range(sum(name.startswith("output.") for name in actual))]
    shapes = [[tuple(t.shape) for t in tensors] for tensors in (outputs, expected)]
    assert shapes[0] == shapes[1], f"{shapes[0]}, not {shapes[1]}"
    errors = [error(a, b) for a, b in zip(expected, outputs)]
    assert max(errors) <= tolerance, f"outputs differ by {errors}"


@torch.no_grad()
def check_outputs(
    model, x, folder, count=None, tolerance=TOLERANCE, arrange=lambda outputs: outputs, in_double=False
):
    """The first `count` output tensors in evaluation mode, or all: after them heads pass on what their losses take.

    `arrange` puts near-tied rows of both in one order. `in_double`: the original runs in double, where its float32
    loses more than the tolerance by itself.
    """
    model.eval()
    actual = interpreted(model, x, folder)
    if in_double:
        model, x = model.double(), doubled(x)
    outputs = tensors_in(run(model, x))[:count]
    expected = [t.clone().float() if t.is_floating_point() else t.clone() for t in outputs]
    outputs = arrange([actual[f"output.{index}"] for index in range(len(actual))])
    assert_same(arrange(expected), {f"output.{index}": t for index, t in enumerate(outputs)}, tolerance)


def check_training(model, x, folder, tolerance=TOLERANCE, arrange=tensors_in):
    """Every output tensor in training mode, and what the running statistics become.

    `arrange` lists what the original returns in the interpreter's order.

    The original runs in double: statistics of a handful of elements let float32's rounding grow beyond any tolerance.
    """
    quiet(model).train()
    actual = interpreted(model, x, folder, "--training")
    before = {name: t.clone() for name, t in model.named_buffers()}
    model.double()
    expected = [t.detach().float() for t in arrange(run(model, doubled(x)))]
    assert_same(expected, actual, tolerance)
    buffers = dict(model.float().named_buffers())
    updates = {name.removeprefix("update."): t for name, t in actual.items() if name.startswith("update.")}
    names = {name for name in buffers if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert set(updates) <= names, set(updates) - names
    for name in names:
        assert error(buffers[name], updates.get(name, before[name])) <= tolerance, name


def places(model, x, folder, tolerance=TOLERANCE):
    """Where a model's outputs begin to differ, for a person who looks for the reason: (module, error)."""
    seen, names = {}, {module: name for name, module in model.named_modules()}

    def note(module, _, output):
        seen.setdefault(names[module], [t.detach().clone() for t in tensors_in(output)])

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    with torch.no_grad():
        run(model, x)
    for hook in hooks:
        hook.remove()
    actual = interpreted(model, x, folder, "--scopes", *(["--training"] if model.training else []))
    found = []
    for name, tensors in seen.items():
        for index, tensor in enumerate(tensors):
            ours = actual.get(f"scope.{name}.{index}")
            if ours is None or ours.shape != tensor.shape:
                found.append((name, "missing" if ours is None else tuple(ours.shape)))
            elif error(tensor, ours) > tolerance:
                found.append((name, error(tensor, ours)))
    return found
