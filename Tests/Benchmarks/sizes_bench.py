"""What the same operations cost by size: convolutions of 1, 10, 50 and 200 million weights, one behind the other.

The largest takes six times its 800 MB of memory.
"""

from memory_bench import our_times, peers_times, rows_of
from processes import HERE, LOADING, PYTHON, run, turns
from table import with_threads

PROGRAMS = ("benchmark",)
PEERS = ("torch", "torchvision", "yolov5", "thop")
# Millions of weights, and the channels of each convolution.
SIZES = {1: 128, 10: 256, 50: 512, 200: 1024}


def rows(options, folder):
    models = {f"{size} M weights": folder / f"{size}.pt" for size in SIZES}
    for (size, channels), path in zip(SIZES.items(), models.values(), strict=True):
        run(PYTHON, HERE / "checkpoints.py", "sizes", path, size * 1_000_000, channels, environment=LOADING)
    result = []
    for threads in options.threads:
        ours, theirs = [], []
        for _ in turns(options, with_threads("sizes", threads)):
            ours.append(our_times(options, 3, threads, models)["models"])
            theirs.append(peers_times(2, threads, models))
        for index, title in enumerate(models):
            mine, peers = [r[index] for r in ours], [r[index] for r in theirs]
            result += rows_of(title, mine, peers, threads, ("prune", "sparsity", "average"))
    return result
