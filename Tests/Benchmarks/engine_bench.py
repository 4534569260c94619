"""Measures what the engine computes against PyTorch and ONNX Runtime at their best, and prints a table.

    python engine_bench.py [--mutils FILE] [--rounds N] [--runs N] [--json] [--photographs N] [--folder DIR]

Both peers get the fused network; PyTorch in both layouts, ONNX Runtime its export. Nobody spins. Ours and theirs alternate, and
the fastest run of each counts: on a machine that others share the others are in all slower ones.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from processes import run
from table import Row, render

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / ".build/release"
PYTHON = sys.executable
QUIET = {"OMP_WAIT_POLICY": "passive", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONWARNINGS": "ignore"}
SIZES = {"resnet50": 224, "yolov5s": 640}
# For each number of threads and batch what the peers must take at least, in ours.
TARGETS = {
    (1, 1): {"resnet50": (1.6, 1.4, 1.0), "yolov5s": (1.45, 1.2, 1.0)},
    (2, 1): {"resnet50": (1.8, 1.25, 1.0), "yolov5s": (1.8, 1.25, 1.0)},
    (1, 8): {"resnet50": (1.5, 1.3, 1.0), "yolov5s": (1.5, 1.3, 1.0)},
}
PEERS = ("PyTorch NCHW", "PyTorch channels_last", "ONNX Runtime")


def note(text):
    print(text, file=sys.stderr, flush=True)


def forward_passes(options, folder):
    """Rows for the time of one forward pass."""
    rows = []
    for (threads, batch), targets in TARGETS.items():
        for name, wanted in targets.items():
            ours, theirs, plans = [], {peer: [] for peer in PEERS}, []
            for round in range(options.rounds):
                note(f"{name}, {threads} threads, batch {batch}: round {round + 1} of {options.rounds}")
                size = ("--image-size", SIZES[name], "--batch-size", batch, "--threads", threads, "--runs", options.runs)
                profile = json.loads(run(options.mutils, "profile", folder / f"{name}.pt", *size, "--json").output)["models"][0]  # fmt: skip
                ours.append(profile["forwardMs"]["min"] / 1e3)
                plans.append(profile["planMs"] / 1e3)
                peer = run(PYTHON, HERE / "engine_peers.py", folder, name, SIZES[name], batch, threads, options.runs, environment=QUIET)  # fmt: skip
                for key, seconds in json.loads(peer.output).items():
                    theirs[key].append(seconds)
            for peer, target in zip(PEERS, wanted, strict=True):
                row = Row(f"{name} at {SIZES[name]}, batch {batch}, {threads} threads", min(ours))
                row.compare(peer, min(theirs[peer]))
                row.require(f">= {target}x", row.ratio >= target)
                rows.append(row)
            if (threads, batch) == (1, 1) and name == "yolov5s":
                row = Row("plan of yolov5s", min(plans))
                row.require("<= 120 ms", min(plans) <= 0.12)
                rows.append(row)
    return rows


def first_results(options, folder):
    """Rows for a whole process from the file to the first result: processor time."""
    measured = {"ours": [], "PyTorch": [], "ONNX Runtime": []}
    for round in range(options.rounds):
        note(f"first results, round {round + 1} of {options.rounds}")
        measured["ours"] += [processor_time(options.mutils, "run", folder / "yolov5s.pt") for _ in range(3)]
        for peer, script in (("PyTorch", "run_torch.py"), ("ONNX Runtime", "run_onnx.py")):
            measured[peer].append(processor_time(PYTHON, HERE / "scripts" / script, folder / "yolov5s", environment=QUIET))
    mine, peak = min(t for t, _ in measured["ours"]), max(p for _, p in measured["ours"])
    rows = []
    for peer, target in (("PyTorch", 20), ("ONNX Runtime", 3)):
        row = Row("mutils run yolov5s, processor time", mine, remark=f"{peak / 1e6:.0f} MB")
        row.compare(peer, min(t for t, _ in measured[peer]))
        row.require(f">= {target}x, <= 0.4 s, <= 120 MB", row.ratio >= target and mine <= 0.4 and peak <= 120e6)
        rows.append(row)
    return rows


def processor_time(*argv, environment=None):
    before = os.times()
    result = run(*argv, environment=environment)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, result.peak


def photographs(options, folder):
    """Rows for detecting in a folder of photographs as a whole process."""
    ours, theirs, engine = [], [], []
    command = (options.mutils, "detect", folder / "yolov5s.pt", folder / "photographs", "--quiet", "--json")
    for round in range(options.rounds):
        note(f"photographs, round {round + 1} of {options.rounds}")
        ours.append(run(*command, "-o", folder / "annotated", "--force").seconds)
        profile = run(options.mutils, "profile", folder / "yolov5s.pt", "--image-size", "480x640", "--runs", 10, "--json")
        engine.append(json.loads(profile.output)["models"][0]["forwardMs"]["median"] / 1e3 * options.photographs)
        theirs.append(run(PYTHON, HERE / "scripts/detect.py", folder / "yolov5s.pt", folder / "photographs", folder / "theirs", environment=QUIET).seconds)  # fmt: skip
    row = Row(f"mutils detect, {options.photographs} photographs", statistics.median(ours))
    row.compare("YOLOv5's detect.py", statistics.median(theirs))
    row.above("the engine alone", statistics.median(engine))
    row.require(">= 1.5x, <= 1.1x the engine", row.ratio >= 1.5 and row.floor_ratio <= 1.1)
    return [row]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutils", type=Path, default=BUILD / "mutils", help="the command")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours and the peers alternate")
    parser.add_argument("--runs", type=int, default=10, help="forward passes of each in a round")
    parser.add_argument("--photographs", type=int, default=100, help="how many photographs are looked at")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--folder", type=Path, help="where the models are made; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutils-bench-", dir=options.folder) as name:
        folder = Path(name)
        note("making the models")
        run(PYTHON, HERE / "engine_models.py", folder, options.photographs, environment=QUIET)
        rows = forward_passes(options, folder) + first_results(options, folder) + photographs(options, folder)
    print(json.dumps([row.values() for row in rows], indent=1) if options.json else render(rows))


if __name__ == "__main__":
    main()
