"""Writes PNG files of every kind, sample by sample, and says which pixels they hold by PNG's own formulas."""

import struct
import zlib

import numpy as np

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


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


def png(samples, kind, depth, interlaced, palette=None, transparency=None, level=-1, before=(), after=(), parts=2):
    """`before` are chunks that stand in front of the palette, `after` those that follow it; the data is cut into `parts` chunks."""
    height, width = samples.shape[:2]
    data = rows(samples, depth)
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES]
        data = b"".join(rows(part, depth) for part in passes if part.size)
    body = zlib.compress(data, level)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))
    file += chunk(b"tEXt", b"Comment\0of no interest")
    file += b"".join(chunk(*each) for each in before)
    if palette is not None:
        file += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if transparency is not None:
        file += chunk(b"tRNS", transparency)
    file += b"".join(chunk(*each) for each in after)
    ends = [len(body) * i // parts for i in range(parts + 1)]
    return file + b"".join(chunk(b"IDAT", body[a:b]) for a, b in zip(ends, ends[1:])) + chunk(b"IEND", b"")


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
