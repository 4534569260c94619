"""Makes pictures.json: small PNG files of every colour type, depth and interlacing, and JPEG files, in base64, with the pixels that
they must be read as. PNG: from the samples that were written, by PNG's own formulas, and as Pillow reads them where it keeps all bits;
JPEG: Pillow's pixels."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from png_writer import CHANNELS, DEPTHS, expected, png

HEIGHT, WIDTH = 9, 11
random = np.random.default_rng(2)


def as_pillow(file, kind, depth, transparent):
    """Pillow's pixels, over black; None where it does not keep 16 bits, or compares grey of few bits with tRNS after scaling it."""
    if depth == 16 or (kind == 0 and depth < 8 and transparent):
        return None
    image = Image.open(io.BytesIO(file)).convert("RGBA")
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(black, image).convert("RGB"))


cases = []


def add(name, file, pixels, wide=False):
    cases.append({
        "name": name, "file": base64.b64encode(file).decode(), "height": pixels.shape[0], "width": pixels.shape[1],
        "bits": 16 if wide else 8, "pixels": [int(x) for x in pixels.reshape(-1)]})


for kind, depths in DEPTHS.items():
    for depth in depths:
        for interlaced in (0, 1):
            for transparent in (False, True) if kind in (0, 2, 3) else (False,):
                palette = transparency = None
                samples = random.integers(0, 2**depth, (HEIGHT, WIDTH, CHANNELS[kind]))
                if kind == 3:
                    palette = random.integers(0, 256, (2**depth, 3))
                    transparency = random.integers(0, 256, max(1, 2**depth - 1)).astype(np.uint8).tobytes() if transparent else None
                elif transparent:
                    transparency = samples[3, 4].astype(">u2").tobytes()
                file = png(samples, kind, depth, interlaced, palette, transparency)
                pixels = expected(samples, kind, depth, palette, transparency)
                pillow = as_pillow(file, kind, depth, transparent)
                if pillow is not None:
                    assert abs(pixels - pillow.astype(int)).max() == 0, (kind, depth, transparent)
                label = f"png type {kind} depth {depth}{' interlaced' * interlaced}{' transparent' * transparent}"
                add(label, file, pixels, depth == 16)

y, x = np.mgrid[0:21, 0:30]
smooth = np.stack([x * 8, y * 12, (x + y) * 5], -1).astype(np.uint8)


def jpeg(name, image, transform=None, **options):
    """With a transform, the Adobe marker says that the file's channels are something else."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    file = bytearray(buffer.getvalue())
    if transform is not None:
        marker = file.index(b"\xff\xee\x00\x0eAdobe")
        file[marker + 15] = transform
    file = bytes(file)
    add("jpeg " + name, file, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")))


picture = Image.fromarray(smooth)
jpeg("baseline 4:4:4", picture, quality=92, subsampling=0)
jpeg("baseline 4:2:0", picture, quality=80, subsampling=2)
jpeg("progressive", picture, quality=85, progressive=True)
jpeg("grey", picture.convert("L"), quality=90)
jpeg("cmyk", picture.convert("CMYK"), quality=90)
jpeg("rgb, Adobe transform 0", picture, quality=90, keep_rgb=True)
jpeg("ycck", picture.convert("CMYK"), transform=2, quality=90, subsampling=0)
jpeg("restart markers", picture, quality=75, restart_marker_blocks=1)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x112] = orientation
    jpeg(f"orientation {orientation}", picture, quality=85, subsampling=0, exif=exif.tobytes())

text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
Path(__file__).with_name("pictures.json").write_text(f"[\n{text}\n]\n")
