"""Drawn detection sets in NumPy and Pillow: what `mutils dataset shapes` and `garments` must give, pixel for pixel.

    python drawn_sets.py [train val size seed]   prints SHA-256 of a set's pixels and labels, picture by picture
"""

import hashlib
import math
import sys

import numpy as np
from PIL import Image

SHAPES = ["circle", "square", "triangle", "star", "cross", "ring"]
GARMENTS = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
FIRST = {"train": 0, "val": 500_000}
SAMPLES = 4


def noise(draws, size):
    """Four octaves of value noise between two colours, with grain."""
    total, amplitude = np.zeros((size, size, 3)), 1.0
    for cells in (3, 7, 17, 41):
        grid = draws.random_sample((cells + 1, cells + 1, 3 if cells == 3 else 1))
        place = np.linspace(0, cells, size, endpoint=False)
        cell = place.astype(int)
        share = place - cell
        share = share * share * (3 - 2 * share)
        across, down = share[None, :, None], share[:, None, None]
        upper = grid[cell][:, cell] * (1 - across) + grid[cell][:, cell + 1] * across
        lower = grid[cell + 1][:, cell] * (1 - across) + grid[cell + 1][:, cell + 1] * across
        total += amplitude * (upper * (1 - down) + lower * down)
        amplitude *= 0.55
    total = (total - total.min()) / (total.max() - total.min())
    dark, bright = draws.random_sample(3) * 0.6, 0.3 + draws.random_sample(3) * 0.6
    return dark + (bright - dark) * total + draws.standard_normal((size, size, 1)) * 0.02


def photograph(draws, size, pictures):
    """A square part of one of some pictures."""
    picture = pictures[draws.randint(len(pictures))]
    height, width = picture.shape[:2]
    side = draws.randint(min(size, height, width), min(height, width) + 1)
    left, top, mirrored = draws.randint(width - side + 1), draws.randint(height - side + 1), draws.randint(2)
    part = Image.fromarray(picture[top : top + side, left : left + side]).resize((size, size), Image.BILINEAR)
    return np.asarray(part, float)[:, :: -1 if mirrored else 1] / 255


def cover(kind, x, y, radius, angle, size):
    """How much of each pixel a shape covers."""
    rows, columns = (np.mgrid[0 : size * SAMPLES, 0 : size * SAMPLES] + 0.5) / SAMPLES
    dx, dy, c, s = columns - x, rows - y, math.cos(angle), math.sin(angle)
    u, v = (c * dx + s * dy) / radius, (-s * dx + c * dy) / radius
    far = np.hypot(u, v)
    if kind == 0:
        inside = far < 1
    elif kind == 1:
        inside = np.maximum(abs(u), abs(v)) < 0.78
    elif kind == 2:
        inside = (v < 0.5) & (v > -1 + abs(u) * math.sqrt(3))
    elif kind == 3:
        turn = np.mod(np.arctan2(v, u), 2 * math.pi / 5) - math.pi / 5
        inside = far * (np.cos(turn) + 0.55 * abs(np.sin(turn)) * 2.2) < 0.62
    elif kind == 4:
        inside = ((abs(u) < 0.3) & (abs(v) < 0.95)) | ((abs(v) < 0.3) & (abs(u) < 0.95))
    else:
        inside = (far < 1) & (far > 0.58)
    return inside.reshape(size, SAMPLES, size, SAMPLES).mean((1, 3))


def pasted(draws, kind, x, y, radius, size, pictures, labels):
    """A grey picture, tinted, and how much of each pixel it covers; nothing where it would not lie in the picture."""
    picture = pictures[draws.choice(np.flatnonzero(labels == kind))]
    longer = int(2 * radius) + 6
    high, wide = (max(1, int(longer * side / max(picture.shape) + 0.5)) for side in picture.shape)
    left, top = int(x - wide / 2), int(y - high / 2)
    if left < 0 or top < 0 or left + wide > size or top + high > size:
        return None
    grey = np.asarray(Image.fromarray(picture).resize((wide, high), Image.BILINEAR), float) / 255
    tint = 0.35 + 0.65 * draws.random_sample(3)
    where = slice(top, top + high), slice(left, left + wide)
    share, color = np.zeros((size, size)), np.zeros((size, size, 3))
    share[where], color[where] = np.clip(grey * 6, 0, 1), grey[..., None] * tint
    return share, color


def overlap(a, b):
    return all(min(a[i + 2], b[i + 2]) - max(a[i], b[i]) > 0.25 * min(a[i + 2] - a[i], b[i + 2] - b[i]) for i in (0, 1))


def scene(part, index, size, seed, pictures=None, labels=None, classes=6, photographs=None):
    """Pixels, and the lines of labels."""
    draws = np.random.RandomState((seed * 1_000_003 + FIRST[part] + index) % 2**32)
    image = photograph(draws, size, photographs) if photographs else noise(draws, size)
    found = []
    for _ in range(draws.randint(1, 6)):
        for _ in range(20):
            kind = draws.randint(classes)
            radius = math.exp(draws.uniform(math.log(size * 0.05), math.log(size * 0.2)))
            x, y = draws.uniform(radius, size - radius, 2)
            if pictures is None:
                share = cover(kind, x, y, radius, draws.uniform(0, 2 * math.pi), size)
                color = np.broadcast_to(draws.random_sample(3), (size, size, 3))
            else:
                stamp = pasted(draws, kind, x, y, radius, size, pictures, labels)
                if stamp is None:
                    continue
                share, color = stamp
            rows, columns = np.where(share > 0.5)
            if len(rows) < 9:
                continue
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            if any(overlap(box, other) for _, other in found):
                continue
            image = image * (1 - share[..., None]) + color * share[..., None]
            found.append((kind, box))
            break
    text = "".join(
        f"{kind} {(l + r) / 2 / size:.6f} {(t + b) / 2 / size:.6f} {(r - l) / size:.6f} {(b - t) / size:.6f}\n"
        for kind, (l, t, r, b) in found)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), text


if __name__ == "__main__":
    train, val, side, seed = map(int, sys.argv[1:5] or (256, 64, 96, 7))
    digest = hashlib.sha256()
    for part, count in (("train", train), ("val", val)):
        for index in range(count):
            pixels, text = scene(part, index, side, seed)
            digest.update(pixels.tobytes() + text.encode())
    print(digest.hexdigest())
