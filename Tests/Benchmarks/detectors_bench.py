"""Training and judging a YOLOv6n, against PyPI's yolov6detect on eager PyTorch.

A step is a batch made of pictures on disk (mosaic, affine, colours), forward, loss, backward and update. The original has its data loader: its
best of no workers and one for each thread. Of each the median step of all rounds counts, behind two that make plans and caches. An evaluation
is all pictures of a set, from files to COCO's figures.
"""

import json
import statistics
import subprocess
import time

from processes import HERE, PYTHON, QUIET, Failed, printed_seconds, run, turns, wait_until_idle
from table import Row, with_threads

PROGRAMS = ("mutils",)
PEERS = ("torch", "torchvision", "ultralytics", "yolov6", "pycocotools", "cv2")
SIZE, BATCH, STEPS, SKIPPED = 320, 8, 8, 2
# What PyTorch must take at least, in ours.
TARGETS = {"step": 1.3, "evaluation": 3}


def rows(options, folder):
    data = folder / "set"
    count = BATCH * (STEPS + 1)
    run(options.mutils, "dataset", "shapes", data, "--train", count, "--val", 64, "--size", SIZE, "--quiet")
    run(options.mutils, "train", data / "data.yaml", "--model", "yolov6n", "--image-size", 64, "--batch-size", count, "--epochs", 1,
        "--eval-final-only", "--quiet", "-o", folder / "weights")  # fmt: skip
    return [row for threads in options.threads for row in rows_for(options, folder, data, folder / "weights/best.pt", threads)]


def rows_for(options, folder, data, weights, threads):
    script = (PYTHON, HERE / "detectors_peers.py")
    ours, theirs = {"step": [], "evaluation": []}, {"step": [], "workers": [], "evaluation": []}
    for number in turns(options, with_threads("detectors", threads)):
        ours["step"] += our_steps(options.mutils, data, threads, folder / f"run{threads}-{number}")[SKIPPED:]
        for name, workers in (("step", 0), ("workers", threads)):
            peer = (*script, "steps", data, SIZE, BATCH, threads, workers, STEPS)
            theirs[name] += printed_seconds(*peer, environment=QUIET)[SKIPPED:]
        judging = (options.mutils, "val", weights, data / "data.yaml", "--image-size", SIZE, "--batch-size", BATCH, "--threads", threads, "--json")
        ours["evaluation"].append(run(*judging).seconds)
        peer = (*script, "evaluation", data, SIZE, BATCH, threads, weights)
        theirs["evaluation"] += printed_seconds(*peer, environment=QUIET)
    peers = {name: statistics.median(seconds) for name, seconds in theirs.items()}
    peers["step"] = min(peers["step"], peers["workers"])
    result = []
    for name, title in (("step", f"step of YOLOv6n at {SIZE}, batch {BATCH}"), ("evaluation", f"evaluation of it, 64 pictures at {SIZE}")):
        row = Row(with_threads(title, threads), statistics.median(ours[name]))
        row.compare("YOLOv6", peers[name])
        row.require(f">= {TARGETS[name]}x", row.ratio >= TARGETS[name])
        result.append(row)
    return result


def our_steps(mutils, data, threads, folder):
    """When each step is told of, one behind the other."""
    command = [mutils, "train", data / "data.yaml", "--model", "yolov6n", "--image-size", SIZE, "--batch-size", BATCH, "--epochs", 1,
               "--set", "nbs=1", "--stop-aug-last-n-epoch", 0, "--json", "--quiet", "--threads", threads, "-o", folder]  # fmt: skip
    wait_until_idle()
    times = []
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "step" in json.loads(line):
                times.append(time.perf_counter())
            if len(times) == STEPS:
                process.kill()
                break
    if len(times) < STEPS:
        raise Failed(f"mutils train told of {len(times)} steps")
    return [b - a for a, b in zip(times, times[1:])]
