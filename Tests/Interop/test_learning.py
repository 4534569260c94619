"""Steps of training are torch's: many in double precision, single ones of real networks in float32, a run to its end."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from helpers import REHEARSE, report, succeeds
from output_judges import quiet
from safetensors.torch import save_file
from test_train import inputs
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.mobilenetv3 import InvertedResidual as SqueezedResidual
from torchvision.models.mobilenetv3 import InvertedResidualConfig
from torchvision.models.resnet import BasicBlock
from torchvision.ops import Conv2dNormActivation

CLASSES = 5


@pytest.fixture(autouse=True)
def one_thread():
    """Small steps: torch's threads would wait for each other, above all on a busy machine."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


# --- many steps -------------------------------------------------------------------------------------------------


def groups_of(model, weight_decay, lr):
    """Weights, with decay; norms and biases, without, the latter at another rate."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    scales = {id(m.weight) for m in norms}
    named = dict(model.named_parameters())
    biases = [n for n in named if n.endswith("bias")]
    chosen = [
        ([n for n in named if n not in biases and id(named[n]) not in scales], {"weight_decay": weight_decay}),
        ([n for n in named if id(named[n]) in scales], {"weight_decay": 0.0}),
        (biases, {"weight_decay": 0.0, "lr": 2 * lr}),
    ]
    return [names for names, _ in chosen], [
        {"params": [named[n] for n in names], **options} for names, options in chosen]


def save_state(model, optimizer, groups, path):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "groups": groups}, path)


def torch_step(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def our_steps(folder, rule, batches, precision):
    """From `state.pt`, of a network like that of `model.pt`."""
    tensors = {f"{i:03}.input": x for i, (x, _) in enumerate(batches)}
    save_file(tensors | {f"{i:03}.labels": y for i, (_, y) in enumerate(batches)}, folder / "batches.safetensors")
    names = ("model.pt", "state.pt", "batches.safetensors", "out.pt")
    succeeds("learn", *[folder / name for name in names], rule, precision, program=REHEARSE, timeout=300)
    return torch.load(folder / "out.pt", weights_only=True)


RULES = {
    "SGD": (0.05, partial(torch.optim.SGD, momentum=0.9, nesterov=True)),
    "AdamW": (0.002, torch.optim.AdamW),
    "RMSprop": (0.001, partial(torch.optim.RMSprop, momentum=0.9)),
}


def residual():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6, momentum=0.03, eps=1e-3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
        BasicBlock(6, 6),
        BasicBlock(6, 8, stride=2, downsample=nn.Sequential(nn.Conv2d(6, 8, 1, 2, bias=False), nn.BatchNorm2d(8))),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(8, CLASSES),
    )


def depthwise():
    return nn.Sequential(
        Conv2dNormActivation(3, 8, 3, stride=2, activation_layer=nn.SiLU),
        InvertedResidual(8, 8, stride=1, expand_ratio=2),
        # Straight in front of a convolution with a norm, the last norm's shift would have no gradient.
        nn.SiLU(),
        # Channels, kernel, expanded and given channels, squeezing, activation, stride, dilation, width.
        SqueezedResidual(InvertedResidualConfig(8, 5, 16, 8, True, "HS", 2, 1, 1.0), nn.BatchNorm2d),
        Conv2dNormActivation(8, 8, 3, groups=8, activation_layer=nn.SiLU),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(8, 6),
        nn.Hardswish(),
        nn.Linear(6, CLASSES),
    )


def double_batches(count, size, steps):
    generator = torch.Generator().manual_seed(3)
    labels = [torch.randint(0, CLASSES, (count,), generator=generator) for _ in range(steps)]
    return [
        (torch.randn(count, 3, size, size, dtype=torch.float64, generator=generator) + y.view(-1, 1, 1, 1) / 4, y)
        for y in labels
    ]


@pytest.fixture
def exact_sixths(monkeypatch):
    """torch's gradient of hardsigmoid is float32's sixth in double too; that of its parts is exact."""
    monkeypatch.setattr(nn.functional, "hardsigmoid", lambda x, inplace=False: (x + 3).clamp(0, 6) / 6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("make", [residual, depthwise])
def test_twenty_steps_in_double(make, rule, tmp_path, exact_sixths):
    """Nothing but roundings of double stands between the two: losses, weights, statistics, what optimizers keep."""
    torch.manual_seed(2)
    model = make().double().train()
    lr, optimizer = RULES[rule]
    groups, parameters = groups_of(model, 0.01, lr)
    optimizer = optimizer(parameters, lr=lr)
    torch.save(model, tmp_path / "model.pt")
    save_state(model, optimizer, groups, tmp_path / "state.pt")
    first = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    batches = double_batches(4, 17, 17) + double_batches(5, 15, 3)
    expected = [torch_step(model, optimizer, x, y) for x, y in batches]
    ours = our_steps(tmp_path, rule, batches, "double")
    assert len(expected) == len(ours["losses"]) == 20
    for step, (a, b) in enumerate(zip(expected, ours["losses"])):
        assert abs(a - b) <= 1e-9 * abs(a), (step, a, b)
    same_to(1e-9, model.state_dict(), ours["model"])
    theirs = optimizer.state_dict()["state"]
    assert len(theirs) == len(list(model.parameters()))
    for number, state in theirs.items():
        same_to(1e-9, state, ours["optimizer"]["state"][number], number)
    # And it was a way.
    assert all(not torch.equal(first[name], tensor) for name, tensor in model.state_dict().items())


def same_to(tolerance, expected, actual, where=""):
    """Every tensor, relative to its largest element."""
    assert list(expected) == list(actual)
    for name, tensor in expected.items():
        assert tensor.dtype == actual[name].dtype and tensor.shape == actual[name].shape, (where, name)
        distance = (tensor.double() - actual[name].double()).abs().max().item()
        assert distance <= tolerance * tensor.double().abs().max().item(), (where, name, distance)


# --- single steps -----------------------------------------------------------------------------------------------


def network(name):
    torch.manual_seed(4)
    return quiet(getattr(torchvision.models, name)(num_classes=CLASSES)).train()


def pictures(count, size, steps):
    generator = torch.Generator().manual_seed(6)
    labels = [torch.randint(0, CLASSES, (count,), generator=generator) for _ in range(steps)]
    # Coarse pictures, of which each class has its own.
    coarse = torch.randn(CLASSES, 3, 8, 8, generator=generator)
    return [
        (nn.functional.interpolate(coarse[y], size=size) + torch.randn(count, 3, size, size, generator=generator), y)
        for y in labels
    ]


def errors(before, judge, actual):
    """Of each tensor the largest error relative to the largest change, and the error's norm relative to the change's.

    What has no gradient but roundings, such as a shift in front of a norm, changes by nothing that could be compared.
    """
    squares = {name: p.grad.square().mean().item() for name, p in judge.named_parameters()}
    least = 1e-12 * sum(squares.values()) / len(squares)
    state = judge.state_dict()
    found = {}
    for name, tensor in state.items():
        assert tensor.shape == actual[name].shape, name
        if not tensor.is_floating_point():
            assert torch.equal(tensor, actual[name]), name
        elif squares.get(name, 1) > least:
            change, error = tensor - before[name].double(), actual[name].double() - tensor
            scale = change.square().mean().sqrt().item()
            if name.endswith("running_mean"):
                # Where all means are 0, what they are the means of.
                path = name.removesuffix(".running_mean")
                scale = max(scale, judge.get_submodule(path).momentum * state[f"{path}.running_var"].mean().sqrt().item())
            largest = max(scale, change.abs().max().item())
            found[name] = (error.abs().max().item() / largest, error.square().mean().sqrt().item() / scale)
    return found


FORCED = {
    "SGD": (0.02, partial(torch.optim.SGD, momentum=0.9)),
    "AdamW": (0.001, torch.optim.AdamW),
}


@pytest.mark.parametrize(
    "name, rule",
    [
        pytest.param("resnet18", "SGD", marks=pytest.mark.slow),
        pytest.param("resnet18", "AdamW", marks=pytest.mark.slow),
        ("mobilenet_v3_small", "SGD"),
        pytest.param("mobilenet_v3_small", "AdamW", marks=pytest.mark.slow),
        ("efficientnet_b0", "SGD"),
    ],
)
def test_single_steps_in_float(name, rule, tmp_path):
    """Along a run of torch's: what a step makes of its weights, statistics and optimizer is as close to what double
    precision makes of them as torch's own float32 is."""
    model, judge = network(name), network(name).double()
    lr, make = FORCED[rule]
    (groups, parameters), (_, of_judge) = groups_of(model, 1e-3, lr), groups_of(judge, 1e-3, lr)
    optimizer, judging = make(parameters, lr=lr), make(of_judge, lr=lr)
    torch.save(model, tmp_path / "model.pt")
    theirs, ours = [], []
    for x, y in pictures(8, 64, 8):
        save_state(model, optimizer, groups, tmp_path / "state.pt")
        before = {n: t.clone() for n, t in model.state_dict().items()}
        judge.load_state_dict(before)
        # Steps are counted in place.
        judging.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        exact = torch_step(judge, judging, x.double(), y)
        single = torch_step(model, optimizer, x, y)
        result = our_steps(tmp_path, rule, [(x, y)], "float")
        theirs += errors(before, judge, model.state_dict()).values()
        ours += errors(before, judge, result["model"]).values()
        [loss] = result["losses"]
        assert abs(loss - exact) <= max(2e-6 * max(exact, 0.1), 3 * abs(single - exact)), (exact, single, loss)
    for measure, a, b in zip(("largest", "norm"), zip(*theirs), zip(*ours)):
        a, b = sorted(a), sorted(b)
        # Where a network has kinks, a rounding that falls on the other side of one sends a step's gradients astray.
        for share in (0.5, 0.9, 0.99, 1) if name == "efficientnet_b0" else (0.5, 0.75):
            place = min(int(share * len(a)), len(a) - 1)
            assert b[place] <= max(3 * a[place], 1e-6), (measure, share, a[place], b[place])
        assert measure == "largest" or b[-1] <= max(3 * a[-1], 0.1), (a[-1], b[-1])


