"""What the tests share: running the command, comparing tensors, models and outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
FIXTURES = HERE.parent / "Fixtures"
sys.path.insert(0, str(FIXTURES))
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # YOLOv5's attempt_load needs it

import nets  # noqa: E402  (from Tests/Fixtures)
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch import nn  # noqa: E402

# Where the command is, and what stands in for the library.
BUILD = Path(os.environ.get("BUILD", REPOSITORY / ".build/release"))
MUTILS, INTERPRET, REHEARSE = (Path(os.environ.get(name.upper(), BUILD / name)).absolute() for name in ("mutils", "interpret", "rehearse"))
torch.set_num_threads(2)

# --- the command ------------------------------------------------------------------------------------------------

_spawner = None


def mutils(*arguments, cwd=None, timeout=60, address_space=0, environment=None, program=None):
    """Runs the command, or another program. The result has code, out, err, timed_out, peak, seconds."""
    global _spawner
    if _spawner is None:
        _spawner = subprocess.Popen(
            [sys.executable, "-S", "-I", str(HERE / "spawn.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    request = {
        "argv": [str(program or MUTILS), *map(str, arguments)],
        "cwd": str(cwd) if cwd else None,
        "timeout": timeout,
        "address_space": address_space,
        "environment": {name: str(value) for name, value in (environment or {}).items()},
    }
    _spawner.stdin.write(json.dumps(request) + "\n")
    _spawner.stdin.flush()
    result = SimpleNamespace(**json.loads(_spawner.stdout.readline()))
    result.command = " ".join(map(str, (Path(program or "mutils").name, *arguments)))
    return result


def succeeds(*arguments, **options):
    """Runs the command, which must exit 0."""
    result = mutils(*arguments, **options)
    assert result.code == 0, f"{result.command}\nexit {result.code}\n{result.err}"
    return result


def report(*arguments, **options):
    """Runs the command with --json and returns its object; nothing else may stand on stdout."""
    return json.loads(succeeds(*arguments, "--json", **options).out)


def is_error(line, as_json):
    """Whether a line is the one that says why something could not be done: with --json an object."""
    if not as_json:
        return line.startswith("mutils: error: ")
    error = json.loads(line)["error"]
    return {"kind", "reason"} <= set(error) <= {"kind", "reason", "file", "offset", "subject", "advice"}


def trouble(*arguments):
    """The status of what could not be done: 2 where 1 is an answer."""
    return 2 if arguments[0] in ("diff", "check", "find") or "--verify" in arguments else 1


def fails(*arguments, naming=None, **options):
    """Runs the command, which must not be able to do it, with exactly one line on stderr and nothing on stdout."""
    result = mutils(*arguments, **options)
    where = f"{result.command}\nexit {result.code}\nstdout: {result.out[:500]}\nstderr: {result.err[:500]}"
    assert not result.timed_out, where
    assert result.code == trouble(*arguments), where
    assert result.out == "", where
    lines = result.err.splitlines()
    assert len(lines) == 1 and is_error(lines[0], "--json" in arguments), where
    if naming:
        assert str(naming) in lines[0], where
    return result


def to_pt(source, folder, *arguments):
    """The tensors after a conversion to .pt, which weights_only must take."""
    report("convert", source, "-o", folder / "out.pt", *arguments)
    return torch.load(folder / "out.pt", weights_only=True)


def to_safetensors(source, folder, *arguments):
    """The tensors after a conversion to safetensors."""
    report("convert", source, "-o", folder / "out.safetensors", *arguments)
    return load_file(folder / "out.safetensors")


# --- comparing --------------------------------------------------------------------------------------------------


def load(path):
    return torch.load(path, weights_only=False, map_location="cpu")


def same_bits(a, b):
    """Same dtype, shape and bits."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and torch.equal(a.contiguous().reshape(-1).view(torch.uint8), b.contiguous().reshape(-1).view(torch.uint8))
    )


def assert_same_tensors(a, b):
    """Two dicts of tensors with the same names and bits."""
    assert set(a) == set(b), (
        f"only in first {sorted(set(a) - set(b))[:5]}, only in second {sorted(set(b) - set(a))[:5]}"
    )
    for name in a:
        x, y = a[name].detach(), b[name].detach()
        assert same_bits(x, y), f"{name}: {x.dtype} {tuple(x.shape)} and {y.dtype} {tuple(y.shape)} differ"


def contiguous(tensors):
    return {k: v.contiguous() for k, v in tensors.items()}


def tensors_in(output):
    """The tensors of a model's output, whatever it is made of."""
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, dict):
        return [t for value in output.values() for t in tensors_in(value)]
    if isinstance(output, (list, tuple)):
        return [t for value in output for t in tensors_in(value)]
    return []


@torch.no_grad()
def outputs(model, x):
    """Flat output tensors in evaluation mode; the model's own mode is put back."""
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    result = [t.detach().clone() for t in tensors_in(model(x.clone()))]
    for m, mode in modes:
        m.training = mode
    return result


def assert_same_outputs(expected, actual, tolerance=1e-4):
    """max |a - b| / max |a| of every output tensor is within the tolerance."""
    assert len(expected) == len(actual) > 0
    for a, b in zip(expected, actual):
        assert a.shape == b.shape
        scale = a.abs().max().item()
        error = (a - b).abs().max().item() / max(scale, 1e-12)
        assert error <= tolerance, f"outputs differ by {error:.3g} of {scale:.3g}"


