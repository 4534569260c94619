"""The command as a whole process, against the scripts that do the same.

What it takes to fuse, prune and describe a training checkpoint, to average ten checkpoints, and to compare and check them. The floor is
reading the same files, or starting a process.
"""

import os

from processes import HERE, LOADING, PYTHON, median, run, turns
from table import Row, megabytes

PROGRAMS = ("mutils",)
PEERS = ("torch", "torchvision", "yolov5", "safetensors")


def rows(options, folder):
    run(PYTHON, HERE / "checkpoints.py", "processes", folder, environment=LOADING)
    return training_checkpoint(options, folder) + weights(options, folder)


def cat(*files):
    return run("sh", "-c", 'cat "$@" > /dev/null', "sh", *files)


def training_checkpoint(options, folder):
    """Rows for the command on a training checkpoint against the script that does the same."""
    checkpoint, large, out = folder / "training.pt", folder / "yolov5x.pt", folder / "out.pt"
    commands = {
        "fuse": ("fuse", checkpoint, "-o", out), "prune": ("prune", checkpoint, "-o", out), "info": ("info", checkpoint),
    }  # fmt: skip
    ours = {name: [] for name in [*commands, "info large", "--version", "cat", "true"]}
    theirs = {name: [] for name in [*commands, "import"]}

    def measure(runs, *argv, **settings):
        out.unlink(missing_ok=True)
        runs.append(run(*argv, **settings))

    for _ in turns(options, "processes"):
        for name, arguments in commands.items():
            for _ in range(5):
                measure(ours[name], options.mutils, *arguments)
            script = [HERE / f"scripts/{name}.py", checkpoint, *([] if name == "info" else [out])]
            measure(theirs[name], PYTHON, *script, environment=LOADING)
        for _ in range(5):
            measure(ours["info large"], options.mutils, "info", large)
            measure(ours["--version"], options.mutils, "--version")
            ours["cat"].append(cat(checkpoint))
            measure(ours["true"], "true")
        measure(theirs["import"], PYTHON, "-c", "import torch")

    result = []
    size = f"{checkpoint.stat().st_size / 1e6:.0f} MB"
    reading, start = median(ours["cat"]), median(ours["--version"])
    for name in commands:
        mine, peer = median(ours[name]), median(theirs[name])
        row = Row(f"mutils {name} ({size})", mine.seconds, remark=megabytes(mine, peer))
        row.compare(f"scripts/{name}.py", peer.seconds)
        row.above("cat", reading.seconds)
        if name == "info":
            row.require("< 30 ms beyond reading", mine.seconds - reading.seconds < 0.03)
        else:
            row.require(">= 50x, < 100 MB", row.ratio >= 50 and mine.peak < 100e6)
        result.append(row)
    info = median(ours["info large"])
    row = Row(f"mutils info ({large.stat().st_size / 1e6:.0f} MB)", info.seconds, remark=megabytes(info))
    row.above("mutils --version", start.seconds)
    row.require("< 50 ms", info.seconds < 0.05)
    result.append(row)
    row = Row("mutils --version", start.seconds)
    row.compare("python -c 'import torch'", median(theirs["import"]).seconds)
    row.above("true", median(ours["true"]).seconds)
    return [*result, row]


def weights(options, folder):
    """The average of ten checkpoints against the script that does the same; diff and check against reading their files."""
    epochs = [folder / f"epoch{i}.safetensors" for i in range(10)]
    ours, theirs = folder / "average.safetensors", folder / "average-python.safetensors"
    same = folder / "same.safetensors"
    # Another file with the same bytes: what is one file need not be read.
    same.write_bytes(epochs[0].read_bytes())
    os.sync()
    runs = {name: [] for name in ("ema", "script", "diff", "diff differing", "check", "cat two", "cat one", "cat ten")}
    for _ in turns(options, "processes, weights"):
        ours.unlink(missing_ok=True)
        runs["ema"].append(run(options.mutils, "ema", *epochs, "-o", ours, watch=True))
        runs["script"].append(run(PYTHON, HERE / "scripts/ema.py", *epochs, theirs, watch=True))
        runs["cat ten"].append(cat(*epochs))
        for _ in range(5):
            runs["diff"].append(run(options.mutils, "diff", epochs[0], same))
            runs["diff differing"].append(run(options.mutils, "diff", epochs[0], epochs[1], expected=1))
            runs["check"].append(run(options.mutils, "check", epochs[0]))
            runs["cat two"].append(cat(epochs[0], same))
            runs["cat one"].append(cat(epochs[0]))
    run(options.mutils, "diff", ours, theirs)

    size = epochs[0].stat().st_size
    mine, peer = median(runs["ema"]), median(runs["script"])
    ema = Row(
        f"mutils ema (10 x {size / 1e6:.0f} MB)", mine.seconds,
        remark=f"{mine.private / 1e6:.0f} MB and {peer.private / 1e6:.0f} MB beyond file pages",
    )  # fmt: skip
    ema.compare("scripts/ema.py", peer.seconds)
    ema.above("cat", median(runs["cat ten"]).seconds)
    ema.require(">= 4x, < two models", ema.ratio >= 4 and mine.private < 2 * size)
    result = [ema]
    for name, files, floor in [("diff", 2, "cat two"), ("diff differing", 2, "cat two"), ("check", 1, "cat one")]:
        row = Row(f"mutils {name} ({files} x {size / 1e6:.0f} MB)", median(runs[name]).seconds)
        row.above("cat", median(runs[floor]).seconds)
        row.require("speed of reading", row.floor_ratio <= 1.25)
        result.append(row)
    return result
