"""`mutils scale` against the originals' scale_img on pictures read by Pillow, at sizes that nobody chose."""

import math
import random

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from helpers import succeeds as run

SEEDS = range(24)


def picture(seed, low=1, high=400):
    generator = np.random.default_rng(seed)
    height, width = (int(x) for x in generator.integers(low, high, 2))
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x / a + y / b) for a, b in generator.uniform(3, 40, (3, 2))]
    noise = generator.normal(0, 6, (height, width, 3))
    return (np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)


def scale_img(image, ratio, same_shape=False, grid=32):
    if ratio == 1:
        return image
    height, width = image.shape[2:]
    size = (int(height * ratio), int(width * ratio))
    image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    if not same_shape:
        height, width = (math.ceil(x * ratio / grid) * grid for x in (height, width))
    return F.pad(image, [0, width - size[1], 0, height - size[0]], value=0.447)


def tensor(pixels):
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def options(seed):
    chooser = random.Random(seed)
    ratio = chooser.choice([chooser.uniform(0.1, 1), chooser.uniform(1, 3), 1.0])
    same = chooser.random() < 0.3
    grid = chooser.choice([1, 8, 32, 64, 50])
    return ratio, same, grid, ["--ratio", repr(ratio), "--grid", str(grid)] + ["--same-shape"] * same


@pytest.mark.parametrize("seed", SEEDS)
def test_values(tmp_path, seed):
    """Float32 within 1e-6 of torch's, of PNG and JPEG."""
    ratio, same, grid, arguments = options(seed)
    path = tmp_path / ("in.jpg" if seed % 2 else "in.png")
    Image.fromarray(picture(seed, 12)).save(path)
    run("scale", path, *arguments, "-o", tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")["image"]
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = scale_img(tensor(pixels), ratio, same, grid)
    assert found.shape == wanted.shape
    if seed % 2:  # Two builds of libjpeg may round the inverse transform differently.
        assert (found - wanted).abs().mean() < 1e-3
    else:
        assert (found - wanted).abs().max() < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_pixels(tmp_path, seed):
    """A written PNG holds the rounded values: Pillow and OpenCV read them."""
    ratio, same, grid, arguments = options(seed + 100)
    Image.fromarray(picture(seed, 12, 120)).save(tmp_path / "in.png")
    run("scale", tmp_path / "in.png", *arguments, "-o", tmp_path / "out.png")
    found = np.asarray(Image.open(tmp_path / "out.png"))
    assert (cv2.imread(str(tmp_path / "out.png"))[..., ::-1] == found).all()
    exact = scale_img(tensor(Image.open(tmp_path / "in.png")), ratio, same, grid)[0].permute(1, 2, 0).numpy() * 255.0
    assert found.shape == exact.shape
    assert abs(found - exact).max() < 0.5 + 1e-3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_modes(tmp_path, mode):
    image = Image.fromarray(picture(5, 20))
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image)[..., 0].astype(np.uint16) * 251))
        wanted = (np.asarray(image)[..., None] / 65535.0).repeat(3, -1)
    else:
        image = image.convert(mode)
        if mode in ("LA", "RGBA"):
            alpha = Image.fromarray(np.random.default_rng(1).integers(0, 256, image.size[::-1], dtype=np.uint8))
            image.putalpha(alpha)
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        wanted = np.asarray(Image.alpha_composite(black, rgba).convert("RGB")) / 255.0
    image.save(tmp_path / "in.png")
    run("scale", tmp_path / "in.png", "--ratio", "1", "-o", tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")["image"][0].permute(1, 2, 0).numpy()
    assert abs(found - wanted).max() < 1e-6


def test_batch(tmp_path):
    for name, seed in [("a.png", 1), ("b.png", 1), ("c.png", 2)]:
        Image.fromarray(picture(seed, 40)).save(tmp_path / name)
    run("scale", tmp_path, "--batch", "-o", tmp_path / "batch.safetensors")
    found = load_file(tmp_path / "batch.safetensors")
    wanted = scale_img(tensor(Image.open(tmp_path / "a.png")), 0.83)
    both = found["images.%dx%d" % tuple(wanted.shape[2:])]
    assert both.shape[0] == 2 and (both[0] == both[1]).all()
    assert (both[:1] - wanted).abs().max() < 1e-6
