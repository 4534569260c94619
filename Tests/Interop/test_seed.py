"""`mutils seed` against torch, NumPy and random, in one process each, for seeds and shapes that nobody chose."""

import math
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers import fails, report, succeeds

SEEDS = range(8)
FLOATS = ["float64", "float32", "float16", "bfloat16"]
INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"]


def case(seed):
    """A chooser, a seed of the generators, a shape."""
    chooser = random.Random(f"seed {seed}")
    value = chooser.choice([seed, chooser.randrange(2**32)])
    shape = [chooser.randrange(1, 40) for _ in range(chooser.randrange(1, 4))]
    if chooser.random() < 0.2:
        shape = [chooser.choice([0, 1, 15, 16, 17, 31, 623, 624, 625])]
    return chooser, value, shape


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)


def torch_draws(tmp_path, value, shape, *arguments):
    """The tensor by way of a file, whose bits count, and of JSON, whose values do."""
    options = ["--seed", value, "--shape", "x".join(map(str, shape)), *arguments]
    path = tmp_path / "draws.safetensors"
    answer = report("seed", *options, "-o", path, "--force")
    tensor = load_file(path)["values"]
    assert answer["shape"] == list(tensor.shape)
    assert answer["values"] == tensor.reshape(-1).tolist()
    return tensor


