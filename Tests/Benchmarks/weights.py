"""Rows for subcommands that do little but read weights: ema, diff, check."""

import os
import sys
from pathlib import Path

from processes import median, run
from table import Row

HERE = Path(__file__).resolve().parent


def rows(options, folder):
    """The average of ten checkpoints against the script that does the same; diff and check against reading their files."""
    epochs = [folder / f"epoch{i}.safetensors" for i in range(10)]
    ours, theirs = folder / "average.safetensors", folder / "average-python.safetensors"
    same = folder / "same.safetensors"
    # Another file with the same bytes: what is one file need not be read.
    same.write_bytes(epochs[0].read_bytes())
    os.sync()
    runs = {name: [] for name in ("ema", "script", "diff", "diff differing", "check", "cat two", "cat one", "cat ten")}

    def measure(name, *argv, **arguments):
        runs[name].append(run(*argv, **arguments))

    def cat(name, *files):
        measure(name, "sh", "-c", 'cat "$@" > /dev/null', "sh", *files)

    for round in range(options.rounds):
        print(f"weights, round {round + 1} of {options.rounds}", file=sys.stderr, flush=True)
        ours.unlink(missing_ok=True)
        measure("ema", options.mutils, "ema", *epochs, "-o", ours, watch=True)
        measure("script", sys.executable, HERE / "scripts/ema.py", *epochs, theirs, watch=True)
        cat("cat ten", *epochs)
        for _ in range(5):
            measure("diff", options.mutils, "diff", epochs[0], same)
            measure("diff differing", options.mutils, "diff", epochs[0], epochs[1], expected=1)
            measure("check", options.mutils, "check", epochs[0])
            cat("cat two", epochs[0], same)
            cat("cat one", epochs[0])
    run(options.mutils, "diff", ours, theirs)
    for file in (ours, theirs, same):
        file.unlink()

    size = epochs[0].stat().st_size
    mine, peer = median(runs["ema"]), median(runs["script"])
    ema = Row(
        f"mutils ema (10 x {size / 1e6:.0f} MB)", mine.seconds,
        remark=f"{mine.private / 1e6:.0f} MB and {peer.private / 1e6:.0f} MB beyond file pages",
    )
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
