"""Writes averages.json: what YOLOv5's, timm's and torch's averages make of four small models, as bits of float32.

    python make_averages.py > averages.json

mmyolo's is computed by its formula with torch's lerp.
"""

import copy
import json
import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402
import timm.utils  # noqa: E402

ModelEMA = nets.import_yolov5().utils.torch_utils.ModelEMA


def model(seed):
    generator = torch.Generator().manual_seed(seed)
    module = nn.BatchNorm1d(19)
    module.weight.data = torch.randn(19, generator=generator)
    module.bias.data = torch.randn(19, generator=generator) * 1e3
    module.running_mean.copy_(torch.randn(19, generator=generator))
    module.running_var.copy_(torch.rand(19, generator=generator))
    module.num_batches_tracked.fill_(10 * seed + 3)
    return module


def numbers(module):
    return {
        k: v.view(torch.int32).tolist() if v.is_floating_point() else v.reshape(-1).tolist()
        for k, v in module.state_dict().items()
    }


@torch.no_grad()
def mmyolo(models, momentum, gamma):
    ema = copy.deepcopy(models[0])
    for step, m in enumerate(models):
        weight = (1 - momentum) * math.exp(-(1 + step) / gamma) + momentum
        for (k, v), source in zip(ema.state_dict().items(), m.state_dict().values()):
            if step == 0 or k not in dict(m.named_parameters()):
                v.copy_(source)
            else:
                v.lerp_(source, weight)
    return ema


def updated(average, models):
    for m in models:
        average.update(m)
    return average


models = [model(seed) for seed in range(4)]
v3 = timm.utils.ModelEmaV3(models[0], use_warmup=True, warmup_gamma=2.0)
for step, m in enumerate(models[1:], 1):
    v3.update(m, step=step)
swa = AveragedModel(models[0])
for m in models:
    swa.update_parameters(m)
print(
    json.dumps(
        {
            "models": [numbers(m) for m in models],
            "yolo": numbers(updated(ModelEMA(models[0], tau=10), models[1:]).ema),
            "timm": numbers(updated(timm.utils.ModelEma(models[0], decay=0.7), models[1:]).ema),
            "timm-v2": numbers(updated(timm.utils.ModelEmaV2(models[0], decay=0.7), models[1:]).module),
            "timm-v3": numbers(v3.module),
            "mmyolo": numbers(mmyolo(models, 0.3, 1.0)),
            "swa": numbers(swa.module),
        }
    )
)
