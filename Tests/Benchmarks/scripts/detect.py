"""YOLOv5's own detect.py: python detect.py MODEL FOLDER OUTPUT."""

import sys

from yolov5.detect import run

run(weights=sys.argv[1], source=sys.argv[2], project=sys.argv[3], imgsz=(640, 640), exist_ok=True, device="cpu")
