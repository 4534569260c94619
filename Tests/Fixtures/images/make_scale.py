"""Makes scale.json: what PyTorch's interpolate and pad make of small pictures, which the tests make again from the same formula."""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

SIZES = [(1, 1), (1, 7), (2, 2), (3, 5), (7, 1), (13, 18), (16, 16), (23, 40)]
RATIOS = [0.1, 0.33, 0.5, 0.67, 0.83, 1.0, 1.1, 1.5, 2.0, 3.7]
GRIDS = [1, 8, 32]


def picture(height, width):
    """Element i of [2, 1, height, width] is ((i · 7919 + 13) mod 256) / 255."""
    count = 2 * height * width
    values = (torch.arange(count) * 7919 + 13) % 256
    return values.to(torch.uint8).reshape(2, 1, height, width)


def scaled(image, ratio, same_shape, grid, value=0.447):
    if ratio == 1:
        return image
    height, width = image.shape[2:]
    size = (int(height * ratio), int(width * ratio))
    image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    if not same_shape:
        height, width = (math.ceil(x * ratio / grid) * grid for x in (height, width))
    return F.pad(image, [0, width - size[1], 0, height - size[0]], value=value)


cases = []
for number, (height, width) in enumerate(SIZES):
    for ratio in RATIOS:
        if int(height * ratio) == 0 or int(width * ratio) == 0:
            continue
        same = (number + int(ratio * 10)) % 2 == 1
        grid = GRIDS[(number + int(ratio * 100)) % 3] if height * width * ratio * ratio < 300 else 8
        if int(height * ratio) * int(width * ratio) > 400:
            grid = 1
        result = scaled(picture(height, width).float() / 255, ratio, same, grid)
        if result.numel() > 2500:
            continue
        cases.append({
            "height": height, "width": width, "ratio": ratio, "sameShape": same, "grid": grid,
            "shape": list(result.shape), "values": [float(f"{x:.8g}") for x in result.flatten().tolist()]})
text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
Path(__file__).with_name("scale.json").write_text(f"[\n{text}\n]\n")