# --- a run to its end -------------------------------------------------------------------------------------------

TESTED = 360


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Handwritten digits, four times as high and wide, that the least of the networks sees something of them."""
    found = pytest.importorskip("sklearn.datasets").load_digits()
    pictures = np.kron((found.images * 255 / 16).round().astype(np.uint8), np.ones((1, 4, 4), np.uint8))
    order = np.random.RandomState(0).permutation(len(pictures))
    pictures, labels = pictures[order], found.target[order]
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x_train=pictures[:-TESTED], y_train=labels[:-TESTED], x_test=pictures[-TESTED:], y_test=labels[-TESTED:])
    return path, inputs(np.repeat(pictures[..., None], 3, axis=3)), torch.from_numpy(labels)


def torch_run(x, y, seed, epochs, lr):
    """The accuracy at the end."""
    torch.manual_seed(seed)
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    loader = torch.utils.data.DataLoader(
        range(len(x) - TESTED), batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(seed))
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = lr * ((1 + np.cos(epoch * np.pi / epochs)) / 2 * 0.99 + 0.01)
        model.train()
        for batch in loader:
            torch_step(model, optimizer, x[batch], y[batch])
    model.eval()
    with torch.no_grad():
        return (model(x[-TESTED:]).argmax(1) == y[-TESTED:]).float().mean().item()


@pytest.mark.slow
def test_ends_where_torch_does(digits, tmp_path):
    path, x, y = digits
    options = ["--model", "shufflenet_v2_x0_5", "--epochs", 5, "--batch-size", 64, "--lr", 0.05, "--no-augmentation"]
    theirs = [torch_run(x, y, seed, 5, 0.05) for seed in range(3)]
    ours = []
    for seed in range(3):
        result = report("train", path, *options, "--seed", seed, "-o", tmp_path / str(seed), timeout=300)
        ours.append(result["epochs"][-1]["top1"])
    # Two deviations of what so many pictures tell of a share.
    share = sum(theirs) / len(theirs)
    margin = 2 * (share * (1 - share) / TESTED) ** 0.5
    assert share > 0.85, theirs
    assert all(min(theirs) - margin <= accuracy <= max(theirs) + margin for accuracy in ours), (theirs, ours)
