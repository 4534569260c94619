"""What a person runs today to prune a YOLOv5 checkpoint: python prune.py IN.pt OUT.pt"""

import sys

import torch
from yolov5.utils.torch_utils import prune

ckpt = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
model = (ckpt.get("ema") or ckpt["model"]).float()
prune(model, 0.3)
ckpt.update(model=model.half(), ema=None, optimizer=None)
torch.save(ckpt, sys.argv[2])