def close(a, b, tolerance=1e-5):
    """max |a - b| relative to max |b|."""
    a, b = a.detach().double(), b.detach().double()
    return a.shape == b.shape and (a - b).abs().max().item() <= tolerance * max(b.abs().max().item(), 1e-12)


# --- models -----------------------------------------------------------------------------------------------------

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def names_by_identity(model):
    """module -> the first name it goes by."""
    return {m: n for n, m in model.named_modules()}


def computes_as_its_base(module):
    """A convolution or linear layer, or one of a class that changes nothing of its forward."""
    return any(isinstance(module, base) and type(module).forward is base.forward for base in (*CONVS, nn.Linear))


class Tracer(torch.fx.Tracer):
    def is_leaf_module(self, module, name):
        return computes_as_its_base(module) or super().is_leaf_module(module, name)


def provable_pairs(model):
    """(conv, bn) names that a trace of the forward proves: the conv runs once and only the norm reads it."""
    graph = Tracer().trace(model.eval())
    modules = dict(model.named_modules())
    calls = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[node.target] = calls.get(node.target, 0) + 1
    pairs = set()
    for node in graph.nodes:
        if node.op != "call_module" or type(modules[node.target]) not in NORMS:
            continue
        source = node.args[0]
        if getattr(source, "op", None) != "call_module" or len(source.users) != 1:
            continue
        if computes_as_its_base(modules[source.target]) and calls[source.target] == calls[node.target] == 1:
            pairs.add((source.target, node.target))
    return pairs


def sequential_pairs(model):
    """(conv, bn) names that stand side by side in a Sequential whose forward is Sequential's own."""
    pairs = set()
    for name, m in model.named_modules():
        if not isinstance(m, nn.Sequential) or type(m).forward is not nn.Sequential.forward:
            continue
        children = list(m.named_children())
        for (a, x), (b, y) in zip(children, children[1:]):
            if type(x) in (*CONVS, nn.Linear) and type(y) in NORMS:
                pairs.add((f"{name}.{a}".lstrip("."), f"{name}.{b}".lstrip(".")))
    return pairs


def reported_pairs(result):
    return {(pair["conv"], pair["bn"]) for pair in result["fused"]}


def check_fused_file(model, path, x, *, tolerance=1e-4, must=(), may=None, arguments=(), loader=load):
    """Fuses the whole-module file at `path`, which holds `model`, and checks everything that must be true of the result.

    The reloaded model gives the same output; each reported pair has the weights that folding gives; every other tensor
    is bit for bit the same; the norms' entries are gone, the convs have a bias and require no gradients; the modes are
    the same. `must` are pairs that have to be fused, `may` those that are allowed (None: any).
    Returns the reloaded model and the report.
    """
    expected = outputs(model, x)
    before = model.state_dict()
    out = path.with_name(path.stem + "-out" + path.suffix)
    result = report("fuse", path, "-o", out, *arguments)
    fused = reported_pairs(result)
    assert len(fused) == len(result["fused"]), "a pair is reported twice"
    assert set(must) <= fused, f"not fused: {sorted(set(must) - fused)[:6]}; refused: {result['refused'][:3]}"
    if may is not None:
        assert fused <= set(may), f"fused without proof: {sorted(fused - set(may))[:6]}"

    loaded = loader(out)
    after = loaded.state_dict()
    folded = nets.fused_pairs(model, sorted(fused))
    gone = {f"{bn}." for _, bn in fused}
    for name, tensor in before.items():
        if name in folded:
            continue
        if any(name.startswith(prefix) for prefix in gone):
            assert name not in after, f"{name} is still there"
        else:
            assert same_bits(tensor, after[name]), f"{name} changed"
    assert set(after) == {n for n in before if not any(n.startswith(p) for p in gone)} | set(folded)
    for name, tensor in folded.items():
        dtype = before[name.rsplit(".", 1)[0] + ".weight"].dtype
        assert after[name].dtype == dtype
        assert close(after[name], tensor, 1e-5 if dtype == torch.float32 else 2e-3), f"{name} is not what folding gives"
    for conv, bn in fused:
        module = loaded.get_submodule(conv)
        assert not any(p.requires_grad for p in module.parameters()), f"{conv} requires gradients"
        assert type(module) is type(model.get_submodule(conv))
        parent = loaded.get_submodule(bn.rpartition(".")[0])
        block = model.get_submodule(bn.rpartition(".")[0])
        if hasattr(block, "forward_fuse"):
            assert not hasattr(parent, "bn") and parent.forward.__func__ is type(parent).forward_fuse
            assert parent.forward.__self__ is parent
        else:
            # A batch norm of timm's leaves what it runs behind itself.
            norm = model.get_submodule(bn)
            rest = [type(m) for m in norm.children() if type(m) is not nn.Identity] or [nn.Identity]
            assert type(loaded.get_submodule(bn)) is (rest[0] if len(rest) == 1 else nn.Sequential)
    for name, module in model.named_modules():
        if all(name != bn and not name.startswith(f"{bn}.") for _, bn in fused):
            assert loaded.get_submodule(name).training == module.training, name
    kept = {id(p): n for n, p in model.named_parameters()}
    for name, p in loaded.named_parameters():
        if name not in folded:
            assert p.requires_grad == model.get_parameter(name).requires_grad, name
    assert len(kept) == len(list(model.named_parameters()))
    assert result["parametersBefore"] == sum(p.numel() for p in model.parameters())
    assert result["parametersAfter"] == sum(p.numel() for p in loaded.parameters())
    assert_same_outputs(expected, outputs(loaded, x), tolerance)
    return loaded, result
