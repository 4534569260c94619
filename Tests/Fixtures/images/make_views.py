"""Makes views.json: the views that YOLOv5's _forward_augment (the yolov5 7.0 package) sends through a model, and what its _descale_pred
makes of predictions on each. The model is a stand-in that keeps what it is given."""

import json
from pathlib import Path

import torch
from yolov5.models.yolo import DetectionModel

CASES = [(1, 1, 13, 18, 8), (2, 3, 16, 16, 16), (1, 2, 9, 40, 32), (1, 3, 33, 7, 32)]


def picture(*shape):
    """Element i is ((i * 7919 + 13) mod 256) / 255."""
    count = torch.Size(shape).numel()
    return ((torch.arange(count) * 7919 + 13) % 256).float().reshape(shape) / 255


class StandIn:
    _descale_pred = DetectionModel._descale_pred

    def __init__(self, stride):
        self.stride = torch.tensor([float(stride)])
        self.inplace = True
        self.views, self.raw, self.descaled = [], [], []

    def _forward_once(self, view):
        self.views.append(view)
        predictions = torch.randn(view.shape[0], 5, 6) * 40
        self.raw.append(predictions.clone())
        return (predictions,)

    def _clip_augmented(self, predictions):
        self.descaled = [p.clone() for p in predictions]
        return predictions


torch.manual_seed(0)
results = []
for *shape, stride in CASES:
    model = StandIn(stride)
    DetectionModel._forward_augment(model, picture(*shape))
    results.append({
        "shape": shape, "stride": stride,
        "views": [{"shape": list(v.shape), "values": [round(x, 8) for x in v.flatten().tolist()]} for v in model.views],
        "raw": [p.flatten().tolist() for p in model.raw], "descaled": [p.flatten().tolist() for p in model.descaled]})
text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in results)
Path(__file__).with_name("views.json").write_text(f"[\n{text}\n]\n")
