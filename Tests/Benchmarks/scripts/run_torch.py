"""A model's first result: python run_torch.py FILE (without .pt)."""

import sys

import torch

model = torch.load(sys.argv[1] + ".pt", weights_only=False)["model"].eval()
with torch.no_grad():
    print(model(torch.rand(1, 3, 640, 640))[0].shape)
