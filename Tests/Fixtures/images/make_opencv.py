"""Makes opencv.json: what OpenCV 5's warpAffine, resize with INTER_AREA, and conversions to HSV and back make of pictures that the tests
make again from the same formula."""

import json
from pathlib import Path

import cv2
import numpy as np


def picture(height, width):
    """Element i of [height, width, 3] is (i · 40503 mod 65536) div 256."""
    return (np.arange(height * width * 3, dtype=np.int64) * 40503 % 65536 // 256).astype(np.uint8).reshape(height, width, 3)


cv2.setNumThreads(1)
cases = []
for (height, width), rows, size in [
    ((24, 32), [[1, 0, 0], [0, 1, 0]], (24, 32)), ((24, 32), [[0.73, 0.1, 5.3], [-0.2, 0.9, 3.1]], (32, 32)),
    ((17, 11), [[1.6, 0, -4], [0, 1.6, -7.5]], (20, 40)), ((40, 40), [[0.2, 0.3, 100], [0.1, 0.1, 100]], (8, 8)),
    ((1, 1), [[9, 0, 3], [0, 9, 3]], (12, 12)), ((9, 30), [[0, 0, 2], [0, 0, 2]], (4, 4))]:
    result = cv2.warpAffine(picture(height, width), np.array(rows, float), dsize=size[::-1], borderValue=(114, 114, 114))
    cases.append({"call": "warp", "height": height, "width": width, "numbers": np.array(rows, float).ravel().tolist(), "size": size,
                  "bytes": result.ravel().tolist()})
for (height, width), size in [((24, 32), (12, 16)), ((24, 32), (8, 16)), ((31, 40), (17, 23)), ((33, 10), (32, 9)), ((100, 11), (7, 11)),
                              ((57, 91), (1, 2)), ((64, 9), (9, 3))]:
    result = cv2.resize(picture(height, width), size[::-1], interpolation=cv2.INTER_AREA)
    cases.append({"call": "area", "height": height, "width": width, "numbers": [], "size": size, "bytes": result.ravel().tolist()})
for height, width, gains in [(20, 32, [1, 1, 1]), (20, 32, [1.0137, 0.4, 1.35]), (11, 64, [0.98, 1.68, 0.66])]:
    image = picture(height, width)[..., ::-1]
    levels = np.arange(256.0)
    tables = [((levels * gains[0]) % 180).astype(np.uint8), *(np.clip(levels * gain, 0, 255).astype(np.uint8) for gain in gains[1:])]
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV)
    changed = cv2.merge([cv2.LUT(plane, table) for plane, table in zip(cv2.split(hsv), tables)])
    result = cv2.cvtColor(changed, cv2.COLOR_HSV2BGR)[..., ::-1]
    cases.append({"call": "hsv", "height": height, "width": width, "numbers": gains, "size": [height, width], "bytes": result.ravel().tolist()})
(Path(__file__).parent / "opencv.json").write_text(json.dumps(cases) + "\n")
