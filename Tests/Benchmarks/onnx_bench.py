"""ONNX files: whole processes, ours and the peers'.

Ours brings its result to the disk, the peers do not. The floor is copying the result, or starting a process.
"""

from processes import HERE, PYTHON, QUIET, median, run, turns
from table import Row, megabytes

PROGRAMS = ("mutils",)
PEERS = ("torch", "torchvision", "yolov5", "ultralytics", "onnx", "onnxoptimizer", "onnxslim", "onnxsim")


def rows(options, folder):
    network, large, module = folder / "resnet50.onnx", folder / "large.onnx", folder / "yolov5s.pt"
    fused, exported, copied = folder / "fused.onnx", folder / "exported.onnx", folder / "copied.onnx"
    script = (PYTHON, HERE / "onnx_peers.py")
    run(*script, "make", network, environment=QUIET)
    run(*script, "make-large", large, environment=QUIET)
    run(options.mutils, "init", "yolov5s", "--whole-module", "-o", module)
    start = ("mutils --version", (options.mutils, "--version"))
    # An operation, our command, the peers' of script onnx_peers.py, and the floor's.
    operations = [
        (f"fuse ResNet-50 ({network.stat().st_size / 1e6:.0f} MB)", ("fuse", network, "-o", fused, "--force"),
         {name: (name, network, folder / f"{name}.onnx") for name in ("onnxoptimizer", "onnxslim", "onnxsim")}, ("cp", ("cp", fused, copied))),
        ("info ResNet-50", ("info", network), {"onnx.load alone": ("load", network)}, start),
        ("info 2.4 GB beside a model", ("info", large), {}, start),
        ("export YOLOv5s", ("convert", module, "-o", exported, "--force"),
         {"torch.onnx.export": ("export", module, folder / "theirs.onnx")}, ("cp", ("cp", exported, copied))),
    ]  # fmt: skip
    result = []
    for title, arguments, peers, (floor, command) in operations:
        ours, theirs, least = [], {peer: [] for peer in peers}, []
        for _ in turns(options, f"onnx, {title}"):
            ours.append(run(options.mutils, *arguments))
            for peer, words in peers.items():
                theirs[peer].append(run(*script, *words, environment=QUIET))
            least.append(run(*command))
        mine = median(ours)
        for peer in peers or [None]:
            row = Row(f"mutils {title}", mine.seconds, remark=megabytes(mine))
            if peer:
                rival = median(theirs[peer])
                row.remark = megabytes(mine, rival)
                row.compare(peer, rival.seconds)
            row.above(floor, median(least).seconds)
            result.append(row)
    return result
