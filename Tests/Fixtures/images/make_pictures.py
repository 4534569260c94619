"""Makes pictures.json: small PNG files of every colour type, depth and interlacing, and JPEG files, in base64, with the pixels that
they must be read as. PNG: from the samples that were written, by PNG's own formulas, and as Pillow reads them where it keeps all bits;
JPEG: Pillow's pixels."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
HEIGHT, WIDTH = 9, 11
random = np.random.default_rng(2)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def rows(samples, depth):
    """Filtered rows, each filter in turn, of samples [height, width, channels]."""
    height, width, channels = samples.shape
    out, step = b"", max(1, channels * depth // 8)
    previous = None
    for y in range(height):
        flat = samples[y].reshape(-1)
        if depth == 16:
            line = flat.astype(">u2").tobytes()
        elif depth == 8:
            line = flat.astype(np.uint8).tobytes()
        else:
            bits = ((flat[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
            line = np.packbits(bits.reshape(-1)).tobytes()
        line = np.frombuffer(line, np.uint8).astype(int)
        above = np.zeros_like(line) if previous is None else previous
        left = np.concatenate([np.zeros(step, int), line])[: len(line)]
        corner = np.concatenate([np.zeros(step, int), above])[: len(line)]
        guess = left + above - corner
        near = [abs(guess - left), abs(guess - above), abs(guess - corner)]
        paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], above, corner))
        kind = y % 5
        base = [0, left, above, (left + above) // 2, paeth][kind]
        out += bytes([kind]) + ((line - base) % 256).astype(np.uint8).tobytes()
        previous = line
    return out


def png(samples, kind, depth, interlaced, palette=None, transparency=None):
    height, width = samples.shape[:2]
    data = rows(samples, depth)
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES]
        data = b"".join(rows(part, depth) for part in parts if part.size)
    body = zlib.compress(data)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))
    file += chunk(b"tEXt", b"Comment\0of no interest")
    if palette is not None:
        file += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if transparency is not None:
        file += chunk(b"tRNS", transparency)
    half = len(body) // 2
    return file + chunk(b"IDAT", body[:half]) + chunk(b"IDAT", body[half:]) + chunk(b"IEND", b"")


def over_black(rgb, alpha, top):
    return (2 * rgb.astype(np.int64) * alpha + top) // (2 * top)


def expected(samples, kind, depth, palette, transparency):
    top = 65535 if depth == 16 else 255
    if kind == 3:
        rgb, alpha = palette[samples[..., 0]], None
        if transparency is not None:
            table = np.full(256, 255)
            table[: len(transparency)] = np.frombuffer(transparency, np.uint8)
            alpha = table[samples[..., :1]]
        return rgb if alpha is None else over_black(rgb, alpha, 255)
    scale = top // (2**depth - 1)
    color, alpha = samples, None
    if kind in (4, 6):
        color, alpha = samples[..., :-1], samples[..., -1:]
    elif transparency is not None:
        hidden = np.frombuffer(transparency, ">u2").astype(int)
        alpha = np.where((samples == hidden).all(-1, keepdims=True), 0, top)
    rgb = np.repeat(color, 3, -1) if color.shape[-1] == 1 else color
    return rgb * scale if alpha is None else over_black(rgb * scale, alpha, top)


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


def jpeg(name, image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    file = buffer.getvalue()
    add("jpeg " + name, file, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")))


picture = Image.fromarray(smooth)
jpeg("baseline 4:4:4", picture, quality=92, subsampling=0)
jpeg("baseline 4:2:0", picture, quality=80, subsampling=2)
jpeg("progressive", picture, quality=85, progressive=True)
jpeg("grey", picture.convert("L"), quality=90)
jpeg("cmyk", picture.convert("CMYK"), quality=90)
jpeg("restart markers", picture, quality=75, restart_marker_blocks=1)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x112] = orientation
    jpeg(f"orientation {orientation}", picture, quality=85, subsampling=0, exif=exif.tobytes())

text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
Path(__file__).with_name("pictures.json").write_text(f"[\n{text}\n]\n")
