"""Writes yolov6.tsv: networks of YOLOv6's own package (PyPI's yolov6detect, release 0.3's code), with the values of seed 0.

Columns: name, classes, whether the head has its branch of anchors, state dict's entries, parameters, and the checksum of
make_architectures.py over all values. Release 0.4 calls some modules otherwise and draws the same, but that the convolutions
of conv_relu and conv_silu have no bias, as here. Its base networks are 0.3's with another neck; QARepVGG's blocks, which 0.3
has not, are written from their published form.

Writes yolov6_yaml.tsv: networks that no file of the original's configures, as descriptions (lines divided by "; "), with the
same columns from the entries on. A neck of bifpan has channels of the backbone's there, for the original takes them for the
same. Usage: PYTHONPATH=<folder with yolov6 and addict> make_yolov6.py
"""

from pathlib import Path

import torch
import yaml
import yolov6
from make_architectures import values
from torch import nn
from yolov6.layers import common
from yolov6.models import yolo
from yolov6.utils.config import Config

CASES = [
    ("yolov6n", 80, False), ("yolov6n", 6, False), ("yolov6n", 80, True), ("yolov6s", 80, False), ("yolov6m", 80, False),
    ("yolov6m", 3, True), ("yolov6l", 80, False), ("yolov6n6", 80, False), ("yolov6s6", 1, False), ("yolov6m6", 2, False),
    ("yolov6n_opt", 80, False), ("yolov6_tiny_opt", 4, False), ("yolov6s_opt", 80, False), ("yolov6n_hs", 80, False),
    ("yolov6_tiny_hs", 4, False), ("yolov6s_hs", 80, False), ("yolov6n_base", 80, False), ("yolov6s_base", 80, False),
    ("yolov6s_base", 5, True), ("yolov6m_base", 2, False), ("yolov6l_base", 80, False), ("yolov6n_qa", 80, False),
    ("yolov6n_qa", 1, True), ("yolov6s_qa", 3, False), ("yolov6m_qa", 80, False),
]  # fmt: skip

YAMLS = [
    "depth: 0.33; width: 0.25",
    "depth: 0.5; width: 0.3; mode: conv_silu; neck: pan; pooling: sppf; classes: 2",
    "depth: 0.33; width: 0.25; mode: conv_silu; levels: 4; classes: 2",
    "depth: 0.7; width: 0.25; stage: bepc3; share: 0.7; neck: pan; distributions: true; anchor_branch: true; classes: 1",
    "depth: 0.33; width: 0.2; stage: bepc3; mode: conv_silu; levels: 4; pooling: sppf; distributions: true; classes: 4",
    "depth: 1; width: 0.5; classes: 3; blocks: [1, 2, 3, 1, 2]; channels: [16, 40, 72, 56, 136]; "
    "neck_channels: [72, 40, 24, 48, 56, 88]; neck_blocks: 3; anchor_branch: true",
    "depth: 0.6; width: 0.25; mode: hyper_search; stage: bepc3; share: 1; neck: pan; classes: 7",
    "depth: 0.33; width: 0.125; mode: qarepvgg; classes: 2", "depth: 0.25; width: 0.1; mode: repopt; classes: 2; stage: bepc3",
    "depth: 0; width: 0.01; mode: qarepvggv2; stage: bepc3; share: 0.125; levels: 4; classes: 2; "
    "blocks: [1, 2, 3, 1, 2, 9]; channels: [8, 16, 24, 32, 40, 64]; neck_channels: [40, 32, 24, 16, 8, 24]",
]  # fmt: skip


def quantisable(averages):
    class Block(common.RepVGGBlock):
        """RepVGG's branches under one batch norm behind them, none before but that of the 3x3."""

        def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, padding=1):
            super().__init__(in_channels, out_channels, kernel_size, stride, padding)
            self.bn = nn.BatchNorm2d(out_channels)
            self.rbr_1x1 = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            same = in_channels == out_channels and stride == 1
            self.rbr_identity = nn.Identity() if same else None
            if averages:
                self.rbr_avg = nn.AvgPool2d(kernel_size, stride, padding) if same else None

    return Block


