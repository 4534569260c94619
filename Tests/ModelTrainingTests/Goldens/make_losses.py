"""Writes losses.json: torch's losses in double precision with their gradients.

    python make_losses.py
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

torch.manual_seed(0)
cases = []


def add(name, loss, scores, targets, **options):
    scores = scores.double().requires_grad_()
    value = loss(scores)
    (gradient,) = torch.autograd.grad(value, scores)
    cases.append(
        dict(name=name, shape=list(scores.shape), scores=scores.flatten().tolist(), targets=targets.flatten().tolist(),
             loss=value.item(), gradient=gradient.flatten().tolist(), **options))  # fmt: skip


x, y = torch.randn(5, 7), torch.tensor([0, 6, 3, 3, -100])
weights = torch.rand(7, dtype=torch.float64) + 0.5
for reduction in ("mean", "sum"):
    for smoothing in (0.0, 0.1):
        for weight in (None, weights):
            add("crossEntropy",
                lambda s: F.cross_entropy(s, y, weight=weight, label_smoothing=smoothing, reduction=reduction), x, y,
                reduction=reduction, smoothing=smoothing, weights=None if weight is None else weight.tolist())  # fmt: skip
picture, labels = torch.randn(2, 3, 2, 2), torch.randint(0, 3, (2, 2, 2))
add("crossEntropy", lambda s: F.cross_entropy(s, labels), picture, labels, reduction="mean", smoothing=0.0, weights=None)

x, t = torch.randn(3, 5) * 3, torch.rand(3, 5).double()
for reduction in ("mean", "sum"):
    add("binaryCrossEntropy", lambda s: F.binary_cross_entropy_with_logits(s, t, reduction=reduction), x, t, reduction=reduction)
    add("binaryCrossEntropy",
        lambda s: F.binary_cross_entropy_with_logits(s, t, reduction=reduction, pos_weight=torch.tensor(2.5).double()), x, t,
        reduction=reduction, positiveWeight=2.5)  # fmt: skip
    add("squaredError", lambda s: F.mse_loss(s, t, reduction=reduction), x, t, reduction=reduction)
    add("absoluteError", lambda s: F.l1_loss(s, t, reduction=reduction), x, t, reduction=reduction)
    for beta in (1.0, 0.3):
        add("smoothAbsoluteError", lambda s: F.smooth_l1_loss(s, t, beta=beta, reduction=reduction), x, t, reduction=reduction, beta=beta)
    one = (t > 0.5).double()
    add("focalLoss", lambda s: sigmoid_focal_loss(s, one, reduction=reduction), x, one, reduction=reduction, alpha=0.25, gamma=2.0)
    add("focalLoss", lambda s: sigmoid_focal_loss(s, one, alpha=-1, gamma=1.5, reduction=reduction), x, one, reduction=reduction, gamma=1.5)

(Path(__file__).parent / "losses.json").write_text(json.dumps(dict(torch=torch.__version__, cases=cases)))
