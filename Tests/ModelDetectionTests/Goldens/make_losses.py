"""Writes losses.json: what the originals' losses are of numbers that the tests draw too, in double precision.

    python make_losses.py

Needs ultralytics, yolov5 and yolov6detect beside torch (Tests/Interop/requirements*.txt). YOLOv6 runs as published, but on
a CPU, with its predictions in float64 and boxes scaled by width and height; in float32 it must say the same.
Where a box has fewer anchors above 0 than it chooses, torch's topk takes any others, which then may contest anchors: for
YOLOv8, whose overlaps are often 0, it is made to take the first. A gradient is told by its norm and its products with two drawn vectors.
"""

import json
import warnings
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

warnings.filterwarnings("ignore")
torch.nn.Module.cuda = lambda self, *_, **__: self
torch.Tensor.cuda = lambda self, *_, **__: self
for name, kind in (("int", int), ("float", float), ("bool", bool)):
    if name not in np.__dict__:
        setattr(np, name, kind)

from ultralytics.utils.loss import v8DetectionLoss  # noqa: E402
from yolov5.utils.loss import ComputeLoss as YOLOv5Loss  # noqa: E402
from yolov6.models.losses.loss import ComputeLoss as YOLOv6Loss  # noqa: E402
from yolov6.models.losses.loss_fuseab import ComputeLoss as YOLOv6AnchorLoss  # noqa: E402


