"""`mutils scale` against the originals' scale_img on pictures read by Pillow, at sizes that nobody chose."""

import io
import math
import random
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import load_file

from helpers import fails
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


def png_with(chunks, place):
    """A picture of 57x83 with chunks before its pixels or behind them."""
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (57, 83, 3), dtype=np.uint8)).save(data, "png")
    data = data.getvalue()
    at = data.index(b"IDAT" if place == "before" else b"IEND") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def chunk(name, body, wrong=0):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ wrong)


def exif(orientation, order="<", count=1):
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIHHI", 8, count, 0x112, 3, 1, orientation, 0, 0)


def scaled(tmp_path, data, name="in.png"):
    (tmp_path / name).write_bytes(data)
    run("scale", tmp_path / name, "--ratio", "1", "--same-shape", "-o", tmp_path / "out.png", "--force")
    return np.asarray(Image.open(tmp_path / "out.png"))


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(0, 10))
def test_orientation_of_a_png(tmp_path, orientation, order, place):
    """Turned upright as OpenCV and Pillow do it, wherever the chunk stands."""
    data = png_with([chunk(b"eXIf", exif(orientation, order))], place)
    found = scaled(tmp_path, data)
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    opened = Image.open(io.BytesIO(data))
    opened.load()
    assert np.array_equal(theirs, np.asarray(ImageOps.exif_transpose(opened)))
    assert np.array_equal(found, theirs)


@pytest.mark.parametrize(
    "body", [b"", b"II", exif(6)[:10], exif(6)[:20], b"XX*\0" + exif(6)[4:], exif(6, count=65535), exif(300), bytes(99)]
)
def test_hostile_exif_in_a_png(tmp_path, body):
    """What makes no sense turns nothing; a count beyond the chunk does no harm."""
    found = scaled(tmp_path, png_with([chunk(b"eXIf", body)], "before"))
    assert found.shape[:2] == ((57, 83) if body != exif(6, count=65535) else (83, 57))


def test_the_first_exif_of_a_png_counts(tmp_path):
    found = scaled(tmp_path, png_with([chunk(b"eXIf", exif(6)), chunk(b"eXIf", exif(3))], "before"))
    assert found.shape[:2] == (83, 57)
    hidden = chunk(b"tEXt", b"Comment\0" + chunk(b"eXIf", exif(6)))
    assert scaled(tmp_path, png_with([hidden], "before")).shape[:2] == (57, 83)


def test_a_wrong_checksum_of_exif_is_damage(tmp_path):
    (tmp_path / "in.png").write_bytes(png_with([chunk(b"eXIf", exif(6), wrong=1)], "before"))
    fails("scale", tmp_path / "in.png", "-o", tmp_path / "out.png", naming="in.png")


def test_orientation_of_a_wide_png(tmp_path):
    wide = np.random.default_rng(3).integers(0, 65536, (57, 83, 3), dtype=np.uint16)
    data = cv2.imencode(".png", wide)[1].tobytes()
    at = data.index(b"IDAT") - 4
    (tmp_path / "in.png").write_bytes(data[:at] + chunk(b"eXIf", exif(6)) + data[at:])
    run("scale", tmp_path / "in.png", "--ratio", "1", "--same-shape", "-o", tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")["image"][0].permute(1, 2, 0).numpy()
    turned = np.rot90(wide[..., ::-1], -1) / 65535.0
    assert found.shape == turned.shape and abs(found - turned).max() < 1e-6
