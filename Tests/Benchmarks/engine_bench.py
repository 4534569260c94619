"""What the engine computes, against PyTorch and ONNX Runtime at their best.

Both peers get the fused network; PyTorch in both layouts, ONNX Runtime its export. Nobody spins. The fastest run of each counts: on a
machine that others share the others are in all slower ones. The floor is a product of matrices with as many operations, which some ways
of convolving beat.
"""

import json
import statistics

from processes import HERE, PYTHON, QUIET, median, run, turns
from table import Row, with_threads

PROGRAMS = ("mutils",)
PEERS = ("torch", "torchvision", "yolov5", "onnx", "onnxruntime", "numpy", "PIL")
SIZES = {"resnet50": 224, "yolov5s": 640}
RIVALS = ("PyTorch NCHW", "PyTorch channels_last", "ONNX Runtime")
# For each number of threads and batch what the rivals must take at least, in ours.
TARGETS = {
    (1, 1): {"resnet50": (1.6, 1.4, 1.0), "yolov5s": (1.45, 1.2, 1.0)},
    (2, 1): {"resnet50": (1.8, 1.25, 1.0), "yolov5s": (1.8, 1.25, 1.0)},
    (1, 8): {"resnet50": (1.5, 1.3, 1.0), "yolov5s": (1.5, 1.3, 1.0)},
}


def rows(options, folder):
    run(PYTHON, HERE / "engine_models.py", folder, options.photographs, environment=QUIET)
    result = []
    for threads in options.threads:
        for batch in (1, 8) if threads == 1 else (1,):
            for name in SIZES:
                result += forward_passes(options, folder, name, batch, threads)
    return result + first_results(options, folder) + photographs(options, folder)


def forward_passes(options, folder, name, batch, threads):
    """Rows for the time of one forward pass."""
    size = SIZES[name]
    title = with_threads(f"{name} at {size}, batch {batch}", threads)
    profiles, theirs = [], []
    for _ in turns(options, f"engine, {title}"):
        setting = ("--image-size", size, "--batch-size", batch, "--threads", threads, "--runs", options.runs)
        profile = run(options.mutils, "profile", folder / f"{name}.pt", *setting, "--json")
        profiles.append(json.loads(profile.output)["models"][0])
        peers = run(PYTHON, HERE / "engine_peers.py", folder, name, size, batch, threads, options.runs, environment=QUIET)
        theirs.append(json.loads(peers.output))
    product = profiles[0]["gflops"] * 1e9 / max(r["rate"] for r in theirs)
    result = []
    for index, rival in enumerate(RIVALS):
        row = Row(title, min(p["forwardMs"]["min"] for p in profiles) / 1e3)
        row.compare(rival, min(r[rival] for r in theirs))
        row.above("matrix product", product)
        if targets := TARGETS.get((threads, batch)):
            row.require(f">= {targets[name][index]}x", row.ratio >= targets[name][index])
        result.append(row)
    if (name, batch, threads) == ("yolov5s", 1, 1):
        row = Row(with_threads("plan of yolov5s", threads), min(p["planMs"] for p in profiles) / 1e3)
        row.require("<= 120 ms", row.ours <= 0.12)
        result.append(row)
    return result


def first_results(options, folder):
    """Rows for a whole process from the file to the first result: processor time."""
    scripts = {"PyTorch": "run_torch.py", "ONNX Runtime": "run_onnx.py"}
    ours, theirs = [], {peer: [] for peer in scripts}
    for _ in turns(options, "engine, first results"):
        ours += [run(options.mutils, "run", folder / "yolov5s.pt") for _ in range(3)]
        for peer, script in scripts.items():
            theirs[peer].append(run(PYTHON, HERE / "scripts" / script, folder / "yolov5s", environment=QUIET))
    mine, peak = min(r.worked for r in ours), max(r.peak for r in ours)
    result = []
    for peer, target in (("PyTorch", 20), ("ONNX Runtime", 3)):
        row = Row("mutils run yolov5s, processor time", mine, remark=f"{peak / 1e6:.0f} MB")
        row.compare(peer, min(r.worked for r in theirs[peer]))
        row.require(f">= {target}x, <= 0.4 s, <= 120 MB", row.ratio >= target and mine <= 0.4 and peak <= 120e6)
        result.append(row)
    return result


def photographs(options, folder):
    """A row for detecting in a folder of photographs as a whole process."""
    ours, theirs, engine = [], [], []
    model, pictures = folder / "yolov5s.pt", folder / "photographs"
    for _ in turns(options, "engine, photographs"):
        ours.append(run(options.mutils, "detect", model, pictures, "--quiet", "--json", "-o", folder / "annotated", "--force"))
        profile = run(options.mutils, "profile", model, "--image-size", "480x640", "--runs", options.runs, "--json")
        engine.append(json.loads(profile.output)["models"][0]["forwardMs"]["median"] / 1e3 * options.photographs)
        theirs.append(run(PYTHON, HERE / "scripts/detect.py", model, pictures, folder / "theirs", environment=QUIET))
    row = Row(f"mutils detect, {options.photographs} photographs", median(ours).seconds)
    row.compare("YOLOv5's detect.py", median(theirs).seconds)
    row.above("the engine alone", statistics.median(engine))
    row.require(">= 1.5x, <= 1.1x the engine", row.ratio >= 1.5 and row.floor_ratio <= 1.1)
    return [row]
