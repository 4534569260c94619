"""Writes metrics.json: what pycocotools, YOLOv5, YOLOv6 and Ultralytics make of truths and predictions that the tests draw too.

    python make_metrics.py

Needs pycocotools, yolov5, yolov6detect and ultralytics beside torch. NumPy's default sort leaves the order of equal scores open; here
it is made stable. Precisions are told by a hash of their bits. Doubles are written as text, since Foundation's JSON reader
rounds them.
"""

import contextlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pycocotools
import torch

warnings.filterwarnings("ignore")
np.trapz = np.trapezoid

from pycocotools.coco import COCO  # noqa: E402
from pycocotools.cocoeval import COCOeval  # noqa: E402
from ultralytics.engine.validator import BaseValidator  # noqa: E402
from ultralytics.utils import metrics as ultralytics  # noqa: E402
from yolov5.utils import metrics as yolov5  # noqa: E402
from yolov5.val import process_batch  # noqa: E402
from yolov6.utils import metrics as yolov6  # noqa: E402


def uniforms(seed):
    """SplitMix64's upper 24 bits, below 1."""
    mask, state = 2**64 - 1, seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield ((z ^ (z >> 31)) >> 40) * 2.0**-24


def drawn(seed, pictures, classes, grid, ties, extra, crowded):
    """Truths (picture, class, x, y, w, h, area, crowd) and predictions (picture, class, x, y, w, h, score)."""
    stream = uniforms(seed)
    u = lambda: next(stream)
    truths, predictions = [], []

    def box():
        if grid:
            x, y = float(int(u() * 6)), float(int(u() * 6))
            return x, y, float(1 + int(u() * 4)), float(1 + int(u() * 4))
        x, y, a, b = u() * 400, u() * 400, u(), u()
        return x, y, 2 + a * a * a * 300, 2 + b * b * b * 300

    def near(x, y, w, h):
        if grid:
            return x + float(int(u() * 2)), y, w, h + float(int(u() * 2))
        spread = u() * 0.5
        x, y = x + (u() - 0.5) * spread * w, y + (u() - 0.5) * spread * h
        return x, y, w * (1 + (u() - 0.5) * spread), h * (1 + (u() - 0.5) * spread)

    def score():
        value = u()
        return float(int(value * 20)) / 20 if ties else value

    for picture in range(pictures):
        for _ in range(int(u() * u() * 12)):
            kind = int(u() * (classes - 1))  # the last has no truths
            truth = box()
            area = truth[2] * truth[3] * (0.6 if u() < 0.3 else 1)
            truths.append((picture, kind, *truth, area, u() < 0.1))
            for _ in range(int(u() * 4)):
                other = kind if u() < 0.8 else int(u() * classes)
                predictions.append((picture, other, *near(*truth), score()))
    for _ in range(extra):
        predictions.append((int(u() * pictures), int(u() * classes), *box(), score() * 0.6))
    if crowded:
        place = truths[0]
        for _ in range(150):
            predictions.append((place[0], place[1], *near(*place[2:6]), score()))
    return truths, predictions


def bits(array):
    """FNV-1a over the doubles as words."""
    value = 0xCBF29CE484222325
    for word in np.ascontiguousarray(array, dtype=np.float64).view(np.uint64).ravel().tolist():
        value = ((value ^ word) * 0x100000001B3) & (2**64 - 1)
    return f"{value:016x}"


def exact(values):
    return " ".join(repr(float(value)) for value in np.ravel(values))


