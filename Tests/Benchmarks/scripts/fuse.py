"""What a person runs today to fuse a YOLOv5 checkpoint: python fuse.py IN.pt OUT.pt"""

import sys

import torch

ckpt = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
model = (ckpt.get("ema") or ckpt["model"]).float().fuse().eval()
ckpt.update(model=model.half(), ema=None, optimizer=None)
torch.save(ckpt, sys.argv[2])
