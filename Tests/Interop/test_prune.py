"""Pruning gives what torch.nn.utils.prune gives, whatever the file."""

import copy
import math
from pathlib import Path

import nets
import pytest
import timm_nets
import torch
import torchvision
from helpers import FIXTURES, fails, load, mutils, report, same_bits, succeeds
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import prune as torch_prune

torch_utils = nets.import_yolov5().utils.torch_utils


def resnet(seed=0, **options):
    """A ResNet of bottlenecks like resnet101, but thin."""
    torch.manual_seed(seed)
    block = torchvision.models.resnet.Bottleneck
    model = torchvision.models.resnet.ResNet(block, [1, 1, 2, 1], num_classes=10, width_per_group=16, **options)
    return nets.lively(model, seed).eval()


def tiny(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ConvTranspose2d(8, 4, 2),
        nn.Conv2d(4, 5, 1, bias=False),
        nn.Flatten(),
        nn.Linear(5, 3),
        nn.Conv1d(2, 2, 3),
    )


def originally(model, prune):
    """A copy on which `prune(module)` was called for every Conv2d and made permanent."""
    model = copy.deepcopy(model)
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            prune(m)
            torch_prune.remove(m, "weight")
    return model


def l1(amount):
    return lambda m: torch_prune.l1_unstructured(m, "weight", amount)


def assert_pruned_alike(before, theirs, ours, touched=None):
    """Equal in value; where they differ, only which of several equal magnitudes was taken. Pruned zeros are +0."""
    assert set(before) == set(ours) == set(theirs)
    for name in before:
        a, b, original = ours[name], theirs[name], before[name]
        assert a.dtype == original.dtype and a.shape == original.shape
        if touched is not None and name not in touched:
            assert same_bits(a, original), f"{name} was touched"
            continue
        differ = a != b
        if differ.any():
            tied = original[differ].abs().float()
            assert int((a == 0).sum()) == int((b == 0).sum()), name
            assert tied.max() == tied.min(), f"{name}: not a tie"
        zeroed = (a == 0) & (original != 0)
        assert not torch.signbit(a[zeroed].float()).any(), f"{name}: a pruned zero is negative"
        kept = ~zeroed
        assert torch.equal(a[kept], original[kept]), f"{name}: a kept value changed"


def conv_weights(model):
    return {
        f"{n}.weight".lstrip(".") for n, m in model.named_modules(remove_duplicate=False) if isinstance(m, nn.Conv2d)
    }


def check(model, tmp_path, prune, *arguments, **saving):
    """Prunes a whole-module file and compares; returns the report."""
    torch.save(model, tmp_path / "in.pt", **saving)
    result = report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", *arguments)
    ours = load(tmp_path / "out.pt")
    theirs = originally(model, prune)
    assert_pruned_alike(model.state_dict(), theirs.state_dict(), ours.state_dict(), conv_weights(model))
    assert result["sparsity"] == pytest.approx(nets.sparsity(theirs), abs=1e-7)
    for (name, p), (_, q) in zip(model.named_parameters(), ours.named_parameters(), strict=True):
        assert p.requires_grad == q.requires_grad, name
    return result


@pytest.mark.parametrize("name", ["bit same", "tf efficientnet", "nfnet"])
def test_convolutions_of_timm(name, tmp_path):
    """Classes derived from Conv2d, whatever they do with their weights when they run."""
    check(timm_nets.build(name).eval(), tmp_path, l1(0.3), "--amount", "0.3")


# --- amounts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, amount",
    [
        ("0.3", 0.3),
        ("30%", 0.3),
        ("0.5", 0.5),
        ("0", 0),
        ("0.0", 0.0),
        ("1", 1),
        ("7", 7),
        ("20", 20),
        ("1.0", 1.0),
        ("100%", 1.0),
        ("0.333", 0.333),
        ("12.5%", 0.125),
        ("1e-3", 0.001),
        ("0.999", 0.999),
    ],
)
def test_amounts(text, amount, tmp_path):
    """A number without a point is a count per layer, 0.3 and 30% are shares; 1.0 is all, 1 is one weight."""
    check(tiny(), tmp_path, l1(amount), "--amount", text)


def test_default_amount(tmp_path):
    check(tiny(), tmp_path, l1(0.3))