def uniforms(seed, count):
    """SplitMix64's upper 24 bits as float32 below 1."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, count + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def bells(seed, count):
    u = uniforms(seed, 3 * count).reshape(3, count)
    return (u[0] + u[1]) + u[2] - np.float32(1.5)


def drawn(kind, seed, count):
    f = np.float32
    if kind == "scores":
        u = uniforms(seed, count)
        return u * u * f(0.98) + f(0.01)
    if kind == "distances":
        return bells(seed, count) + f(2)
    if kind == "anchors":
        u = uniforms(seed, count).reshape(-1, 4)
        return np.concatenate([u[:, :2] - f(0.5), u[:, 2:] * f(4) + f(0.5)], 1).ravel()
    return bells(seed, count) * f(3)  # logits


def targets(seed, counts, classes, spread):
    """Boxes of each picture: centres in the picture, or with a spread some outside."""
    f, rows = np.float32, []
    for picture, count in enumerate(counts):
        for a in uniforms(seed + picture, 5 * count).reshape(count, 5):
            x, y = (a[1] * f(1.4) - f(0.2), a[2] + f(0.2)) if spread else (a[1], a[2])
            rows.append([picture, int(a[0] * f(classes)), x, y, a[3] * f(0.4) + f(0.02), a[4] * f(0.4) + f(0.02)])
    return np.array(rows, np.float32).reshape(-1, 6)


def told(gradient, seed):
    g = gradient.double().flatten().numpy()
    by = [float(g @ (uniforms(seed + i, g.size).astype(np.float64) * 2 - 1)) for i in range(2)]
    return dict(norm=float(np.linalg.norm(g)), products=by)


def first_topk(values, k, dim=-1, largest=True):
    values, places = values.sort(dim=dim, descending=largest, stable=True)
    return values.narrow(dim, 0, k), places.narrow(dim, 0, k)


@contextmanager
def doubles(family):
    kept, topk = torch.Tensor.float, torch.topk
    torch.Tensor.float = torch.Tensor.double
    if family == "yolov8":
        torch.topk = first_topk
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.float, torch.topk = kept, topk
        torch.set_default_dtype(torch.float32)


cases = []


def add(family, seed, height, width, counts, classes, outputs, loss, names, spread=False, **options):
    rows = targets(seed + 500, counts, classes, spread)
    given = [torch.tensor(drawn(kind, seed + i, int(np.prod(shape)))).reshape(shape) for i, (kind, shape) in enumerate(outputs)]
    with doubles(family):
        leaves = [g.double().requires_grad_() for g in given]
        total, items = loss(leaves, torch.tensor(rows, dtype=torch.float64))
        total.backward()
    case = dict(
        family=family, seed=seed, height=height, width=width, counts=counts, classes=classes, spread=spread,
        outputs=[dict(kind=kind, shape=list(shape)) for kind, shape in outputs], total=float(total),
        items=dict(zip(names, map(float, items))),
        gradients=[told(x.grad if x.grad is not None else torch.zeros_like(x), seed + 900 + 10 * i) for i, x in enumerate(leaves)],
        **options)  # fmt: skip
    if family == "yolov6":
        again = [g.clone().requires_grad_() for g in given]
        single, _ = loss(again, torch.tensor(rows))
        single.backward()
        assert abs(float(single) - case["total"]) <= 2e-6 * abs(case["total"]), (float(single), case["total"])
        for a, b in zip(again, leaves):
            top = b.grad.abs().max()
            assert (a.grad.double() - b.grad).abs().max() <= 1e-5 * top + 1e-12, (family, seed, options)
        boxes = rows[:, 2:] * np.array([width, height, width, height])
        assert (2 * (boxes[:, 0] + boxes[:, 1]) > 0).all()
    cases.append(case)
    print(family, seed, options, counts, case["total"], case["items"])


def yolov6(seed, height, width, counts, classes, bins=None, overlap="giou", warmup=0, fuses=False, strides=(8, 16, 32), spread=False):
    pictures = len(counts)
    sizes = [(height // s, width // s) for s in strides]
    anchors = sum(h * w for h, w in sizes)
    options = dict(
        fpn_strides=list(strides), num_classes=classes, iou_type=overlap, use_dfl=bins is not None,
        reg_max=(bins or 1) - 1)  # fmt: skip

    def loss(leaves, rows):
        dtype = leaves[0].dtype
        features = [torch.zeros(pictures, 1, h, w, dtype=dtype) for h, w in sizes]

        def run(judge, scores, boxes):
            judge.proj = torch.nn.Parameter(judge.proj.to(dtype), requires_grad=False)
            scaled = judge.preprocess
            judge.preprocess = lambda t, b, _: scaled(t, b, torch.tensor([[width, height, width, height]], dtype=torch.float64))
            return judge((features, scores, boxes), rows, 0, 1)

        total, items = run(YOLOv6Loss(warmup_epoch=warmup, **options), *leaves[-2:])
        if fuses:
            anchored = YOLOv6AnchorLoss(
                fpn_strides=list(strides), num_classes=classes, iou_type=overlap, use_dfl=False, reg_max=0, warmup_epoch=0)  # fmt: skip
            more, others = run(anchored, leaves[0], leaves[1] * 1.0)
            total, items = total + more, items + others
        return total, items

    outputs = [("scores", (pictures, anchors, classes)), ("logits" if bins else "distances", (pictures, anchors, 4 * (bins or 1)))]
    if fuses:
        outputs = [("scores", (pictures, 3 * anchors, classes)), ("anchors", (pictures, 3 * anchors, 4))] + outputs
    add("yolov6", seed, height, width, counts, classes, outputs, loss, ("iou_loss", "dfl_loss", "cls_loss"), spread,
        bins=bins, overlap=overlap, warmup=warmup, fuses=fuses, strides=list(strides))  # fmt: skip


def yolov8(seed, height, width, counts, classes, bins=16, strides=(8, 16, 32), spread=False):
    pictures = len(counts)
    sizes = [(height // s, width // s) for s in strides]
    anchors = sum(h * w for h, w in sizes)

    def loss(leaves, rows):
        head = SimpleNamespace(stride=torch.tensor(strides, dtype=torch.float64), nc=classes, reg_max=bins)
        model = SimpleNamespace(
            parameters=lambda: iter([torch.zeros(1)]), args=SimpleNamespace(box=7.5, cls=0.5, dfl=1.5), model=[head])  # fmt: skip
        features = [torch.zeros(pictures, 1, h, w) for h, w in sizes]
        batch = dict(batch_idx=rows[:, 0], cls=rows[:, 1], bboxes=rows[:, 2:])
        total, items = v8DetectionLoss(model)(dict(boxes=leaves[0], scores=leaves[1], feats=features), batch)
        return total.sum(), items.values()

    outputs = [("logits", (pictures, 4 * bins, anchors)), ("logits", (pictures, classes, anchors))]
    add("yolov8", seed, height, width, counts, classes, outputs, loss, ("box_loss", "cls_loss", "dfl_loss"), spread,
        bins=bins, strides=list(strides))  # fmt: skip


ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


def yolov5(seed, height, width, counts, classes, spread=False, smoothing=0.0, weights=(1.0, 1.0), threshold=4.0):
    pictures, strides = len(counts), (8, 16, 32)

    def loss(leaves, rows):
        anchors = torch.tensor(ANCHORS, dtype=torch.float64).view(3, 3, 2) / torch.tensor(strides).view(3, 1, 1)
        head = SimpleNamespace(stride=torch.tensor(strides), nc=classes, na=3, nl=3, anchors=anchors)
        hyp = dict(box=0.05, obj=1.0, cls=0.5, cls_pw=weights[0], obj_pw=weights[1], fl_gamma=0.0, label_smoothing=smoothing, anchor_t=threshold)
        model = SimpleNamespace(parameters=lambda: iter([torch.zeros(1)]), hyp=hyp, model=[head])
        total, items = YOLOv5Loss(model)(leaves, rows)
        return total.sum(), items

    outputs = [("logits", (pictures, 3, height // s, width // s, 5 + classes)) for s in strides]
    add("yolov5", seed, height, width, counts, classes, outputs, loss, ("box_loss", "obj_loss", "cls_loss"), spread,
        smoothing=smoothing, weights=list(weights), threshold=threshold, strides=list(strides))  # fmt: skip


seed = 1000
for overlap in ("giou", "diou", "ciou", "siou", "iou"):
    for bins in (None, 17):
        for warmup in (0, 4):
            yolov6(seed := seed + 1000, 96, 128, [4, 0, 9], 6, bins, overlap, warmup)
    yolov6(seed := seed + 1000, 96, 128, [5, 1], 4, 9, overlap, fuses=True)
for classes in (1, 80):
    for warmup in (0, 4):
        yolov6(seed := seed + 1000, 160, 96, [1, 120, 0], classes, 17, "giou", warmup)
        yolov6(seed := seed + 1000, 160, 96, [7, 30], classes, None, "siou", warmup, spread=True)
        yolov6(seed := seed + 1000, 192, 256, [3, 40], classes, None, "siou", warmup, strides=(8, 16, 32, 64))
    yolov6(seed := seed + 1000, 96, 96, [120, 2], classes, None, "siou", fuses=True, spread=True)
    yolov6(seed := seed + 1000, 96, 96, [0, 0], classes, 17, "siou")
    yolov6(seed := seed + 1000, 96, 96, [0, 0], classes, None, "siou", 4, fuses=True)
yolov6(seed := seed + 1000, 640, 512, [60], 10, 17, "giou")
yolov6(seed := seed + 1000, 640, 512, [60], 10, None, "siou", 4, fuses=True)
for classes in (1, 80):
    yolov8(seed := seed + 1000, 96, 128, [4, 0, 9], classes)
    yolov8(seed := seed + 1000, 160, 96, [1, 120], classes, spread=True)
    yolov8(seed := seed + 1000, 160, 96, [0, 0], classes, bins=8)
yolov8(seed := seed + 1000, 640, 512, [60], 10)
yolov8(seed := seed + 1000, 128, 192, [20], 3, strides=(8, 16, 32, 64))
for classes in (1, 80):
    yolov5(seed := seed + 1000, 96, 128, [4, 0, 9], classes)
    yolov5(seed := seed + 1000, 160, 96, [1, 120], classes, spread=True, smoothing=0.1)
    yolov5(seed := seed + 1000, 160, 96, [0, 0], classes)
yolov5(seed := seed + 1000, 320, 256, [40, 3], 5, weights=(0.7, 1.4), threshold=2.5)

text = ",\n".join(json.dumps(case) for case in cases)
(Path(__file__).parent / "losses.json").write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{text}\n]}}\n')
