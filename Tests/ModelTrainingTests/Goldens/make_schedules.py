"""Tables of torch's schedules, of YOLOv5's and YOLOv6's, and of YOLOv6's warm-up: doubles in hexadecimal."""

import json
import math
import pathlib

import numpy as np
import torch
from torch.optim import lr_scheduler

COUNT = 23


def optimizer(lr=0.1, kind=torch.optim.SGD):
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    return kind(parameters, lr=lr, momentum=0.9) if kind is torch.optim.SGD else kind(parameters, lr=lr)


def closed(make):
    """The rates that torch computes from the epoch alone."""
    schedule = make(optimizer())
    if not hasattr(schedule, "_get_closed_form_lr"):
        return chained(make)
    rates = []
    for epoch in range(COUNT):
        schedule.last_epoch = epoch
        rates.append(schedule._get_closed_form_lr()[0].hex())
    return rates


def chained(make):
    o = optimizer()
    schedule = make(o)
    rates = []
    for _ in range(COUNT):
        rates.append(float(o.param_groups[0]["lr"]).hex())
        o.step()
        schedule.step()
    return rates


def cycle(**options):
    o = optimizer()
    schedule = lr_scheduler.OneCycleLR(o, max_lr=0.3, total_steps=COUNT, **options)
    rows = []
    for step in range(COUNT):
        rows.append([o.param_groups[0]["lr"].hex(), float(o.param_groups[0]["momentum"]).hex()])
        o.step()
        if step + 1 < COUNT:
            schedule.step()
    return rows


def warmup(steps, batch):
    rows = []
    for step in range(steps + 3):
        target = 0.02 * (1 - step / 100)
        accumulate = max(1, round(64 / batch))
        rates = [target, target, 0.937]
        if step <= steps:
            accumulate = max(1, int(np.interp(step, [0, steps], [1, 64 / batch]).round()))
            rates = [np.interp(step, [0, steps], [first, last]) for first, last in
                     ((0.0, target), (0.1, target), (0.8, 0.937))]
        rows.append([*(float(rate).hex() for rate in rates), accumulate])
    return rows


def run(epochs, steps, batch, warm, first=0.02, share=0.01):
    """YOLOv6's trainer, step by step: rates of weights and biases, momentum, batches of an update, whether it is one. The
    scheduler is set back by one before the first epoch."""
    groups = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([groups[0]], lr=first, momentum=0.937, nesterov=True)
    optimizer.add_param_group({"params": [groups[1]]})
    factor = lambda e: ((1 - math.cos(e * math.pi / epochs)) / 2) * (share - 1) + 1
    scheduler = lr_scheduler.LambdaLR(optimizer, factor)
    scheduler.last_epoch = -1
    last, rows = -1, []
    for epoch in range(epochs):
        if epoch:
            scheduler.step()
        for index in range(steps):
            step = index + steps * epoch
            accumulate = max(1, round(64 / batch))
            if step <= warm:
                accumulate = max(1, np.interp(step, [0, warm], [1, 64 / batch]).round())
                for bias, group in enumerate(optimizer.param_groups):
                    target = group["initial_lr"] * factor(epoch)
                    group["lr"] = np.interp(step, [0, warm], [0.1 if bias else 0.0, target])
                    group["momentum"] = np.interp(step, [0, warm], [0.8, 0.937])
            updates = step - last >= accumulate
            last = step if updates else last
            rates = [group["lr"] for group in optimizer.param_groups]
            rows.append([*(float(rate).hex() for rate in rates), float(optimizer.param_groups[0]["momentum"]).hex(),
                         int(accumulate), int(updates)])
    return rows


def lambdas(factor):
    return closed(lambda o: lr_scheduler.LambdaLR(o, factor))


epochs, lrf = 20, 0.01
tables = {
    "constant": lambdas(lambda e: 1),
    "linear": lambdas(lambda e: (1 - e / epochs) * (1 - lrf) + lrf),
    "cosine": lambdas(lambda e: ((1 - math.cos(e * math.pi / epochs)) / 2) * (lrf - 1) + 1),
    "cosineAnnealing": closed(lambda o: lr_scheduler.CosineAnnealingLR(o, 7, eta_min=1e-3)),
    "cosineAnnealing.chained": chained(lambda o: lr_scheduler.CosineAnnealingLR(o, 7, eta_min=1e-3)),
    "step": closed(lambda o: lr_scheduler.StepLR(o, 4, gamma=0.3)),
    "step.chained": chained(lambda o: lr_scheduler.StepLR(o, 4, gamma=0.3)),
    "multiStep": closed(lambda o: lr_scheduler.MultiStepLR(o, [3, 9, 9, 15], gamma=0.3)),
    "multiStep.chained": chained(lambda o: lr_scheduler.MultiStepLR(o, [3, 9, 9, 15], gamma=0.3)),
    "linearLR": closed(lambda o: lr_scheduler.LinearLR(o, start_factor=0.01, total_iters=6)),
    "cycles": [cycle(), cycle(anneal_strategy="linear"), cycle(three_phase=True, pct_start=0.4),
               cycle(div_factor=10, final_div_factor=100, base_momentum=0.8, max_momentum=0.9)],
    "warmups": {"10 16": warmup(10, 16), "7 24": warmup(7, 24), "0 64": warmup(0, 64), "3 100": warmup(3, 100)},
    "runs": {"6 4 16 8": run(6, 4, 16, 8), "5 3 24 7": run(5, 3, 24, 7), "4 5 64 0": run(4, 5, 64, 0),
             "3 2 8 1000": run(3, 2, 8, 1000)},
}
pathlib.Path(__file__).with_name("schedules.json").write_text(json.dumps(tables, indent=1) + "\n")
