"""Makes png_suite.json: PNG files by PngSuite's categories, in base64, with the CRC-32 of the pixels that they must be read as (8 bits, or
16 with the low byte first), by PNG's own formulas; Pillow agrees where it keeps all bits. Those without a CRC must be refused."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from png_writer import CHANNELS, chunk, expected, png

random = np.random.default_rng(5)
cases = []


def add(name, file, pixels=None, wide=False):
    crc = None if pixels is None else zlib.crc32(np.ascontiguousarray(pixels).astype("<u2" if wide else np.uint8).tobytes())
    cases.append({"name": name, "file": base64.b64encode(file).decode(), "crc": crc})


def make(name, kind, depth, size=(8, 8), interlaced=0, opaque=True, palette_size=None, **options):
    samples = random.integers(0, min(2**depth, palette_size or 2**depth), (*size, CHANNELS[kind]))
    palette = random.integers(0, 256, (palette_size or 2**depth, 3)) if kind == 3 else None
    file = png(samples, kind, depth, interlaced, palette, **options)
    pixels = expected(samples, kind, depth, palette, options.get("transparency"))
    if depth < 16 and opaque:
        pillow = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        assert (pixels == pillow).all(), name
    add(name, file, pixels, depth == 16)
    return file


# Odd sizes, as s01 to s40.
for side in [*range(1, 10), *range(32, 41)]:
    for interlaced in (0, 1):
        make(f"size {side}{' interlaced' * interlaced}", 3, 4 if side > 8 else 1 + (side > 2), (side, side), interlaced)
for size in [(1, 40), (40, 1), (3, 37), (2, 5)]:
    for interlaced in (0, 1):
        make(f"size {size[0]}x{size[1]}{' interlaced' * interlaced}", 2, 8, size, interlaced)

# Background colours are for whoever shows the picture on no page of its own: they change nothing.
backgrounds = [(0, 16, b"\xab\xcd"), (2, 8, b"\0\xff\0\0\0\1"), (3, 8, b"\7"), (4, 8, b"\0\x80"), (6, 16, b"\xff" * 6)]
for kind, depth, colour in backgrounds:
    make(f"background, type {kind}", kind, depth, after=[(b"bKGD", colour)], opaque=kind not in (4, 6))

# Transparency: a shorter table than the palette, an empty picture of one colour, a colour that does not occur.
make("tRNS of one entry", 3, 8, transparency=b"\x40", opaque=False)
make("tRNS of all entries", 3, 2, transparency=b"\0\x55\xaa\xff", opaque=False)
make("tRNS of 16 bits that only the low byte tells apart", 0, 16, transparency=b"\x12\x34", opaque=False)
make("tRNS of another colour", 2, 8, transparency=struct.pack(">HHH", 1, 2, 3), opaque=False)

# Gamma and colour spaces are not applied.
for gamma in (35000, 45455, 55000, 70000, 100000, 250000):
    make(f"gamma {gamma}", 2, 8, before=[(b"gAMA", struct.pack(">I", gamma))])
make("sRGB and chromaticities", 2, 8, before=[
    (b"gAMA", struct.pack(">I", 45455)), (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    (b"sRGB", b"\0")])

# Palettes: short ones, one that a true-colour picture only suggests, a suggested palette.
make("palette of 200", 3, 8, palette_size=200)
make("palette of 1", 3, 1, palette_size=1)
make("palette beside true colour", 2, 8, before=[(b"PLTE", bytes(range(30)))])
make("sPLT", 2, 8, before=[(b"sPLT", b"name\0\x08" + bytes(range(12)))])

# What else may stand in a file.
make("significant bits", 2, 8, before=[(b"sBIT", b"\5\6\5")])
make("physical size and time", 0, 8, after=[(b"pHYs", struct.pack(">IIB", 1, 4, 0)), (b"tIME", b"\x07\xd0\1\1\0\0\0")])
make("texts", 0, 8, after=[
    (b"zTXt", b"Title\0\0" + zlib.compress(b"x" * 1000)), (b"iTXt", b"Title\0\0\0de\0\0caf\xc3\xa9"), (b"tEXt", b"Title\0" + b"y" * 500)])
make("exif and histogram", 3, 1, after=[(b"eXIf", b"MM\0*\0\0\0\x08\0\0"), (b"hIST", b"\0\1\0\2")])
make("an unknown chunk", 2, 8, after=[(b"prVt", b"anything")])

# Compression levels, and data in many chunks, empty ones among them.
for level in (0, 1, 6, 9):
    make(f"level {level}", 2, 8, (20, 20), level=level)
make("one byte a chunk", 0, 8, parts=90)
make("empty chunks", 0, 1, parts=200)

# Damaged, as PngSuite's x files and more: refused.
good = make("good", 2, 8)


def header(**changed):
    fields = {"width": 8, "height": 8, "depth": 8, "kind": 2, "compression": 0, "filter": 0, "interlace": 0} | changed
    return good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", *fields.values())) + good[33:]


for name, file in {
    "signature, first byte": b"\x88" + good[1:], "signature, line ends": good[:4] + b"\n\n\x1a\n" + good[8:],
    "signature, as text": b"\x89PNG\n\x1a\n" + good[8:], "checksum of the header": good[:30] + b"\0\0" + good[32:],
    "checksum of the data": good[:-17] + bytes(x ^ 1 for x in good[-17:-16]) + good[-16:],
    "colour type 1": header(kind=1), "colour type 9": header(kind=9), "depth 0": header(depth=0), "depth 3": header(depth=3),
    "depth 4 of true colour": header(depth=4), "depth 99": header(depth=99), "no width": header(width=0), "no height": header(height=0),
    "width 2^31": header(width=2**31), "another compression": header(compression=1), "another filter method": header(filter=1),
    "another interlacing": header(interlace=2), "more rows than data": header(height=9), "no data": good[:33] + chunk(b"IEND", b""),
    "no palette": header(kind=3), "an unknown critical chunk": good[:33] + chunk(b"ABCD", b"") + good[33:],
    "a filter that is none": png(np.zeros((1, 1, 3), int), 2, 8, 0).replace(
        chunk(b"IDAT", b""), b"")[:33] + chunk(b"IDAT", zlib.compress(b"\x07\1\2\3")) + chunk(b"IEND", b""),
    "no deflate": good[:33] + chunk(b"IDAT", b"nothing that zlib would know") + chunk(b"IEND", b""),
    "header twice": good[:33] + good[8:], "no end": good[:-12],
}.items():
    add("bad: " + name, file)

text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
Path(__file__).with_name("png_suite.json").write_text(f"[\n{text}\n]\n")
