"""Makes seeds.json: sequences of calls of torch's, NumPy's and Python's generators, and a hash of the bytes that each call gives.

Run on a processor with AVX2 that is not Intel's: torch draws bernoulli_(p) by MKL there, which gives other numbers.
"""

import json
import math
import random
import struct
from pathlib import Path

import numpy as np
import torch

FLOATS = ["float64", "float32", "float16", "bfloat16"]
INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"]
SIZES = [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 100, 623, 624, 625, 997, 1024, 1040]
BITS = {"int64": 63, "int32": 31, "int16": 15, "int8": 7, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 63, "bool": 1}
chooser = random.Random(2024)


def fnv(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def tensor_bytes(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def split(count):
    """A shape of so many elements."""
    for divisor in chooser.sample([2, 3, 5, 7], 4):
        if count and count % divisor == 0:
            return [divisor, count // divisor]
    return [count]


def bounds(dtype):
    """A range inside the type; from 2^28 on torch draws 64 bits."""
    lowest = 0 if dtype.startswith("u") or dtype == "bool" else -(1 << BITS[dtype])
    highest = (1 << BITS[dtype]) - 1
    kind = chooser.randrange(4)
    if kind == 0 and highest < 1 << 63:
        return lowest, min(highest + 1, (1 << 63) - 1)
    low = chooser.randint(lowest, highest - 1)
    span = 1 << chooser.randrange(1, BITS[dtype] + 1)
    return low, min(highest, low + chooser.randint(1, span))


def torch_step():
    call = chooser.choice(["uniform", "normal", "normal", "randint", "randperm", "bernoulli", "bernoulli_each"])
    shape = split(chooser.choice(SIZES))
    step = {"call": call, "shape": shape}
    if call == "randperm":
        step["shape"] = [math.prod(shape)]
        result = torch.randperm(math.prod(shape))
    elif call == "randint":
        dtype = step["dtype"] = chooser.choice(INTEGERS)
        low, high = step["integers"] = bounds(dtype)
        result = torch.randint(low, high, shape, dtype=getattr(torch, dtype))
    else:
        dtype = step["dtype"] = chooser.choice(FLOATS)
        tensor = torch.empty(shape, dtype=getattr(torch, dtype))
        if call == "uniform":
            low = chooser.choice([0.0, -1.0, chooser.uniform(-3, 3)])
            step["numbers"] = [low, low + chooser.choice([0.0, 1.0, chooser.uniform(0, 5)])]
            result = tensor.uniform_(*step["numbers"])
        elif call == "normal":
            step["numbers"] = chooser.choice([[0.0, 1.0], [chooser.uniform(-3, 3), chooser.uniform(0, 5)]])
            result = tensor.normal_(*step["numbers"])
        elif call == "bernoulli":
            step["numbers"] = [chooser.choice([0.0, 1.0, 0.5, chooser.random()])]
            result = tensor.bernoulli_(*step["numbers"])
        else:
            # The probabilities are k / 1024, which every type but bfloat16 holds.
            k = torch.arange(tensor.numel()) * 389 % 1025
            result = torch.bernoulli((k / 1024).to(tensor.dtype).reshape(shape))
    return step, tensor_bytes(result)


def initializer_step():
    call = chooser.choice(["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "trunc_normal"])
    dtype = chooser.choice(FLOATS)
    shape = chooser.choice([[8, 3, 3, 3], [5, 7], [16, 1, 5, 5], [1, 1], [3, 4, 2], [64, 9], [0, 4]])
    step = {"call": call, "shape": shape, "dtype": dtype}
    tensor = torch.empty(shape, dtype=getattr(torch, dtype))
    function = getattr(torch.nn.init, call + "_")
    if call.startswith("kaiming"):
        step["numbers"] = [chooser.choice([0.0, 0.1, math.sqrt(5)])]
        step["mode"] = chooser.choice(["fan_in", "fan_out"])
        step["nonlinearity"] = chooser.choice(
            ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
             "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
        function(tensor, step["numbers"][0], step["mode"], step["nonlinearity"])
    elif call.startswith("xavier"):
        step["numbers"] = [chooser.choice([1.0, math.sqrt(2), 0.3])]
        function(tensor, *step["numbers"])
    else:
        step["numbers"] = chooser.choice(
            [[0.0, 0.02, -2.0, 2.0], [0.0, 1.0, -2.0, 2.0], [0.0, 1.0, -0.5, 0.5], [0.5, 1.0, -0.25, 1.75],
             [0.0, 1.0, 0.25, 0.75], [0.0, 1.0, 1.5, 3.0], [-1.0, 0.5, 0.0, 0.5]])
        function(tensor, *step["numbers"])
    return step, tensor_bytes(tensor)


def numpy_step(state):
    call = chooser.choice(["rand", "uniform", "randn", "normal", "permutation", "randint", "randint"])
    count = chooser.choice(SIZES)
    step = {"call": call, "shape": [count]}
    if call == "permutation":
        result = state.permutation(count)
    elif call == "randint":
        dtype = step["dtype"] = chooser.choice(INTEGERS)
        low, high = step["integers"] = bounds(dtype)
        result = state.randint(low, high, count, dtype=dtype)
    elif call in ("uniform", "normal"):
        low = chooser.uniform(-3, 3)
        step["numbers"] = [low, low + 4] if call == "uniform" else [low, chooser.uniform(0, 5)]
        result = getattr(state, call)(*step["numbers"], count)
    else:
        result = getattr(state, call)(count)
    return step, np.ascontiguousarray(result).tobytes()


def python_step(state):
    call = chooser.choice(["random", "uniform", "gauss", "shuffle", "randrange", "getrandbits", "sample"])
    count = chooser.choice(SIZES)
    step = {"call": call, "shape": [count]}
    if call == "shuffle":
        result = list(range(count))
        state.shuffle(result)
    elif call == "sample":
        step["integers"] = [chooser.randint(0, count)]
        result = state.sample(list(range(count)), step["integers"][0])
    elif call == "randrange":
        step["integers"] = bounds("int64")
        result = [state.randrange(*step["integers"]) for _ in range(count)]
    elif call == "getrandbits":
        step["integers"] = [chooser.randrange(65)]
        values = [state.getrandbits(step["integers"][0]) for _ in range(count)]
        return step, struct.pack(f"<{count}Q", *values)
    else:
        if call != "random":
            step["numbers"] = [chooser.uniform(-3, 3), chooser.uniform(0, 5)]
        result = [getattr(state, call)(*step.get("numbers", [])) for _ in range(count)]
    kind = "d" if call in ("random", "uniform", "gauss") else "q"
    return step, struct.pack(f"<{len(result)}{kind}", *result)


def torch_state(_):
    return torch.get_rng_state().numpy().tobytes()


def numpy_state(state):
    _, key, position, has_gauss, gauss = state.get_state()
    return key.tobytes() + struct.pack("<qqd", position, has_gauss, gauss)


def python_state(state):
    _, words, gauss = state.getstate()
    return struct.pack("<625Iqd", *words, gauss is not None, gauss or 0.0)


def sequence(generator, seed, steps):
    if generator in ("torch", "initializers"):
        state = torch.manual_seed(seed)
        make, save = (torch_step if generator == "torch" else initializer_step), torch_state
    elif generator == "numpy":
        state = np.random.RandomState(seed)
        make, save = (lambda: numpy_step(state)), numpy_state
    else:
        state = random.Random(seed)
        make, save = (lambda: python_step(state)), python_state
    rows = []
    for _ in range(steps):
        step, data = make()
        rows.append({**step, "bytes": fnv(data), "state": fnv(save(state))})
    return {"generator": generator, "seed": str(seed), "steps": rows}


SEEDS = [0, 1, 2, 42, 1234, 2**31 - 1, 2**32 - 1]
sequences = []
for seed in SEEDS + [2**32, 2**63, 2**64 - 1]:
    sequences.append(sequence("torch", seed, 24))
for seed in SEEDS[:4]:
    sequences.append(sequence("initializers", seed, 24))
for seed in SEEDS:
    sequences.append(sequence("numpy", seed, 16))
for seed in SEEDS + [2**32, 2**32 + 5, 2**63, 2**64 - 1, -1, -42, -(2**63)]:
    sequences.append(sequence("python", seed, 12))
text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in sequences)
Path(__file__).with_name("seeds.json").write_text(f"[\n{text}\n]\n")
