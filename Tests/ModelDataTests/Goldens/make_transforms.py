"""What torchvision's transforms make of a picture of a formula: parts, and bytes in hexadecimal."""

import json
import pathlib

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as T


def picture(height, width, channels):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    pixels = ((y * 7 + x * 13 + c * 29 + y * x % 31 * 5) % 256).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


parts = []
for seed in range(40):
    height, width = [(37, 53), (500, 375), (28, 28), (10, 300), (300, 7)][seed % 5]
    scale, ratio = [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.5, 1.0), (0.9, 1.1)), ((1.2, 1.5), (3 / 4, 4 / 3))][seed % 3]
    torch.manual_seed(seed)
    image = Image.new("RGB", (width, height))
    drawn = [list(T.RandomResizedCrop.get_params(image, scale, ratio)) for _ in range(3)]
    parts.append({"seed": seed, "size": [height, width], "scale": scale, "ratio": ratio, "parts": drawn,
                  "next": int(torch.randint(0, 1000000, (1,)))})

RECIPES = {
    "training": [T.RandomResizedCrop(16), T.RandomHorizontalFlip()],
    "evaluation": [T.Resize(20), T.CenterCrop(16)],
    "exact": [T.Resize((9, 30))],
    "bicubic": [T.Resize((60, 21), interpolation=T.InterpolationMode.BICUBIC)],
    "wide": [T.CenterCrop((60, 40))],
    "cifar": [T.RandomCrop(24, padding=4), T.RandomHorizontalFlip()],
}
cases = []
for name, recipe in RECIPES.items():
    for seed, size in enumerate([(37, 53, 3), (24, 24, 1), (64, 31, 3), (25, 24, 3)]):
        torch.manual_seed(seed)
        result = np.asarray(T.Compose(recipe)(picture(*size)))
        cases.append({"recipe": name, "seed": seed, "picture": size, "size": list(result.shape[:2]), "bytes": result.tobytes().hex()})
inputs = T.Compose([T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])(picture(3, 5, 3))
grey = np.asarray(picture(6, 7, 3).convert("L"))
pathlib.Path(__file__).with_name("transforms.json").write_text(json.dumps(
    {"parts": parts, "cases": cases, "inputs": inputs.numpy().tobytes().hex(), "grey": grey.tobytes().hex()}, indent=1) + "\n")
