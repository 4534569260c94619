"""torch's gradients against ours, of whole networks in training mode."""

import os

import torch
from helpers import mutils, tensors_in
from output_judges import INTERPRET, doubled, quiet, run, several
from safetensors.torch import load_file, save_file

# Ours in double precision, rounded once, against torch in double precision.
TOLERANCE = 1e-6


def gradients(model, x, folder, *options, arrange=tensors_in):
    """What torch finds in double precision, and what ours finds: (expected, actual), by parameters' names.

    The outputs' gradients are random, so that nothing cancels.
    """
    quiet(model).train()
    torch.save(model, folder / "model.pt")
    state = {name: t.clone() for name, t in model.state_dict().items()}
    generator = torch.Generator().manual_seed(5)
    model.double()
    outputs = [t for t in arrange(run(model, doubled(x))) if t.is_floating_point()]
    seeds = [torch.randn(t.shape, generator=generator) for t in outputs]
    torch.autograd.backward(
        [t for t in outputs if t.requires_grad],
        [s.double() for t, s in zip(outputs, seeds) if t.requires_grad],
    )
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.float().load_state_dict(state)
    inputs = {f"input.{i}": t.contiguous() for i, t in enumerate(several(x))}
    # In order: names are sorted in the file.
    inputs |= {f"gradient.{i:04}": t for i, t in enumerate(seeds)}
    save_file(inputs, folder / "input.safetensors")
    paths = [folder / name for name in ("model.pt", "input.safetensors", "output.safetensors")]
    result = mutils(*paths, "--training", "--gradients", *options, *os.environ.get("INTERPRET_OPTIONS", "").split(),
                    program=INTERPRET, timeout=600)
    assert result.code == 0, result.err
    actual = load_file(folder / "output.safetensors")
    return expected, {n.removeprefix("gradient."): t for n, t in actual.items() if n.startswith("gradient.")}


def check_gradients(model, x, folder, *options, tolerance=TOLERANCE, arrange=tensors_in):
    """Every gradient, relative to the largest of its parameter's; a gradient that is nothing but rounding is compared
    with the largest of all."""
    expected, actual = gradients(model, x, folder, *options, arrange=arrange)
    assert set(actual) == set(expected), set(actual) ^ set(expected)
    largest = max(g.abs().max().item() for g in expected.values())
    errors = {}
    for name, gradient in expected.items():
        assert actual[name].shape == gradient.shape, name
        scale = max(gradient.abs().max().item(), largest * 1e-6)
        errors[name] = (gradient - actual[name].double()).abs().max().item() / scale
    wrong = {name: e for name, e in errors.items() if not e <= tolerance}
    assert not wrong, dict(sorted(wrong.items(), key=lambda item: -item[1])[:8])
    return max(errors.values())
