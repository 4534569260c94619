"""Measures mutils and its library against the Python that people use today, and prints a table.

    python bench.py [--mutils FILE] [--benchmark FILE] [--rounds N] [--json] [--no-large] [--large-gb GB] [--folder DIR]

Run it with the Python that has the peers: torch, torchvision, yolov5. Ours and theirs alternate. `make bench` builds and runs it.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import large
import weights
from processes import median, run
from table import Row, render

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / ".build/release"
PYTHON = sys.executable
# YOLOv5's classes are unpickled, its own loader asks for this.
LOADING = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONWARNINGS": "ignore"}


def note(text):
    print(text, file=sys.stderr, flush=True)


# --- in memory --------------------------------------------------------------------------------------------------


def in_memory(options, folder):
    """Rows for prune, fuse, sparsity and averages of models in memory, and what the peers are."""
    paths = [folder / "resnet101.pt", folder / "yolov5s.pt"]
    ours, theirs = [], []
    for round in range(options.rounds):
        note(f"in memory, round {round + 1} of {options.rounds}")
        ours.append(json.loads(run(options.benchmark, 10, *paths).output))
        theirs.append(json.loads(run(PYTHON, HERE / "peers.py", 2, *paths, environment=LOADING).output))
    rows = []
    for index, title in enumerate(["ResNet-101", "YOLOv5s"]):
        mine, peer = ours[0]["models"][index], theirs[0]["models"][index]
        if mine["fusedPairs"] != peer["fusedPairs"] or abs(mine["sparsity"] - peer["sparsity"]) > 1e-4:
            raise SystemExit(f"{title}: ours and the peers' results differ: {mine}, {peer}")

        def time(rounds, group, name):
            return statistics.median(t for r in rounds for t in r["models"][index][group][name])

        # The targets are for ResNet-101.
        for ours_name, peer_name, label, floor, target in [
            ("prune", "prune", "torch.nn.utils.prune", "update", 40),
            ("fuse", "fuse YOLOv5", "YOLOv5 fuse_conv_and_bn", "update", 25),
            ("fuse", "fuse PyTorch", "torch.nn.utils.fusion", "update", 1),
            ("sparsity", "sparsity", "YOLOv5 sparsity", "read", 3),
            ("average", "average YOLOv5", "YOLOv5 ModelEMA.update", "average", 2),
            ("average", "average PyTorch", "torch._foreach_lerp_", "average", 1),
        ]:
            row = Row(f"{ours_name} {title}", time(ours, "operations", ours_name))
            row.compare(label, time(theirs, "operations", peer_name))
            row.above(f"C {floor}", time(ours, "floors", floor))
            if index == 0 and ours_name == "average":
                met = row.ratio >= target and row.floor_ratio <= 1.25
                row.require(f"{f'>= {target}x' if target > 1 else 'faster'}, <= 1.25x C", met)
            elif index == 0:
                row.require(f">= {target}x" if target > 1 else "faster", row.ratio >= target)
            rows.append(row)
        rows.append(Row(f"memcpy {title}", time(ours, "floors", "copy"), remark=f"{mine['bytes'] / 1e6:.0f} MB"))
    row = Row("build and initialise ResNet-50", statistics.median(t for r in ours for t in r["builds"]))
    row.compare("torchvision resnet50()", statistics.median(t for r in theirs for t in r["builds"]))
    row.require("as fast", row.ratio >= 1)
    rows.append(row)
    mine, peer = ours[0]["flops"]["gigaflops"], theirs[0]["flops"]["gigaflops"]
    if mine != peer:
        raise SystemExit(f"FLOPs of YOLOv5x: {mine}, thop counts {peer}")
    row = Row("FLOPs of YOLOv5x at 640", statistics.median(t for r in ours for t in r["flops"]["seconds"]))
    row.compare("thop.profile", statistics.median(t for r in theirs for t in r["flops"]["seconds"]))
    row.require(">= 100x", row.ratio >= 100)
    rows.append(row)
    machine = {"simd": ours[0]["simd"], "threads": ours[0]["threads"]}
    return rows, theirs[0]["versions"], machine


# --- whole processes --------------------------------------------------------------------------------------------


def whole_processes(options, folder):
    """Rows for the command on a training checkpoint against the script that does the same."""
    checkpoint, large, out = folder / "training.pt", folder / "yolov5x.pt", folder / "out.pt"
    commands = {
        "fuse": ("fuse", checkpoint, "-o", out), "prune": ("prune", checkpoint, "-o", out), "info": ("info", checkpoint),
    }
    ours = {name: [] for name in [*commands, "info large", "--version", "cat"]}
    theirs = {name: [] for name in [*commands, "import"]}

    def measure(list, *argv, **options):
        out.unlink(missing_ok=True)
        list.append(run(*argv, **options))

    for round in range(options.rounds):
        note(f"whole processes, round {round + 1} of {options.rounds}")
        for name, arguments in commands.items():
            for _ in range(5):
                measure(ours[name], options.mutils, *arguments)
            script = [HERE / f"scripts/{name}.py", checkpoint, *([] if name == "info" else [out])]
            measure(theirs[name], PYTHON, *script, environment=LOADING)
        for _ in range(5):
            measure(ours["info large"], options.mutils, "info", large)
            measure(ours["--version"], options.mutils, "--version")
            measure(ours["cat"], "sh", "-c", f"cat '{checkpoint}' > /dev/null")
        measure(theirs["import"], PYTHON, "-c", "import torch")

    rows = []
    size = f"{checkpoint.stat().st_size / 1e6:.0f} MB"
    cat = median(ours["cat"])
    for name in commands:
        mine, peer = median(ours[name]), median(theirs[name])
        row = Row(f"mutils {name} ({size})", mine.seconds, remark=f"{mine.peak / 1e6:.0f} MB, {peer.peak / 1e6:.0f} MB")
        row.compare(f"scripts/{name}.py", peer.seconds)
        row.above("cat", cat.seconds)
        if name == "info":
            row.require("< 30 ms beyond reading", mine.seconds - cat.seconds < 0.03)
        else:
            row.require(">= 50x, < 100 MB", row.ratio >= 50 and mine.peak < 100e6)
        rows.append(row)
    info = median(ours["info large"])
    row = Row(f"mutils info ({large.stat().st_size / 1e6:.0f} MB)", info.seconds, remark=f"{info.peak / 1e6:.0f} MB")
    row.require("< 50 ms", info.seconds < 0.05)
    rows.append(row)
    row = Row("mutils --version", median(ours["--version"]).seconds)
    row.compare("python -c 'import torch'", median(theirs["import"]).seconds)
    return [*rows, row]


# --- a large file -----------------------------------------------------------------------------------------------


def large_file(options, folder):
    """A row for pruning a file larger than what should be in memory."""
    source, target = folder / "large.safetensors", folder / "large-pruned.safetensors"
    needed = 2.1 * options.large_gb * 1e9
    free = shutil.disk_usage(folder).free
    if free < needed:
        note(f"the large file is left out: it needs {needed / 1e9:.0f} GB in {folder}, {free / 1e9:.0f} GB are free")
        return []
    try:
        note(f"writing {options.large_gb:g} GB")
        large.write(source, options.large_gb)
        os.sync()
        note("pruning it")
        pruned = run(options.mutils, "prune", source, "-o", target, watch=True)
        if target.stat().st_size != source.stat().st_size:
            raise SystemExit("the pruned file has another size")
        target.unlink()
        note("copying it")
        copied = run("dd", f"if={source}", f"of={target}", "bs=16M", "conv=fsync", "status=none")
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
    rate = options.large_gb * 1e3 / pruned.seconds
    row = Row(
        f"mutils prune ({options.large_gb:g} GB)", pruned.seconds,
        remark=f"{pruned.private / 1e6:.0f} MB beyond file pages, {rate:.0f} MB/s",
    )
    row.above("dd, synced", copied.seconds)
    row.require("< 600 MB beyond", pruned.private < 600e6)
    return [row]


# --- all --------------------------------------------------------------------------------------------------------


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutils", type=Path, default=BUILD / "mutils", help="the command")
    parser.add_argument("--benchmark", type=Path, default=BUILD / "benchmark", help="the library's measurements")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours and the peers alternate")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--no-large", action="store_true", help="leave out the large file")
    parser.add_argument("--large-gb", type=float, default=10, help="its size in GB")
    parser.add_argument("--folder", type=Path, help="where the models are made; default: a temporary folder")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="mutils-bench-", dir=options.folder) as name:
        folder = Path(name)
        note("making the models")
        run(PYTHON, HERE / "models.py", folder, environment=LOADING)
        load = os.getloadavg()[0]
        rows, versions, machine = in_memory(options, folder)
        rows += whole_processes(options, folder)
        rows += weights.rows(options, folder)
        if not options.no_large:
            rows += large_file(options, folder)
    machine = {"processor": processor(), "cores": os.cpu_count(), **machine, "loadBefore": load}
    if options.json:
        print(json.dumps({"machine": machine, "versions": versions, "rows": [row.values() for row in rows]}, indent=1))
    else:
        print(render(rows))
        print(", ".join(f"{name} {version}" for name, version in versions.items()))
        print(f"{machine['processor']}, {machine['cores']} cores, {machine['simd']}, load before {load:.1f}")


if __name__ == "__main__":
    main()
