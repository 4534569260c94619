"""What a person runs today to describe a YOLOv5 checkpoint: python info.py IN.pt"""

import sys

import torch

ckpt = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
(ckpt.get("ema") or ckpt["model"]).float().info()
