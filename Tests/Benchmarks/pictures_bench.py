"""Pictures scaled and letterboxed, against PyTorch, OpenCV and a script that does the same as a whole process; medians.

The floor is the fastest copy of as many bytes as the result has. What has no option for its threads is kept to as many processors.
"""

import json
import statistics
from collections import defaultdict

from processes import HERE, PROCESSORS, PYTHON, median, run, turns
from table import Row, megabytes, with_threads

PROGRAMS = ("mutils", "pictures-benchmark")
PEERS = ("torch", "cv2", "PIL")
REPETITIONS = 6
# Ours, the peer if there is one, the floor, and what the peer must take at least, in ours, on all processors.
OPERATIONS = [
    ("scaleImage float32", "PyTorch interpolate + pad", "copy 16x3x544x544 float32", 2.5),
    ("scaleImage float32", "OpenCV resize alone", "copy 16x3x544x544 float32", 1),
    ("scaleImage uint8", None, "copy 16x3x544x544 uint8", None),
    ("letterbox 1080x1920", "OpenCV letterbox 1080x1920", "copy 384x640x3 uint8", None),
]


def rows(options, folder):
    return [row for threads in options.threads for row in in_memory(options, threads)] + whole_process(options, folder)


def in_memory(options, threads):
    times = defaultdict(list)
    for _ in turns(options, with_threads("pictures", threads)):
        for line in run(getattr(options, "pictures-benchmark"), REPETITIONS, processors=threads).output.splitlines():
            name, *milliseconds = line.split("\t")
            times[name] += [float(value) / 1e3 for value in milliseconds]
        theirs = run(PYTHON, HERE / "pictures_peers.py", "measure", REPETITIONS, threads, processors=threads)
        for name, seconds in json.loads(theirs.output).items():
            times[name] += seconds
    result = []
    for ours, peer, floor, target in OPERATIONS:
        row = Row(with_threads(ours, threads), statistics.median(times[ours]))
        if peer:
            row.compare(peer, statistics.median(times[peer]))
        row.above(floor, min(times[floor]))
        if target and threads == PROCESSORS:
            row.require(f">= {target}x", row.ratio >= target)
        result.append(row)
    return result


def whole_process(options, folder):
    """A row for a JPEG made a smaller PNG."""
    photo = folder / "photo.jpg"
    run(PYTHON, HERE / "pictures_peers.py", "photograph", photo)
    ours, theirs = [], []
    for _ in turns(options, "pictures, whole processes"):
        ours.append(run(options.mutils, "scale", photo, "--ratio", "0.83", "--force", "-o", folder / "ours.png"))
        theirs.append(run(PYTHON, HERE / "scripts/scale.py", photo, "0.83", folder / "theirs.png"))
    mine, peer = median(ours), median(theirs)
    row = Row("mutils scale (640x480)", mine.seconds, remark=megabytes(mine, peer))
    row.compare("scripts/scale.py", peer.seconds)
    row.require(">= 10x", row.ratio >= 10)
    return [row]