def same(tensor, original):
    assert tensor.dtype == original.dtype and tensor.shape == original.shape
    different = int((bits(tensor) != bits(original)).sum())
    assert different == 0, f"{different} bytes of {tensor.numel()} numbers"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_torch_uniform(tmp_path, seed, dtype):
    chooser, value, shape = case(seed)
    low, high = sorted(chooser.uniform(-5, 5) for _ in range(2))
    tensor = torch_draws(tmp_path, value, shape, "--dtype", dtype, "--low", repr(low), "--high", repr(high))
    torch.manual_seed(value)
    same(tensor, torch.empty(shape, dtype=getattr(torch, dtype)).uniform_(low, high))
    tensor = torch_draws(tmp_path, value, shape, "--dtype", dtype)
    torch.manual_seed(value)
    same(tensor, torch.rand(shape, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_torch_normal(tmp_path, seed, dtype):
    chooser, value, shape = case(seed)
    mean, std = chooser.uniform(-5, 5), chooser.uniform(0, 3)
    options = ["--distribution", "normal", "--dtype", dtype]
    tensor = torch_draws(tmp_path, value, shape, *options, "--mean", repr(mean), "--std", repr(std))
    torch.manual_seed(value)
    same(tensor, torch.empty(shape, dtype=getattr(torch, dtype)).normal_(mean, std))
    tensor = torch_draws(tmp_path, value, shape, *options)
    torch.manual_seed(value)
    same(tensor, torch.randn(shape, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_torch_integers(tmp_path, seed, dtype):
    chooser, value, shape = case(seed)
    if dtype in FLOATS:
        low, high = chooser.randrange(-256, 0), chooser.randrange(1, 257)
    else:
        kind = np.iinfo(dtype)
        highest = min(kind.max, 2**63 - 2)
        low = chooser.randint(kind.min, highest)
        high = min(highest + 1, low + 1 + chooser.randrange(2 ** chooser.randrange(1, 64)))
    tensor = torch_draws(
        tmp_path, value, shape, "--distribution", "integers", "--dtype", dtype, "--low", low, "--high", high)
    torch.manual_seed(value)
    same(tensor, torch.randint(low, high, shape, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize("seed", SEEDS)
def test_torch_permutation(tmp_path, seed):
    chooser, value, shape = case(seed)
    tensor = torch_draws(tmp_path, value, [math.prod(shape)], "--distribution", "permutation")
    torch.manual_seed(value)
    same(tensor, torch.randperm(math.prod(shape)))


def is_mkl():
    """Whether bernoulli_(p) is drawn by MKL, which torch uses on Intel's processors."""
    torch.manual_seed(0)
    return torch.empty(64).bernoulli_(0.5).tolist() != [
        float(u < 0.5) for u in np.random.RandomState(0).randint(0, 2**32, 128, dtype=np.uint64).reshape(64, 2) @ [
            2**32, 1] % 2**53 / 2**53]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", FLOATS + ["int64", "uint8"])
def test_torch_bernoulli(tmp_path, seed, dtype):
    if is_mkl():
        pytest.skip("torch draws by MKL here")
    chooser, value, shape = case(seed)
    p = chooser.choice([0.0, 1.0, chooser.random()])
    tensor = torch_draws(tmp_path, value, shape, "--distribution", "bernoulli", "--p", repr(p), "--dtype", dtype)
    torch.manual_seed(value)
    same(tensor, torch.empty(shape, dtype=getattr(torch, dtype)).bernoulli_(p))


@pytest.mark.parametrize("value", [-1, -5, -(2**63), 2**63, 2**64 - 1])
def test_torch_seeds(tmp_path, value):
    tensor = torch_draws(tmp_path, value, [40], "--distribution", "normal")
    torch.manual_seed(value)
    same(tensor, torch.randn(40))


def test_a_large_fill(tmp_path):
    """As many as a classifier's last layers, through every refill and block."""
    path = tmp_path / "large.safetensors"
    succeeds("seed", "--seed", 1, "--distribution", "normal", "--shape", "3000003", "-o", path)
    torch.manual_seed(1)
    same(load_file(path)["values"], torch.randn(3000003))


def numpy_draws(value, count, *arguments):
    answer = report("seed", "--generator", "numpy", "--seed", value, "--shape", count, *arguments)
    assert answer["shape"] == [count]
    return answer["values"]


@pytest.mark.parametrize("seed", SEEDS)
def test_numpy(seed):
    chooser, value, shape = case(seed)
    count = math.prod(shape)
    low, high = sorted(chooser.uniform(-5, 5) for _ in range(2))
    state = np.random.RandomState
    assert numpy_draws(value, count) == state(value).rand(count).tolist()
    bounds = ["--low", repr(low), "--high", repr(high)]
    assert numpy_draws(value, count, *bounds) == state(value).uniform(low, high, count).tolist()
    assert numpy_draws(value, count, "--distribution", "normal") == state(value).randn(count).tolist()
    moments = ["--mean", repr(low), "--std", repr(high - low)]
    drawn = numpy_draws(value, count, "--distribution", "normal", *moments)
    assert drawn == state(value).normal(low, high - low, count).tolist()
    assert numpy_draws(value, count, "--distribution", "permutation") == state(value).permutation(count).tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", INTEGERS + ["bool"])
def test_numpy_integers(seed, dtype):
    chooser, value, shape = case(seed)
    if dtype == "bool":
        low, high = chooser.choice([(0, 1), (0, 2), (1, 2)])
    else:
        kind = np.iinfo(dtype)
        highest = min(kind.max, 2**63 - 2)
        low = chooser.choice([kind.min, chooser.randint(kind.min, highest)])
        high = chooser.choice([highest, min(highest, low + chooser.randrange(2 ** chooser.randrange(1, 64)))]) + 1
    count = math.prod(shape)
    drawn = numpy_draws(
        value, count, "--distribution", "integers", "--dtype", dtype, "--low", low, "--high", high)
    assert drawn == np.random.RandomState(value).randint(low, high, count, dtype=dtype).tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("negative", [False, True])
def test_python(seed, negative):
    chooser, value, shape = case(seed)
    value = -value if negative else value + chooser.choice([0, 2**32, 2**40])
    count = math.prod(shape)

    def draws(*arguments):
        answer = report("seed", "--generator", "python", "--seed", value, "--shape", count, *arguments)
        return answer["values"]

    low, high = sorted(chooser.uniform(-5, 5) for _ in range(2))
    original = random.Random(value)
    assert draws() == [original.random() for _ in range(count)]
    original = random.Random(value)
    assert draws("--low", repr(low), "--high", repr(high)) == [original.uniform(low, high) for _ in range(count)]
    original = random.Random(value)
    drawn = draws("--distribution", "normal", "--mean", repr(low), "--std", repr(high - low))
    assert drawn == [original.gauss(low, high - low) for _ in range(count)]
    numbers = list(range(count))
    random.Random(value).shuffle(numbers)
    assert draws("--distribution", "permutation") == numbers
    low = chooser.randrange(-(2**40), 2**40)
    high = low + 1 + chooser.randrange(2 ** chooser.randrange(1, 62))
    original = random.Random(value)
    drawn = draws("--distribution", "integers", "--low", low, "--high", high)
    assert drawn == [original.randrange(low, high) for _ in range(count)]


def test_human_rows():
    torch.manual_seed(3)
    rows = succeeds("seed", "--seed", 3, "--shape", "4x5").out.splitlines()
    assert [[np.float32(x) for x in row.split()] for row in rows] == torch.rand(4, 5).tolist()


def test_pt_output(tmp_path):
    path = tmp_path / "draws.pt"
    succeeds("seed", "--distribution", "normal", "--shape", "7x3", "--dtype", "bfloat16", "-o", path)
    torch.manual_seed(0)
    same(torch.load(path, weights_only=True)["values"], torch.randn(7, 3, dtype=torch.bfloat16))


@pytest.mark.parametrize("options, word", [
    (["--generator", "numpy", "--distribution", "bernoulli"], "bernoulli"),
    (["--generator", "python", "--distribution", "bernoulli"], "bernoulli"),
    (["--generator", "numpy", "--dtype", "float32"], "float64"),
    (["--generator", "python", "--distribution", "integers", "--dtype", "int8"], "int64"),
    (["--generator", "numpy", "--seed", "-1"], "seed"),
    (["--generator", "numpy", "--seed", str(2**32)], "seed"),
    (["--dtype", "int8"], "int8"),
    (["--dtype", "float16", "--high", "1e6"], "float16"),
    (["--low", "1", "--high", "0"], "empty"),
    (["--distribution", "integers", "--low", "5", "--high", "5"], "empty"),
    (["--distribution", "integers", "--high", "300", "--dtype", "uint8"], "uint8"),
    (["--shape", "100000x100000"], "numbers"),
    (["--shape", "4611686018427387904x4"], "numbers"),
])
def test_refusals(options, word):
    fails("seed", *options, naming=word)


def test_memory(tmp_path):
    for distribution in ["uniform", "permutation", "integers"]:
        for generator in ["torch", "numpy", "python"]:
            result = fails(
                "seed", "--generator", generator, "--distribution", distribution, "--shape", 2**50, "-o",
                tmp_path / "never.pt", naming="memory")
            assert result.peak < 200 << 20
    assert not (tmp_path / "never.pt").exists()
