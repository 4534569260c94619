"""What the original tools say of a model's operations, and of the shapes of its modules' outputs."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import thop
import torch
from helpers import CONVS, provable_pairs, report, tensors_in
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# ultralytics-thop is a package of the same name: it stands beside the environment and runs in a process of its own.
ULTRALYTICS_THOP = Path(os.environ.get("ULTRALYTICS_THOP", Path(sys.prefix) / "ultralytics-thop"))


def hollow(model):
    """The model with tensors of its shapes that take no room: one element for each dtype, seen everywhere."""
    seen, elements = {}, {}

    def empty(tensor):
        if id(tensor) not in seen:
            # Half of it where so much may not be unfolded: counts do not depend on the dtype.
            dtype = tensor.dtype if tensor.nbytes <= 1 << 28 else torch.bfloat16
            small = elements.setdefault(dtype, torch.zeros((), dtype=dtype)).expand(tensor.shape)
            if isinstance(tensor, nn.Parameter):
                small = nn.Parameter(small, requires_grad=tensor.requires_grad)
            seen[id(tensor)] = small
        return seen[id(tensor)]

    for module in list(model.modules()):
        for tensors in (module._parameters, module._buffers):
            tensors.update({name: empty(tensor) for name, tensor in tensors.items() if tensor is not None})
    return model


def meta_input(size, channels=3):
    """A picture, or what has one axis or three beside its channels."""
    return torch.empty(1, channels, *size, device="meta")


@torch.no_grad()
def judged(model, size, channels=3, folded=()):
    """What the tools say of a model on the meta device.

    `macs`, and `macs_by_name` with those of children; `thop`; `shapes` of every module's first output; `biases`, the
    additions of biases once the convolutions named in `folded` have one.
    """
    names = {module: name for name, module in model.named_modules()}
    shapes, biases = {}, 0

    def note(module, _, output):
        nonlocal biases
        output = tensors_in(output)[0]
        shapes[names[module]] = list(output.shape)
        if isinstance(module, (*CONVS, nn.Linear)) and (module.bias is not None or names[module] in folded):
            biases += output.numel()

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    with FlopCounterMode(display=False) as counter:
        model(meta_input(size, channels))
    for hook in hooks:
        hook.remove()
    root = type(model).__name__
    macs = {
        name.removeprefix(root).removeprefix("."): sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
        if name != "Global"
    }
    operations, _ = thop.profile(model, (meta_input(size, channels),), verbose=False)
    return SimpleNamespace(
        macs=counter.get_total_flops() // 2, macs_by_name=macs, shapes=shapes, thop=operations, biases=biases
    )


class UltralyticsThop:
    """ultralytics-thop, asked in a process of its own that runs `script`; see `serve`."""

    def __init__(self, script):
        self.script, self.process = script, None

    def ask(self, *question):
        """What is returned waits for the answer."""
        if self.process is None:
            found = (ULTRALYTICS_THOP / "thop").is_dir()
            assert found, f"no ultralytics-thop in {ULTRALYTICS_THOP}: set ULTRALYTICS_THOP"
            self.process = subprocess.Popen(
                [sys.executable, self.script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ULTRALYTICS_THOP)},
            )
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return lambda: json.loads(self.process.stdout.readline())


def serve(answer):
    """Answers the questions of an `UltralyticsThop`; whatever else is printed goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    assert ULTRALYTICS_THOP in Path(thop.__file__).parents
    for line in sys.stdin:
        os.write(answers, (json.dumps(answer(*json.loads(line))) + "\n").encode())


def count(path, size, channels):
    """The operations of the whole module in a file."""
    model = torch.load(path, weights_only=False).to("meta").float()
    return thop.profile(model, (meta_input(size, channels),), verbose=False)[0]


ultralytics_thop = UltralyticsThop(__file__)


def operations(gflops):
    """GFLOPs as a whole number of operations."""
    return round(gflops * 1e9)


def check_flops(model, size, path, channels=3, twin=None, ultralytics=True, pairs=provable_pairs):
    """Saves a model that is on the meta device and compares `info` with every judge, to the last operation.

    `twin` stands in where the model cannot be traced; `ultralytics` is false for classes that only this process knows;
    `pairs` traces a model for the convolutions whose bias takes the place of a batch norm.
    """
    model.eval()
    torch.save(hollow(copy.deepcopy(model)), path)
    answer = ultralytics_thop.ask(str(path), size, channels) if ultralytics else None
    folded = {conv for conv, _ in pairs(twin or model)}
    expected = judged(model, size, channels, folded)
    lengths = "x".join(map(str, (1, channels, *size)))
    shape = ("--image-size", "x".join(map(str, size))) if len(size) == 2 else ("--shape", lengths)
    result = report("info", path, *shape)
    if answer:
        expected.ultralytics = answer()

    assert result["gflops"], result.get("gflopsReason")
    counts = {convention: operations(figure) for convention, figure in result["gflops"].items()}
    assert counts["macs"] == expected.macs
    assert counts["thop"] == 2 * expected.thop
    assert counts["readme"] == 2 * (expected.macs + expected.biases)
    if answer:
        assert counts["ultralytics"] == 2 * expected.ultralytics
    assert result["layers"] == len(list(model.modules()))
    assert result["parameters"] == sum(p.numel() for p in model.parameters())

    rows = result["modules"]
    assert {row["name"]: row["outputShape"] for row in rows if row.get("outputShape")} == expected.shapes
    macs = {row["name"]: 0 for row in rows}
    for row in rows:
        parts = row["name"].split(".") if row["name"] else []
        for depth in range(len(parts) + 1):
            macs[".".join(parts[:depth])] += row.get("macs", 0)
    # Lists of modules are not called.
    assert {n: m for n, m in macs.items() if m and n in expected.shapes} == {n: m for n, m in expected.macs_by_name.items() if m}
    return result


if __name__ == "__main__":
    serve(count)
