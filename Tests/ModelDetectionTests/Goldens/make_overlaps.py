"""Writes overlaps.json: YOLOv6's IOUloss and YOLOv5's and Ultralytics' bbox_iou with torch's derivatives, in double.

    python make_overlaps.py

Boxes have whole sides from 0 to 6, so that many are equal, touch or lie in each other. Needs ultralytics, yolov5 and
yolov6detect beside torch.
"""

import json
from pathlib import Path

import torch
from ultralytics.utils.metrics import bbox_iou as bbox_iou8
from yolov5.utils.metrics import bbox_iou as bbox_iou5
from yolov6.utils.figure_iou import IOUloss

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
first = torch.randint(0, 5, (80, 2, 2))
boxes = torch.cat([first, first + torch.randint(1, 3, (80, 2, 2))], 2).double()
boxes[60:] += torch.rand(20, 2, 4) / 3
boxes[70:, 0, [0, 2]] = boxes[70:, 0, [2, 0]]  # what an untrained head may predict

cases = []
for form in ("iou", "giou", "diou", "ciou", "siou"):
    for family in ("yolov6", "yolov8", "yolov5"):
        if form == "siou" and family != "yolov6":
            continue
        named = {name: True for name in ("GIoU", "DIoU", "CIoU") if name.lower() == form}
        given, target = boxes[:, 0].clone().requires_grad_(), boxes[:, 1]
        if family == "yolov6":
            value = 1 - IOUloss(box_format="xyxy", iou_type=form, eps=1e-10)(given, target)
        elif family == "yolov8":
            value = bbox_iou8(given, target, xywh=False, **named)
        else:
            given = torch.cat([boxes[:, 0, :2], boxes[:, 0, 2:]], 1)
            given = torch.cat([(given[:, :2] + given[:, 2:]) / 2, given[:, 2:] - given[:, :2]], 1).requires_grad_()
            wanted = torch.cat([(target[:, :2] + target[:, 2:]) / 2, target[:, 2:] - target[:, :2]], 1)
            value = bbox_iou5(given, wanted, **named)
        (gradient,) = torch.autograd.grad(value.sum(), given)
        for place in range(len(boxes)):
            if value[place].isfinite() and gradient[place].isfinite().all():
                cases.append(
                    [form, family, *given[place].tolist(), *target[place].tolist(), value[place].item(), *gradient[place].tolist()])

text = ",\n".join(json.dumps(case) for case in cases)
(Path(__file__).parent / "overlaps.json").write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{text}\n]}}\n')
print(len(cases))
