"""Makes sample.jpg: a small drawn picture for trying `mutils scale` without one of one's own. Needs Pillow and NumPy."""

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 120, 160
y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / 120
sky = np.stack([0.45 + 0.3 * y, 0.65 + 0.2 * y, 0.95 - 0.1 * y], -1)
hill = y > 0.72 + 0.08 * np.sin(5 * x)
sun = (x - 1.0) ** 2 + (y - 0.3) ** 2 < 0.02
house = (abs(x - 0.45) < 0.16) & (y > 0.5) & (y < 0.82)
roof = (y > 0.32) & (y <= 0.5) & (abs(x - 0.45) < (y - 0.32) * 1.2)
door = (abs(x - 0.45) < 0.04) & (y > 0.66) & (y < 0.82)
for where, color in [
    (sun, (1.0, 0.85, 0.3)), (hill, (0.3, 0.55, 0.25)), (house, (0.9, 0.85, 0.75)), (roof, (0.65, 0.25, 0.2)),
    (door, (0.4, 0.25, 0.15))]:
    sky[where] = color
Image.fromarray((sky * 255).round().astype(np.uint8)).save(Path(__file__).with_name("sample.jpg"), quality=85)