def coco(truths, predictions, pictures, classes):
    def dataset(rows):
        found = COCO()
        found.dataset = dict(
            info={}, images=[dict(id=i) for i in range(pictures)], categories=[dict(id=i, name=str(i)) for i in range(classes)],
            annotations=rows)
        found.createIndex()
        return found

    with contextlib.redirect_stdout(io.StringIO()):
        there = dataset([
            dict(id=i + 1, image_id=t[0], category_id=t[1], bbox=list(t[2:6]), area=t[6], iscrowd=int(t[7]))
            for i, t in enumerate(truths)])
        rows = [dict(image_id=p[0], category_id=p[1], bbox=list(p[2:6]), score=p[6]) for p in predictions]
        judge = COCOeval(there, there.loadRes(rows) if rows else dataset([]), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    precision = judge.eval["precision"]
    each = [precision[:, :, k, 0, 2] for k in range(classes)]
    return dict(
        figures=exact(judge.stats), precision=bits(precision), recall=bits(judge.eval["recall"]),
        classes=exact([np.mean(p[p > -1]) if (p > -1).any() else -1 for p in each]))


def stable(numbers, *arguments, **named):
    return SORT(numbers, kind="stable")


SORT = np.argsort


def curves(truths, predictions, pictures, classes):
    """What YOLOv5's validation gives to its metrics, and what they and YOLOv6's make of it."""
    overlaps = torch.linspace(0.5, 0.95, 10)
    matrix = yolov5.ConfusionMatrix(nc=classes)
    right, scores, kinds, finds = [], [], [], []
    for picture in range(pictures):
        there = [t for t in truths if t[0] == picture]
        found = sorted((p for p in predictions if p[0] == picture), key=lambda p: -p[6])
        labels = torch.tensor([[t[1], t[2], t[3], t[2] + t[4], t[3] + t[5]] for t in there]).reshape(-1, 5)
        rows = torch.tensor([[p[2], p[3], p[2] + p[4], p[3] + p[5], p[6], p[1]] for p in found]).reshape(-1, 6)
        correct = np.zeros((len(found), 10), bool)
        if there and found:
            correct = process_batch(rows, labels, overlaps).numpy()
            assert (correct == yolov6.process_batch(rows, labels, overlaps).numpy()).all()
            matrix.process_batch(rows, labels)
        elif there:
            matrix.process_batch(None, labels[:, 0])
        right.append(correct)
        scores += [p[6] for p in found]
        kinds += [p[1] for p in found]
    right = np.concatenate(right)
    data = (right, np.array(scores), np.array(kinds), np.array([t[1] for t in truths]))
    drawn_curves = {}
    yolov5.plot_pr_curve = lambda *_, **__: None
    yolov5.plot_mc_curve = lambda x, y, *_, ylabel="", **__: drawn_curves.update({ylabel: y})
    np.argsort = stable
    tp, fp, p, r, f1, ap, _ = yolov5.ap_per_class(*data, plot=True, names={})
    p6, r6, ap6, f6, _ = yolov6.ap_per_class(*data, names={})
    np.argsort = SORT
    best6 = len(f6[0]) - 1 - int(f6.mean(0)[::-1].argmax())
    best = [i for i in range(1000) if all((drawn_curves[n][:, i] == v).all() for n, v in (("Precision", p), ("Recall", r), ("F1", f1)))]
    return dict(
        best=best, best6=best6, ap=exact(ap), ap6=exact(ap6), right=exact(tp), wrong=exact(fp),
        map=exact([ap[:, 0].mean(), ap.mean(1).mean()]), point=exact([p.mean(), r.mean(), f1.mean()]),
        point6=exact([p6[:, best6].mean(), r6[:, best6].mean()]),
        curves=exact([drawn_curves[n][:, ::27] for n in ("Precision", "Recall", "F1")]),
        matrix=matrix.matrix.astype(int).ravel().tolist())


class Matcher:
    """What `match_predictions` needs of a validator."""

    iouv = torch.linspace(0.5, 0.95, 10)
    match = BaseValidator.match_predictions


def curves8(truths, predictions, pictures, classes):
    """What Ultralytics' validation makes of them."""
    matrix = ultralytics.ConfusionMatrix({i: str(i) for i in range(classes)})
    right, scores, kinds = [], [], []
    for picture in range(pictures):
        there = [t for t in truths if t[0] == picture]
        found = sorted((p for p in predictions if p[0] == picture), key=lambda p: -p[6])
        boxes = torch.tensor([[t[2], t[3], t[2] + t[4], t[3] + t[5]] for t in there]).reshape(-1, 4)
        labels = torch.tensor([float(t[1]) for t in there])
        places = torch.tensor([[p[2], p[3], p[2] + p[4], p[3] + p[5]] for p in found]).reshape(-1, 4)
        names, sure = torch.tensor([float(p[1]) for p in found]), torch.tensor([p[6] for p in found])
        correct = np.zeros((len(found), 10), bool)
        if there and found:
            correct = Matcher().match(names, labels, ultralytics.box_iou(boxes, places)).numpy()
        right.append(correct)
        matrix.process_batch({"cls": names, "conf": sure, "bboxes": places}, {"cls": labels, "bboxes": boxes})
        scores += [p[6] for p in found]
        kinds += [p[1] for p in found]
    data = (np.concatenate(right), np.array(scores), np.array(kinds), np.array([t[1] for t in truths]))
    np.argsort = stable
    _, _, p, r, f1, ap, _, p_curve, r_curve, f1_curve, _, by_recall = ultralytics.ap_per_class(*data)
    np.argsort = SORT
    best = [i for i in range(1000) if (p_curve[:, i] == p).all() and (r_curve[:, i] == r).all() and (f1_curve[:, i] == f1).all()]
    return dict(
        ap8=exact(ap), best8=best, point8=exact([p.mean(), r.mean(), f1.mean()]), by_recall8=exact(by_recall[:, ::27]),
        matrix8=matrix.matrix.astype(int).ravel().tolist())


CURVE_CASES = [
    (11, 30, 4, False, False, 100, False),
    (12, 30, 4, False, True, 200, True),
    (13, 3, 6, False, False, 10, False),
    (14, 5, 2, False, False, 0, False),
    (15, 200, 10, False, True, 3000, True),
    (16, 300, 20, False, False, 4000, False),
]

COCO_CASES = [
    # seed, pictures, classes, whole sides, equal scores, more predictions, 150 of one place
    (1, 30, 4, False, False, 100, False),
    (2, 30, 4, False, True, 200, True),
    (3, 25, 3, True, True, 150, False),
    (4, 25, 3, True, True, 2000, True),
    (5, 3, 6, False, False, 10, False),
    (6, 5, 2, False, False, 0, False),
    (7, 400, 12, False, True, 4000, True),
    (8, 300, 40, False, False, 30000, True),
]

if __name__ == "__main__":
    result = dict(pycocotools="2.0.11", coco=[], curves=[])
    for case in COCO_CASES:
        truths, predictions = drawn(*case)
        result["coco"].append(
            dict(case=case, truths=len(truths), predictions=len(predictions), **coco(truths, predictions, *case[1:3])))
        print(case, len(truths), len(predictions), result["coco"][-1]["figures"])
        if case[0] == 1:
            result["coco"].append(dict(case=case, truths=len(truths), predictions=0, **coco(truths, [], *case[1:3])))
            result["coco"].append(dict(case=case, truths=0, predictions=len(predictions), **coco([], predictions, *case[1:3])))
    for case in CURVE_CASES:
        truths, predictions = drawn(*case)
        result["curves"].append(dict(case=case, **curves(truths, predictions, *case[1:3]), **curves8(truths, predictions, *case[1:3])))
        print(case, len(truths), len(predictions), result["curves"][-1]["map"], result["curves"][-1]["best"], result["curves"][-1]["best6"])
    lines = [f'"{key}": [\n' + ",\n".join(map(json.dumps, value)) + "\n]" for key, value in result.items() if isinstance(value, list)]
    lines += [f'"{key}": "{value}"' for key, value in result.items() if isinstance(value, str)]
    (Path(__file__).parent / "metrics.json").write_text("{" + ",\n".join(lines) + "}\n")