for kind in (common.ConvWrapper, common.SimConvWrapper):
    kind.__init__.__defaults__ = (*kind.__init__.__defaults__[:-1], False)
BLOCKS = {"qarepvgg": quantisable(False), "qarepvggv2": quantisable(True)}
get_block = yolo.get_block
yolo.get_block = lambda mode: BLOCKS.get(mode) or get_block(mode)
folder = Path(yolov6.__file__).parent / "configs"


def configuration(name):
    kind = next((kind for ending, kind in (("_opt", "repopt"), ("_hs", "repopt"), ("_base", "base")) if name.endswith(ending)), "")
    config = Config.fromfile(str(folder / kind / f"{name.removesuffix('_qa')}.py"))
    if not hasattr(config, "training_mode"):
        setattr(config, "training_mode", "qarepvggv2" if name.endswith("_qa") else "repvgg")
    if kind == "base":
        model = config.model
        model.backbone.fuse_P2, model.backbone.cspsppf = True, name[6] in "ns"
        model.neck.type = "RepBiFPANNeck" if name[6] == "n" else "CSPRepBiFPANNeck"
        model.head.use_dfl, model.head.reg_max, model.head.anchors = True, 16, 3
        model.head.anchors_init = Config.fromfile(str(folder / "yolov6n.py")).model.head.anchors_init
    return config


def described(keys):
    """The original's configuration of a description."""
    is_large, is_plain = keys.get("levels") == 4, keys.get("stage") != "bepc3"
    config = Config.fromfile(str(folder / ("yolov6n6.py" if is_large else "yolov6n.py")))
    setattr(config, "training_mode", keys.get("mode", "repvgg"))
    model, fusing = config.model, keys.get("neck") != "pan"
    model.depth_multiple, model.width_multiple = keys["depth"], keys["width"]
    suffix = "" if not is_large else "6" if is_plain else "_P6"
    model.backbone.type = ("EfficientRep" if is_plain else "CSPBepBackbone") + suffix
    model.neck.type = ("" if is_plain else "CSP") + ("RepBiFPANNeck" if fusing else "RepPANNeck") + suffix
    model.backbone.csp_e = model.neck.csp_e = keys.get("share", 0.5)
    model.backbone.fuse_P2, model.backbone.cspsppf = fusing, keys.get("pooling") != "sppf"
    if "blocks" in keys:
        model.backbone.num_repeats = keys["blocks"]
    if "channels" in keys:
        model.backbone.out_channels = keys["channels"]
    if "neck_blocks" in keys:
        model.neck.num_repeats = [keys["neck_blocks"]] * len(model.neck.num_repeats)
    if "neck_channels" in keys:
        model.neck.out_channels = keys["neck_channels"]
    model.head.use_dfl = keys.get("distributions", False)
    model.head.reg_max = 16 if model.head.use_dfl else 0
    return config


def columns(config, classes, anchored):
    torch.manual_seed(0)
    model = yolo.build_model(config, classes, torch.device("cpu"), fuse_ab=anchored)
    state = model.state_dict()
    return f"{len(state)}\t{sum(p.numel() for p in model.parameters())}\t{values(state):016x}"


lines = [f"{name}\t{classes}\t{int(anchored)}\t{columns(configuration(name), classes, anchored)}" for name, classes, anchored in CASES]
Path(__file__).with_name("yolov6.tsv").write_text("\n".join(lines) + "\n")
lines = []
for text in YAMLS:
    keys = yaml.safe_load(text.replace("; ", "\n"))
    lines.append(f"{text}\t{columns(described(keys), keys.get('classes', 80), keys.get('anchor_branch', False))}")
Path(__file__).with_name("yolov6_yaml.tsv").write_text("\n".join(lines) + "\n")
