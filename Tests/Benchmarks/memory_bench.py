"""Prune, fuse, sparsity and averages of models in memory, building one, and counting its operations.

The floors are plain loops in C over the same bytes, with as many threads. What has no option for its threads is kept to as many processors.
"""

import json
import statistics

from processes import HERE, LOADING, PROCESSORS, PYTHON, Failed, run, turns
from table import Row, with_threads

PROGRAMS = ("benchmark",)
PEERS = ("torch", "torchvision", "yolov5", "thop")
# Ours, the peers' name for it, the peer, the loop over the same bytes, and what the peer must take at least, in ours, on all processors.
OPERATIONS = [
    ("prune", "prune", "torch.nn.utils.prune", "update", 40),
    ("fuse", "fuse YOLOv5", "YOLOv5 fuse_conv_and_bn", "update", 25),
    ("fuse", "fuse PyTorch", "torch.nn.utils.fusion", "update", 1),
    ("sparsity", "sparsity", "YOLOv5 sparsity", "read", 3),
    ("average", "average YOLOv5", "YOLOv5 ModelEMA.update", "average", 2),
    ("average", "average PyTorch", "torch._foreach_lerp_", "average", 1),
]


def rows(options, folder):
    run(PYTHON, HERE / "checkpoints.py", "memory", folder, environment=LOADING)
    models = {"ResNet-101": folder / "resnet101.pt", "YOLOv5s": folder / "yolov5s.pt"}
    return [row for threads in options.threads for row in rows_for(options, models, threads)]


def rows_for(options, models, threads):
    ours, theirs, building = [], [], []
    for _ in turns(options, with_threads("memory", threads)):
        ours.append(our_times(options, 10, threads, models))
        theirs.append(peers_times(2, threads, models))
        building.append(peers_say(threads, "building", 2))
    result = []
    for index, title in enumerate(models):
        # The targets are for ResNet-101.
        aimed = title == "ResNet-101" and threads == PROCESSORS
        result += rows_of(title, [r["models"][index] for r in ours], [r[index] for r in theirs], threads, aimed=aimed)

    row = Row(with_threads("build and initialise ResNet-50", threads), statistics.median(t for r in ours for t in r["builds"]))
    row.compare("torchvision resnet50()", statistics.median(t for r in building for t in r["builds"]))
    row.require("as fast", row.ratio >= 1)
    result.append(row)
    mine, peer = ours[0]["flops"]["gigaflops"], building[0]["flops"]["gigaflops"]
    if mine != peer:
        raise Failed(f"FLOPs of YOLOv5x: {mine}, thop counts {peer}")
    row = Row(with_threads("FLOPs of YOLOv5x at 640", threads), statistics.median(t for r in ours for t in r["flops"]["seconds"]))
    row.compare("thop.profile", statistics.median(t for r in building for t in r["flops"]["seconds"]))
    row.require(">= 100x", row.ratio >= 100)
    return [*result, row]


def our_times(options, repetitions, threads, models):
    return json.loads(run(options.benchmark, repetitions, *models.values(), processors=threads).output)


def peers_times(repetitions, threads, models):
    return peers_say(threads, "models", repetitions, *models.values())


def peers_say(threads, *arguments):
    output = run(PYTHON, HERE / "memory_peers.py", threads, *arguments, environment=LOADING, processors=threads).output
    return json.loads(output)


def rows_of(title, ours, theirs, threads, operations=("prune", "fuse", "sparsity", "average"), aimed=False):
    """The rows of one model, of which ours and the peers measured the same in each round."""
    mine, peer = ours[0], theirs[0]
    if mine["fusedPairs"] != peer["fusedPairs"] or abs(mine["sparsity"] - peer["sparsity"]) > 1e-4:
        results = ", ".join(f"{r['fusedPairs']} pairs and a sparsity of {r['sparsity']:.4f}" for r in (mine, peer))
        raise Failed(f"{title}: ours and the peers' results differ: {results}")

    def time(rounds, kind, name):
        return statistics.median(t for r in rounds for t in r[kind][name])

    result = []
    for name, peer_name, label, floor, target in OPERATIONS:
        if name not in operations:
            continue
        row = Row(with_threads(f"{name} {title}", threads), time(ours, "operations", name))
        row.compare(label, time(theirs, "operations", peer_name))
        row.above(f"C {floor}", time(ours, "floors", floor))
        if aimed:
            wanted, met = f">= {target}x" if target > 1 else "faster", row.ratio >= target
            if name == "average":
                wanted, met = f"{wanted}, <= 1.25x C", met and row.floor_ratio <= 1.25
            row.require(wanted, met)
        result.append(row)
    copy = Row(with_threads(f"memcpy {title}", threads), time(ours, "floors", "copy"), remark=f"{mine['bytes'] / 1e6:.0f} MB")
    return [*result, copy]
