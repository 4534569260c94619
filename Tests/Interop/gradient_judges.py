"""torch's gradients against ours, of whole networks in training mode."""

import torch
from helpers import mutils, tensors_in
from output_judges import INTERPRET, doubled, quiet, run, several
from safetensors.torch import load_file, save_file


def backward(model, x, seeds, arrange):
    """The gradients that torch finds, by parameters' names, and the outputs that they come from."""
    outputs = [t for t in arrange(run(model, x)) if t.is_floating_point()]
    pairs = [(t, s) for t, s in zip(outputs, seeds(outputs)) if t.requires_grad]
    torch.autograd.backward([t for t, _ in pairs], [s.to(t.dtype) for t, s in pairs])
    gradients = {name: p.grad.double() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return gradients


def gradients(model, x, folder, *options, arrange=tensors_in):
    """What torch finds in double precision and in float32, and what we find.

    The outputs' gradients are random, so that nothing cancels.
    """
    quiet(model).train()
    torch.save(model, folder / "model.pt")
    state = {name: t.clone() for name, t in model.state_dict().items()}
    kept = []

    def seeds(outputs):
        if not kept:
            generator = torch.Generator().manual_seed(5)
            kept.extend(torch.randn(t.shape, generator=generator) for t in outputs)
        return kept

    expected = backward(model.double(), doubled(x), seeds, arrange)
    model.float().load_state_dict(state)
    single = backward(model, tuple(t.clone() for t in several(x)), seeds, arrange)
    inputs = {f"input.{i}": t.contiguous() for i, t in enumerate(several(x))}
    # In order: names are sorted in the file.
    inputs |= {f"gradient.{i:04}": t for i, t in enumerate(kept)}
    save_file(inputs, folder / "input.safetensors")
    paths = [folder / name for name in ("model.pt", "input.safetensors", "output.safetensors")]
    result = mutils(*paths, "--training", "--gradients", *options, program=INTERPRET, timeout=600)
    assert result.code == 0, result.err
    actual = load_file(folder / "output.safetensors")
    ours = {n.removeprefix("gradient."): t.double() for n, t in actual.items() if n.startswith("gradient.")}
    return expected, single, ours


def errors(expected, actual):
    """Of each tensor the root of the squared differences over that of the squares, and the same of all together.

    A gradient that is nothing but rounding, such as that of a bias before a norm, counts in the whole alone.
    """
    squares = {name: g.square().sum().item() for name, g in expected.items()}
    differences = {name: (g - actual[name]).square().sum().item() for name, g in expected.items()}
    whole = sum(squares.values())
    each = {n: (differences[n] / s) ** 0.5 for n, s in squares.items() if s > 1e-12 * whole / len(squares)}
    return each, (sum(differences.values()) / whole) ** 0.5


def check_gradients(model, x, folder, by="engine", arrange=tensors_in):
    """Ours equal torch's in double precision: the interpreter's to a rounding of each, the engine's as closely as
    torch's own float32, which a ReLU at its kink may send astray."""
    expected, single, ours = gradients(
        model, x, folder, *(["--engine"] if by == "engine" else []), arrange=arrange)
    assert set(ours) == set(expected), set(ours) ^ set(expected)
    for name, gradient in expected.items():
        assert ours[name].shape == gradient.shape, name
    each, whole = errors(expected, ours)
    wrong = dict(sorted(each.items(), key=lambda item: -item[1])[:5])
    if by != "engine":
        assert max(each.values()) <= 1e-6 and whole <= 1e-6, (whole, wrong)
        return
    theirs, theirs_whole = errors(expected, single)
    median, their_median = (sorted(e.values())[len(e) // 2] for e in (each, theirs))
    assert median <= max(1e-5, 3 * their_median), (median, their_median, wrong)
    assert whole <= max(1e-5, 4 * theirs_whole), (whole, theirs_whole, wrong)
    assert max(each.values()) <= max(1e-5, 10 * max(theirs.values())), (wrong, max(theirs.values()))