@pytest.mark.parametrize("n", range(1, 12))
def test_half_of_an_odd_count(n, tmp_path):
    """round-half-to-even: half of 1, 3, 5, 7 weights is 0, 2, 2, 4."""
    model = nn.Sequential(nn.Conv2d(1, n, 1))
    check(model, tmp_path, l1(0.5), "--amount", "0.5")
    zeros = int((load(tmp_path / "out.pt")[0].weight == 0).sum())
    assert zeros == round(0.5 * n)


@pytest.mark.parametrize("amount", ["-0.1", "1.1", "-1", "101%", "some", "nan"])
def test_impossible_amounts(amount, tmp_path):
    torch.save(tiny(), tmp_path / "in.pt")
    result = mutils("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", f"--amount={amount}")
    assert result.code in (1, 64) and result.err and not (tmp_path / "out.pt").exists()


def test_more_than_there_are(tmp_path):
    """A count above a layer's weights is an error, as it is for PyTorch."""
    torch.save(tiny(), tmp_path / "in.pt")
    fails("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "21", naming="in.pt")
    assert not (tmp_path / "out.pt").exists()


# --- models and formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("saving", [{}, dict(_use_new_zipfile_serialization=False), dict(pickle_protocol=4)])
def test_resnet(saving, tmp_path):
    check(resnet(), tmp_path, l1(0.3), "--amount", "0.3", **saving)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0", "densenet121"])
def test_torchvision(name, tmp_path):
    torch.manual_seed(0)
    check(getattr(torchvision.models, name)(num_classes=10), tmp_path, l1(0.3), "--amount", "0.3")


def test_yolov5(tmp_path):
    """YOLOv5's own prune and sparsity: 0.299 for yolov5s at 0.3."""
    yolo = nets.import_yolov5().models.yolo
    model = yolo.DetectionModel(Path(yolo.__file__).with_name("yolov5s.yaml"))
    nets.lively(model)  # fresh norms have biases of 0, which count
    torch.save(model, tmp_path / "in.pt")
    text = succeeds("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "0.3").out
    assert "Pruned to 0.299 global sparsity" in text
    theirs = copy.deepcopy(model)
    torch_utils.prune(theirs, 0.3)
    ours = load(tmp_path / "out.pt")
    assert_pruned_alike(model.state_dict(), theirs.state_dict(), ours.state_dict(), conv_weights(model))
    stats = report("sparsity", tmp_path / "out.pt")
    assert stats["elements"] == 7235389 and stats["zeros"] == sum(int((p == 0).sum()) for p in theirs.parameters())
    assert stats["sparsity"] == pytest.approx(float(torch_utils.sparsity(theirs)), abs=1e-6)


def test_training_checkpoint(tmp_path):
    """Both models are pruned, the optimizer and the rest stay; the report speaks of the average."""
    nets.import_yolov5()
    path = FIXTURES / "training_checkpoint.pt"
    result = report("prune", path, "-o", tmp_path / "out.pt", "--amount", "0.4")
    before, after = load(path), load(tmp_path / "out.pt")
    assert list(before) == list(after)
    assert after["optimizer"] is not None and after["updates"] == before["updates"]
    for key in ("model", "ema"):
        theirs = nets.pruned(before[key], 0.4)
        touched = conv_weights(before[key])
        assert_pruned_alike(before[key].state_dict(), theirs.state_dict(), after[key].state_dict(), touched)
    assert result["sparsity"] == pytest.approx(nets.sparsity(after["ema"]), abs=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("extension", ["pt", "safetensors"])
def test_state_dicts(extension, dtype, tmp_path):
    """A bare state dict: every 4-D weight is pruned, in its own dtype."""
    model = resnet().to(dtype)
    state = dict(model.state_dict())
    source, target = tmp_path / f"in.{extension}", tmp_path / f"out.{extension}"
    save_file(state, source) if extension == "safetensors" else torch.save(state, source)
    report("prune", source, "-o", target, "--amount", "0.3")
    ours = load_file(target) if extension == "safetensors" else torch.load(target, weights_only=True)
    theirs = originally(model, l1(0.3)).state_dict()
    assert_pruned_alike(state, theirs, ours, conv_weights(model))


def test_between_formats(tmp_path):
    """A whole-module file becomes a safetensors file of its state dict, or with --state-dict a .pt of it."""
    model = resnet()
    torch.save(model, tmp_path / "in.pt")
    theirs = originally(model, l1(0.3)).state_dict()
    for arguments in (("out.safetensors",), ("out.pt", "--state-dict")):
        report("prune", tmp_path / "in.pt", "-o", tmp_path / arguments[0], *arguments[1:])
    assert_pruned_alike(model.state_dict(), theirs, load_file(tmp_path / "out.safetensors"), conv_weights(model))
    assert_pruned_alike(
        model.state_dict(), theirs, torch.load(tmp_path / "out.pt", weights_only=True), conv_weights(model)
    )


def test_shared_conv(tmp_path):
    """A conv that occurs twice is pruned once."""
    conv = nn.Conv2d(4, 4, 3, padding=1)
    model = nn.Sequential(conv, nn.ReLU(), conv)
    result = check(model, tmp_path, l1(0.5), "--amount", "0.5")
    assert len(result["layers"]) == 1
    loaded = load(tmp_path / "out.pt")
    assert loaded[0] is loaded[2]


def test_channels_last(tmp_path):
    """The order in memory does not matter. (PyTorch's own prune fails on such weights.)"""
    model = resnet()
    theirs = originally(model, l1(0.3)).state_dict()
    torch.save(model.to(memory_format=torch.channels_last), tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "0.3")
    ours = load(tmp_path / "out.pt")
    assert_pruned_alike(model.state_dict(), theirs, ours.state_dict(), conv_weights(model))
    assert ours.layer1[0].conv2.weight.is_contiguous(memory_format=torch.channels_last)


def test_nan_and_infinity(tmp_path):
    """NaN sorts greatest: it is the last to go, and a pruned one becomes 0."""
    model = nn.Sequential(nn.Conv2d(1, 8, 1))
    with torch.no_grad():
        model[0].weight.copy_(
            torch.tensor([1.0, -2.0, math.nan, math.inf, -0.5, 0.25, -math.inf, 3.0]).view(8, 1, 1, 1)
        )
    torch.save(model, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "five.pt", "--amount", "5")
    five = load(tmp_path / "five.pt")[0].weight.flatten()
    assert five.isnan().tolist() == [False, False, True] + [False] * 5
    assert five.isinf().tolist() == [False, False, False, True, False, False, True, False]
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "all.pt", "--amount", "1.0")
    assert load(tmp_path / "all.pt")[0].weight.flatten().tolist() == [0.0] * 8


def test_ties_go_to_the_lowest_index(tmp_path):
    """Among equal magnitudes the first in memory order of the indices goes (PyTorch leaves this open)."""
    model = nn.Sequential(nn.Conv2d(1, 9, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([2.0, -1, 1, -1, 1, 1, -2, 1, -1]).view(9, 1, 1, 1))
    torch.save(model, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--amount", "3")
    assert load(tmp_path / "out.pt")[0].weight.flatten().tolist() == [2, 0, 0, 0, 1, 1, -2, 1, -1]


def test_pruning_again(tmp_path):
    """The zeros that are there count as the smallest: the same share again changes nothing."""
    torch.save(resnet(), tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "one.pt", "--amount", "0.3")
    report("prune", tmp_path / "one.pt", "-o", tmp_path / "two.pt", "--amount", "0.3")
    a, b = load(tmp_path / "one.pt").state_dict(), load(tmp_path / "two.pt").state_dict()
    assert all(same_bits(a[k], b[k]) for k in a)


def test_layers_in_the_report(tmp_path):
    model = resnet()
    result = check(model, tmp_path, l1(0.3), "--amount", "0.3")
    ours = load(tmp_path / "out.pt")
    expected = {n: m.weight for n, m in ours.named_modules() if isinstance(m, nn.Conv2d)}
    assert [layer["name"].removesuffix(".weight") for layer in result["layers"]] == list(expected)
    for layer, weight in zip(result["layers"], expected.values()):
        assert (layer["elements"], layer["zeros"]) == (weight.numel(), int((weight == 0).sum()))


# --- methods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("norm", ["1", "2", "inf"])
@pytest.mark.parametrize("amount", ["0.5", "2"])
def test_structured(dim, norm, amount, tmp_path):
    """The slices with the lowest norms go, whole channels at a time."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(6, 7, 3), nn.ReLU(), nn.Conv2d(7, 5, 3), nn.Conv2d(5, 4, (1, 2)))
    value = float(amount) if "." in amount else int(amount)
    theirs = lambda m: torch_prune.ln_structured(m, "weight", value, n=float(norm), dim=dim)
    check(model, tmp_path, theirs, "--method", "ln", "--dim", dim, "--norm", norm, "--amount", amount)


@pytest.mark.parametrize("amount", ["0.3", "1000", "0.95"])
def test_global(amount, tmp_path):
    """One threshold over all convs together."""
    model = resnet()
    torch.save(model, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--method", "global", "--amount", amount)
    theirs = copy.deepcopy(model)
    convs = [(m, "weight") for m in theirs.modules() if isinstance(m, nn.Conv2d)]
    value = float(amount) if "." in amount else int(amount)
    torch_prune.global_unstructured(convs, torch_prune.L1Unstructured, amount=value)
    for m, _ in convs:
        torch_prune.remove(m, "weight")
    assert_pruned_alike(
        model.state_dict(), theirs.state_dict(), load(tmp_path / "out.pt").state_dict(), conv_weights(model)
    )


@pytest.mark.parametrize("seed", [0, 1, 123456])
def test_random(seed, tmp_path):
    """The same weights go as after torch.manual_seed(seed), layer after layer."""
    model = tiny()
    torch.save(model, tmp_path / "in.pt")
    arguments = ("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--method", "random", "--seed", seed, "--json")
    result = mutils(*arguments)
    if result.code == 64:
        pytest.skip("this build has no random method")
    assert result.code == 0, result.err
    torch.manual_seed(seed)
    theirs = originally(model, lambda m: torch_prune.random_unstructured(m, "weight", 0.3))
    for name, value in theirs.state_dict().items():
        assert torch.equal(load(tmp_path / "out.pt").state_dict()[name], value), name


@pytest.mark.parametrize("n, m", [(2, 4), (1, 4), (1, 2), (4, 8)])
def test_pattern(n, m, tmp_path):
    """N of every M consecutive input channels stay, the largest, at each output channel and kernel position."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Conv2d(16, 4, 1, groups=2))
    torch.save(model, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--pattern", f"{n}:{m}")
    for before, after in zip(model, load(tmp_path / "out.pt")):
        if isinstance(before, nn.Conv2d):
            w = before.weight.detach().movedim(1, -1)
            groups = w.reshape(-1, m)
            keep = groups.abs().topk(n, dim=1).indices
            mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, keep, True)
            expected = (groups * mask).view_as(w).movedim(-1, 1)
            assert torch.equal(after.weight, expected)


def test_include_and_exclude(tmp_path):
    """Only what is included and not excluded is touched."""
    model = resnet()
    torch.save(model, tmp_path / "in.pt")
    arguments = ("--include", "layer1.*", "--include", "layer3.*", "--exclude", "*conv2*", "--amount", "0.5")
    result = report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", *arguments)
    chosen = lambda n: n.startswith(("layer1.", "layer3.")) and "conv2" not in n
    theirs = copy.deepcopy(model)
    for name, m in theirs.named_modules():
        if isinstance(m, nn.Conv2d) and chosen(name):
            torch_prune.l1_unstructured(m, "weight", 0.5)
            torch_prune.remove(m, "weight")
    touched = {n for n in conv_weights(model) if chosen(n)}
    assert_pruned_alike(model.state_dict(), theirs.state_dict(), load(tmp_path / "out.pt").state_dict(), touched)
    assert {layer["name"].removesuffix(".weight") + ".weight" for layer in result["layers"]} == touched


# --- sparsity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet", "tiny"])
def test_sparsity(name, tmp_path):
    """Zeros over elements of parameters: negative zeros count, buffers do not, a shared parameter counts once."""
    model = {"resnet": resnet, "tiny": tiny}[name]()
    with torch.no_grad():
        for p in model.parameters():
            p[torch.rand(p.shape) < 0.2] = -0.0
    torch.save(model, tmp_path / "in.pt")
    result = report("sparsity", tmp_path / "in.pt")
    assert result["sparsity"] == pytest.approx(float(torch_utils.sparsity(model)), abs=1e-6)
    assert result["elements"] == sum(p.numel() for p in model.parameters())
    assert result["zeros"] == sum(int((p == 0).sum()) for p in model.parameters())
