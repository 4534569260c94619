"""What torch's optimizers make of one parameter in four steps: bits of float32 or float64, in hexadecimal.

MKL's square roots are not correctly rounded on every processor; NumPy's are, and stand in for them.
"""

import json
import pathlib

import numpy as np
import torch


def exact(tensor):
    return torch.from_numpy(np.sqrt(tensor.detach().numpy()))


torch.Tensor.sqrt = exact
torch.Tensor.sqrt_ = lambda tensor: tensor.copy_(exact(tensor))

COUNT, STEPS = 37, 4
CASES = {
    "SGD": [{}, {"momentum": 0.9, "weight_decay": 5e-4}, {"momentum": 0.937, "nesterov": True, "weight_decay": 1e-2},
            {"momentum": 0.9, "dampening": 0.3, "maximize": True}],
    "Adam": [{}, {"betas": (0.937, 0.99), "weight_decay": 1e-2}, {"betas": (0.4, 0.99), "amsgrad": True},
             {"eps": 1e-3, "maximize": True}],
    "AdamW": [{}, {"weight_decay": 0.1, "amsgrad": True}],
    "RMSprop": [{}, {"momentum": 0.9, "weight_decay": 1e-2}, {"centered": True, "alpha": 0.9},
                {"centered": True, "momentum": 0.9, "alpha": 0.4, "maximize": True}],
}


def bits(array):
    return array.tobytes().hex()


rng = np.random.default_rng(1)
start = rng.standard_normal(COUNT)
gradients = [rng.standard_normal(COUNT) * 10.0 ** -step for step in range(STEPS)]
cases = []
for dtype in (np.float32, np.float64):
    for rule, variants in CASES.items():
        for options in variants:
            parameter = torch.nn.Parameter(torch.from_numpy(start.astype(dtype)))
            optimizer = getattr(torch.optim, rule)([parameter], lr=0.013, **options)
            steps = []
            for gradient in gradients:
                parameter.grad = torch.from_numpy(gradient.astype(dtype))
                optimizer.step()
                steps.append(bits(parameter.detach().numpy()))
            state = {key: bits(value.numpy()) for key, value in optimizer.state[parameter].items()
                     if torch.is_tensor(value) and key != "step"}
            cases.append({"dtype": np.dtype(dtype).name, "rule": rule, "options": options, "steps": steps, "state": state})
norms = []
for counts in ((5,), (3, 40, 1), (70000, 12)):
    tensors = [torch.nn.Parameter(torch.zeros(n)) for n in counts]
    for index, tensor in enumerate(tensors):
        tensor.grad = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * (index + 1)).to(torch.float32)
    total = torch.nn.utils.clip_grad_norm_(tensors, 1.5)
    norms.append({"counts": counts, "norm": float(total), "first": [float(x) for x in tensors[0].grad[:5]]})
pathlib.Path(__file__).with_name("optimizers.json").write_text(json.dumps(
    {"start": bits(start), "gradients": [bits(gradient) for gradient in gradients], "cases": cases, "norms": norms}, indent=1) + "\n")
