"""What the tests of detect share: photographs, networks that find something in them, and comparing what two programs found."""

import cv2
import nets
import numpy as np
import pytest
import torch
import torchvision
from helpers import report
from pycocotools import mask as coco_mask
from ultralytics import ASSETS, YOLO
from ultralytics.utils.nms import TorchNMS

PIXELS, SCORES = 0.5, 1e-3
CONFIDENCE, IOU = 0.25, 0.45

if not torchvision.extension._has_ops():  # Ultralytics' own gives the same
    torchvision.ops.nms = TorchNMS.nms


def parts():
    """Parts of two photographs at odd sizes."""
    for index, (height, width) in enumerate([(97, 333), (640, 480), (155, 141)]):
        photo = cv2.imread(str(ASSETS / ("zidane.jpg" if index % 2 else "bus.jpg")))
        yield cv2.resize(photo[100 * index : 600, 50:700], (width, height), interpolation=cv2.INTER_AREA)


def pictures(folder):
    """Two photographs, upright and lying, and parts of them, in both formats."""
    files = [ASSETS / "bus.jpg", ASSETS / "zidane.jpg"]
    for index, part in enumerate(parts()):
        files.append(folder / f"{index}.{'png' if index % 2 else 'jpg'}")
        cv2.imwrite(str(files[-1]), part)
    return files


@torch.no_grad()
def settled(model):
    """Batch norms take the statistics of the pictures: what the layers give then differs from place to place and from class to class.

    Channels that hardly vary are left small: what is rounded in them would grow from layer to layer.
    """
    photos = [cv2.imread(str(ASSETS / name)) for name in ("bus.jpg", "zidane.jpg")]
    x = np.stack([cv2.resize(picture, (320, 320))[:, :, ::-1] for picture in [*photos, *parts()]])
    x = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model(x)
    model.eval()
    for norm, momentum in zip(norms, kept):
        norm.momentum = momentum
        norm.running_var.clamp_(min=norm.running_var.mean().item() / 4)
    return x


@torch.no_grad()
def awake(model, layers, share=0.008):
    """Shifts the biases of the layers that score classes so that this share of the positions is sure enough, and spreads what they say."""
    x = settled(model)
    for layer in layers:
        kept = []
        handle = layer.register_forward_hook(lambda m, i, o: kept.append(o.detach()))
        model(x)
        layer.weight *= 0.6 / kept[0].std()
        layer.bias.copy_(torch.randn(len(layer.bias)) / 4)
        model(x)
        handle.remove()
        values = kept[1].flatten(2) if kept[1].dim() == 4 else kept[1].transpose(1, 2)
        layer.bias -= torch.quantile(values.amax(1).flatten(), 1 - share) + 1.1


def ours(model, files, folder, *options, size=320):
    torch.save({"model": model, "epoch": -1}, folder / "in.pt")
    result = report("detect", folder / "in.pt", *files, "--image-size", size, *options, timeout=300)
    assert [image["file"] for image in result["images"]] == [str(file) for file in files]
    return [image["detections"] for image in result["images"]]


def compare(found, boxes, scores, classes, names):
    """The same things in the same order, up to scores that are as good as equal. Gives which of ours is which of theirs."""
    assert len(found) == len(boxes)
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    for index, detection in zip(order, found):
        assert detection["score"] == pytest.approx(float(scores[index]), abs=SCORES)
    pairs, free = [], set(range(len(boxes)))
    for detection in found:
        near = [
            i for i in free
            if int(classes[i]) == detection["class"] and abs(float(scores[i]) - detection["score"]) < SCORES
            and max(abs(float(a) - b) for a, b in zip(boxes[i], detection["box"])) < PIXELS
        ]  # fmt: skip
        assert near, detection
        assert detection["name"] == names[detection["class"]]
        free.remove(near[0])
        pairs.append(near[0])
    return pairs


def mapped(mask, inside, original):
    """A mask of the model's input as one of the picture: what lies under each pixel's middle."""
    gain = min(inside[0] / original[0], inside[1] / original[1])
    inner = [max(round(side * gain), 1) for side in original]
    starts = [round((a - b) / 2 - 0.1) for a, b in zip(inside, inner)]
    rows, columns = (
        ((np.arange(side) + 0.5) * (new / side)).astype(int) + start
        for side, new, start in zip(original, inner, starts)
    )
    return mask[rows.clip(0, mask.shape[0] - 1)][:, columns.clip(0, mask.shape[1] - 1)]


def compare_masks(found, pairs, masks, inside, original, cell=1):
    """But for pixels whose sums are as good as zero, and a cell of the grid that is cut along the box: its edge may round to either side."""
    edge = 1 + cell * max(original[0] / inside[0], original[1] / inside[1])
    columns, rows = np.arange(original[1])[None] + 0.5, np.arange(original[0])[:, None] + 0.5
    for detection, index in zip(found, pairs):
        actual = coco_mask.decode(detection["mask"]).astype(bool)
        expected = mapped(masks[index].numpy().astype(bool), inside, original)
        assert actual.shape == tuple(original)
        left, top, right, bottom = detection["box"]
        inner = (columns > left + edge) & (columns < right - edge) & (rows > top + edge) & (rows < bottom - edge)
        outer = (columns > left - edge) & (columns < right + edge) & (rows > top - edge) & (rows < bottom + edge)
        different = (actual != expected) & ~(outer & ~inner)
        assert different.sum() <= 2e-4 * expected.size + 1, (different.sum(), expected.sum())


def score_layers(head):
    """The layers that score classes, of the branch that detection takes."""
    if type(head).__name__ == "RTDETRDecoder":
        return [head.enc_score_head, head.dec_score_head[-1]]
    return [branch[-1] for branch in (head.one2one_cv3 if head.end2end else head.cv3)]


def ultralytics(name, task=None, **attributes):
    torch.manual_seed(8)
    yolo = YOLO(f"{name}.yaml", task=task)
    model = nets.lively(yolo.model, 8).eval()
    for key, value in attributes.items():
        setattr(model.model[-1], key, value)
    head = model.model[-1]
    for branch in getattr(head, "cv2", None) or []:  # boxes of many sizes
        branch[-1].bias.data.uniform_(0, 3)
    if head.end2end if hasattr(head, "end2end") else False:
        for branch in head.one2one_cv2:
            branch[-1].bias.data.uniform_(0, 3)
    awake(model, score_layers(head))
    return yolo, model
