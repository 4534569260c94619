"""Steps of training, against PyTorch, which runs eagerly in both layouts; nobody spins.

A step is forward, the mean square of the outputs as loss, backward, and SGD with momentum. Of each the fastest step of all rounds counts:
on a machine that others share the others are in all slower ones. Both are kept to as many processors as there are threads. The floor is a
product of matrices with as many operations as torch counts in a step.
"""

import json

from processes import HERE, PYTHON, QUIET, printed_seconds, run, turns
from table import Row, with_threads

PROGRAMS = ("interpret",)
PEERS = ("torch", "torchvision", "yolov5", "safetensors")
# Name: size, batch, and what PyTorch must take at least, in ours, in both layouts.
CASES = {"resnet18": (64, 32, 1.25, 1.3), "yolov5n": (320, 8, 1.6, 1.4)}
LAYOUTS = ("NCHW", "channels_last")
# The first ones compile and warm up.
SKIPPED = 2


def rows(options, folder):
    result = []
    for threads in options.threads:
        for name, (size, batch, *targets) in CASES.items():
            title = with_threads(f"{name} at {size}, batch {batch}", threads)
            result += steps(options, folder, name, size, batch, threads, title, targets)
    return result


def steps(options, folder, name, size, batch, threads, title, targets):
    model, inputs = folder / f"{name}.pt", folder / f"{name}.safetensors"
    script = (PYTHON, HERE / "training_peers.py")
    run(*script, "make", name, size, batch, model, inputs, environment=QUIET)
    work = json.loads(run(*script, "work", name, size, batch, threads, environment=QUIET, processors=threads).output)
    ours, theirs = [], {layout: [] for layout in LAYOUTS}
    for _ in turns(options, f"training, {title}"):
        learning = (options.interpret, model, inputs, folder / "output.safetensors", "--learn")
        ours += printed_seconds(*learning, environment=QUIET, processors=threads)[SKIPPED:]
        for layout in LAYOUTS:
            peer = (*script, "steps", name, size, batch, threads, layout)
            theirs[layout] += printed_seconds(*peer, environment=QUIET, processors=threads)[SKIPPED:]
    result = []
    for layout, target in zip(LAYOUTS, targets, strict=True):
        row = Row(title, min(ours))
        row.compare(f"PyTorch {layout}", min(theirs[layout]))
        row.above("matrix product", work["operations"] / work["rate"])
        row.require(f">= {target}x", row.ratio >= target)
        result.append(row)
    return result
