"""Makes letterbox.json: what YOLOv5's letterbox and scale_boxes (the yolov5 7.0 package, over OpenCV) make of pictures that the tests
make again from the same formula, as checksums of all pixels and some of the pixels themselves."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from yolov5.utils.augmentations import letterbox
from yolov5.utils.general import scale_boxes

CASES = [
    ((48, 64), (64, 64), {}), ((64, 48), (96, 64), {"auto": False}), ((37, 51), (64, 96), {"auto": False}),
    ((37, 51), (64, 96), {"auto": False, "scaleFill": True}), ((200, 150), (64, 64), {"scaleup": False}),
    ((20, 30), (64, 64), {"scaleup": False}), ((20, 30), (64, 64), {"scaleup": False, "auto": False}),
    ((128, 128), (64, 64), {}), ((128, 64), (64, 32), {"auto": False}), ((1, 1), (32, 32), {}), ((1, 9), (64, 64), {}),
    ((77, 33), (101, 103), {"auto": False, "stride": 64}), ((77, 33), (160, 160), {"stride": 64}),
    ((64, 64), (64, 64), {"auto": False}), ((61, 64), (64, 64), {"auto": False}), ((90, 120), (40, 40), {"stride": 8}),
    ((300, 11), (32, 64), {"auto": False})]


def picture(height, width):
    """Element i of [height, width, 3] is (i · 40503 mod 65536) div 256."""
    return (np.arange(height * width * 3, dtype=np.int64) * 40503 % 65536 // 256).astype(np.uint8).reshape(height, width, 3)


results = []
for (height, width), size, options in CASES:
    image, ratio, padding = letterbox(picture(height, width), size, **options)
    boxes = torch.tensor([[1.5, -3, 20.25, 30, 0.5], [0, 0, 64, 64, 0.25], [10.1, 7.7, 11.3, 99.9, 1], [-5, 500, 5000, -1, 0]])
    plain = scale_boxes(image.shape[:2], boxes.clone(), (height, width))
    padded = scale_boxes(image.shape[:2], boxes.clone(), (height, width), (ratio, padding))
    results.append({
        "height": height, "width": width, "size": size, "stride": options.get("stride", 32),
        "auto": options.get("auto", True), "scaleFill": options.get("scaleFill", False),
        "scaleUp": options.get("scaleup", True), "shape": list(image.shape), "ratio": list(ratio),
        "padding": [float(x) for x in padding], "crc": zlib.crc32(image.tobytes()),
        "middle": image[image.shape[0] // 2].reshape(-1).tolist(),
        "boxes": boxes.flatten().tolist(), "plain": plain.flatten().tolist(), "padded": padded.flatten().tolist()})
text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in results)
Path(__file__).with_name("letterbox.json").write_text(f"[\n{text}\n]\n")
