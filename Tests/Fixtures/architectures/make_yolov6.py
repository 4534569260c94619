"""Writes yolov6.tsv: networks of YOLOv6's own package (PyPI's yolov6detect, release 0.3's code), with the values of seed 0.

Columns: name, classes, whether the head has its branch of anchors, state dict's entries, parameters, and the checksum of
make_architectures.py over all values. Release 0.4 calls some modules otherwise and draws the same; its yolov6l differs, and
is not here. Usage: PYTHONPATH=<folder with yolov6 and addict> make_yolov6.py
"""

from pathlib import Path

import torch
import yolov6
from make_architectures import values
from yolov6.models.yolo import build_model
from yolov6.utils.config import Config

CASES = [
    ("yolov6n", 80, False), ("yolov6n", 6, False), ("yolov6n", 80, True), ("yolov6s", 80, False), ("yolov6m", 80, False),
    ("yolov6m", 3, True), ("yolov6n6", 80, False), ("yolov6s6", 1, False), ("yolov6m6", 2, False),
    ("yolov6n_opt", 80, False), ("yolov6_tiny_opt", 4, False), ("yolov6s_opt", 80, False), ("yolov6n_hs", 80, False),
    ("yolov6_tiny_hs", 4, False), ("yolov6s_hs", 80, False),
]  # fmt: skip

folder = Path(yolov6.__file__).parent / "configs"
lines = []
for name, classes, anchored in CASES:
    path = folder / ("repopt" if name.endswith(("_opt", "_hs")) else "") / f"{name}.py"
    config = Config.fromfile(str(path))
    if not hasattr(config, "training_mode"):
        setattr(config, "training_mode", "repvgg")
    torch.manual_seed(0)
    model = build_model(config, classes, torch.device("cpu"), fuse_ab=anchored)
    state = model.state_dict()
    parameters = sum(p.numel() for p in model.parameters())
    lines.append(f"{name}\t{classes}\t{int(anchored)}\t{len(state)}\t{parameters}\t{values(state):016x}")
Path(__file__).with_name("yolov6.tsv").write_text("\n".join(lines) + "\n")
