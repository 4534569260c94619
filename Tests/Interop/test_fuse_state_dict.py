"""Bare state dicts: they hold no forward and no eps, so both have to be said."""

import copy

import nets
import pytest
import torch
import torchvision
from helpers import assert_same_outputs, close, fails, mutils, outputs, report, reported_pairs, same_bits
from safetensors.torch import load_file, save_file

PAIRS = [
    "--pair",
    "layer*.conv1=layer*.bn1",
    "--pair",
    "layer*.conv2=layer*.bn2",
    "--pair",
    "layer*.conv3=layer*.bn3",
    "--pair",
    "conv1=bn1",
    "--pair",
    "layer*.downsample.0=layer*.downsample.1",
]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(7)
    block = torchvision.models.resnet.Bottleneck
    return nets.lively(
        torchvision.models.resnet.ResNet(block, [2, 1, 1, 1], num_classes=10, width_per_group=16), 7
    ).eval()


def all_pairs(model):
    return {
        (n.replace("bn", "conv"), n) if "bn" in n else (n.replace("downsample.1", "downsample.0"), n)
        for n, m in model.named_modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    }


def write(state, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)


def read(path):
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


def check(before, after, model, pairs, tolerance=1e-5):
    folded = nets.fused_pairs(model, sorted(pairs))
    gone = tuple(f"{bn}." for _, bn in pairs)
    assert set(after) == {n for n in before if not n.startswith(gone)} | set(folded)
    for name, tensor in after.items():
        if name in folded:
            assert tensor.dtype == before[name.rsplit(".", 1)[0] + ".weight"].dtype
            assert close(tensor, folded[name], tolerance), name
        else:
            assert same_bits(tensor, before[name]), name


@pytest.mark.parametrize("file", ["in.safetensors", "in.pth"])
def test_pairs_and_eps(file, model, tmp_path):
    """What the patterns say is fused, as folding with this eps gives."""
    state = dict(model.state_dict())
    write(state, tmp_path / file)
    out = tmp_path / f"out{(tmp_path / file).suffix}"
    result = report("fuse", tmp_path / file, "-o", out, *PAIRS, "--eps", "1e-5")
    assert reported_pairs(result) == all_pairs(model)
    check(state, read(out), model, all_pairs(model))

    plain = torchvision.models.resnet.ResNet(
        torchvision.models.resnet.Bottleneck, [2, 1, 1, 1], num_classes=10, width_per_group=16
    )
    for name, m in list(plain.named_modules()):
        if isinstance(m, torch.nn.BatchNorm2d):
            plain.set_submodule(name, torch.nn.Identity())
        elif isinstance(m, torch.nn.Conv2d):
            m.bias = torch.nn.Parameter(torch.zeros(m.out_channels))
    plain.load_state_dict(read(out))
    x = torch.randn(1, 3, 64, 64)
    assert_same_outputs(outputs(model, x), outputs(plain.eval(), x))


def test_some_pairs_only(model, tmp_path):
    state = dict(model.state_dict())
    save_file(state, tmp_path / "in.safetensors")
    result = report(
        "fuse",
        tmp_path / "in.safetensors",
        "-o",
        tmp_path / "out.safetensors",
        "--pair",
        "layer2.*.conv2=layer2.*.bn2",
        "--eps",
        "1e-5",
    )
    assert reported_pairs(result) == {("layer2.0.conv2", "layer2.0.bn2")}
    check(state, load_file(tmp_path / "out.safetensors"), model, reported_pairs(result))


@pytest.mark.parametrize("eps", ["1e-3", "0.1", "0"])
def test_another_eps(eps, model, tmp_path):
    state = dict(model.state_dict())
    save_file(state, tmp_path / "in.safetensors")
    report("fuse", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors", "--pair", "conv1=bn1", "--eps", eps)
    kept, model.bn1.eps = model.bn1.eps, float(eps)
    try:
        check(state, load_file(tmp_path / "out.safetensors"), model, {("conv1", "bn1")})
    finally:
        model.bn1.eps = kept


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype, model, tmp_path):
    """Folded in float32 (float64 in float64) and rounded once."""
    other = copy.deepcopy(model).to(dtype)
    state = dict(other.state_dict())
    save_file(state, tmp_path / "in.safetensors")
    report("fuse", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors", *PAIRS, "--eps", "1e-5")
    tolerance = {torch.float16: 6e-4, torch.bfloat16: 5e-3, torch.float64: 1e-6}[dtype]
    check(state, load_file(tmp_path / "out.safetensors"), other, all_pairs(model), tolerance)


@pytest.mark.parametrize("file", ["in.safetensors", "in.pth"])
def test_without_pairs(file, model, tmp_path):
    """Without --pair fuse refuses in one line, and writes nothing: names prove nothing."""
    state = {f"encoder.{k}": v for k, v in model.state_dict().items()}  # no architecture anybody knows
    write(state, tmp_path / file)
    result = fails("fuse", tmp_path / file, "-o", tmp_path / f"out{(tmp_path / file).suffix}", naming=file)
    assert "--pair" in result.err
    assert [p.name for p in tmp_path.iterdir()] == [file]


def test_without_eps(model, tmp_path):
    """eps is not in a state dict: without it fuse refuses."""
    save_file({f"encoder.{k}": v for k, v in model.state_dict().items()}, tmp_path / "in.safetensors")
    result = fails(
        "fuse",
        tmp_path / "in.safetensors",
        "-o",
        tmp_path / "out.safetensors",
        "--pair",
        "encoder.conv1=encoder.bn1",
        naming="in.safetensors",
    )
    assert "eps" in result.err


@pytest.mark.parametrize(
    "pair", ["nothing=bn1", "conv1=nothing", "conv1=conv1", "bn1=conv1", "conv1=layer1.0.bn3", "layer*.conv1=bn1"]
)
def test_pairs_that_do_not_fit(pair, model, tmp_path):
    """A pattern that matches nothing, channels that differ, two convs for one norm: nothing is written."""
    state = dict(model.state_dict())
    save_file(state, tmp_path / "in.safetensors")
    result = mutils(
        "fuse", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors", "--pair", pair, "--eps", "1e-5"
    )
    assert result.code == 1 and result.err.startswith("mutils: error: ")
    assert not (tmp_path / "out.safetensors").exists()


def test_data_parallel_prefix(model, tmp_path):
    """`module.` falls off when every key bears it; --keep-prefix keeps it."""
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    torch.save(state, tmp_path / "in.pth")
    report("fuse", tmp_path / "in.pth", "-o", tmp_path / "out.pth", *PAIRS, "--eps", "1e-5")
    check(dict(model.state_dict()), read(tmp_path / "out.pth"), model, all_pairs(model))
    pairs = [
        p.replace("layer*", "module.layer*").replace("conv1=bn1", "module.conv1=module.bn1") for p in ("conv1=bn1",)
    ]
    report("fuse", tmp_path / "in.pth", "-o", tmp_path / "kept.pth", "--pair", *pairs, "--eps", "1e-5", "--keep-prefix")
    kept = read(tmp_path / "kept.pth")
    assert all(k.startswith("module.") for k in kept) and "module.conv1.bias" in kept
