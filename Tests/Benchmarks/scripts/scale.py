"""The whole process in Python: a JPEG scaled as YOLOv5's scale_img does and written as PNG. scale.py IN RATIO OUT"""

import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

source, ratio, target = sys.argv[1], float(sys.argv[2]), sys.argv[3]
image = torch.from_numpy(np.array(Image.open(source).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
height, width = image.shape[2:]
size = (int(height * ratio), int(width * ratio))
image = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
height, width = (math.ceil(x * ratio / 32) * 32 for x in (height, width))
image = F.pad(image, [0, width - size[1], 0, height - size[0]], value=0.447)
Image.fromarray((image[0] * 255).round().byte().permute(1, 2, 0).numpy()).save(target)
