"""Steps of a detector's training are YOLOv6's: many in double precision, single ones in float32 along a run of its own."""

import copy
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from helpers import REHEARSE, succeeds
from originals import YOLOV6
from safetensors.torch import save_file
from test_learning import one_thread, same_to, save_state
from test_train_detect import NANO, batches, data, nano
from test_yolov6 import BOTH, config
from torch import nn

CLASSES, SIZE = 3, 64


@pytest.fixture(autouse=True)
def original(monkeypatch):
    """It sends everything to a GPU."""
    for kind in (nn.Module, torch.Tensor):
        monkeypatch.setattr(kind, "cuda", lambda self, *_, **__: self)
    with YOLOV6:
        yield


@contextmanager
def doubled():
    """Its cross entropy is of float32 whatever the network computes in; here of double."""
    float, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double
    try:
        yield
    finally:
        torch.Tensor.float = float


class Loss:
    """`ComputeLoss`, with that of the branch of anchors where the network has one."""

    def __init__(self, overlap, bins=None, fuse_ab=False):
        from yolov6.models.losses.loss import ComputeLoss
        from yolov6.models.losses.loss_fuseab import ComputeLoss as ComputeLossAB

        options = dict(num_classes=CLASSES, ori_img_size=SIZE, warmup_epoch=0, iou_type=overlap)
        self.free = ComputeLoss(use_dfl=bins is not None, reg_max=bins - 1 if bins else 0, **options)
        self.anchored = ComputeLossAB(use_dfl=False, reg_max=0, **options) if fuse_ab else None
        self.arguments = [f"classes={CLASSES}", f"overlap={overlap}", f"fuse_ab={int(fuse_ab)}"] + [f"bins={bins}"] * (bins is not None)

    def __call__(self, outputs, targets):
        self.free.proj.data = self.free.proj.data.to(outputs[-1].dtype)
        if self.anchored is None:
            return self.free(outputs, targets, 0, 1)[0]
        return self.free((outputs[0], *outputs[3:]), targets, 0, 1)[0] + self.anchored(outputs[:3], targets, 0, 1)[0]


def drawn(description, seed, **options):
    """With predictors that tell boxes apart, of which ours takes others than the original where they are equally good."""
    from yolov6.models.yolo import Model

    torch.manual_seed(seed)
    model = Model(description, num_classes=CLASSES, **options).train()
    for name, parameter in model.detect.named_parameters():
        if "_preds" in name and name.endswith("weight"):
            nn.init.normal_(parameter, std=0.05)
    return model


def step(model, optimizer, loss, x, targets):
    optimizer.zero_grad()
    outputs, _ = model(x)
    total = loss(outputs, targets)
    total.backward()
    optimizer.step()
    return total.item()


def groups_of(model, decay):
    """YOLOv6's: the weights of norms; other weights, with decay; biases."""
    groups = [[], [], []]
    for path, module in model.named_modules():
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            groups[2].append(f"{path}.bias")
        if isinstance(module, nn.BatchNorm2d):
            groups[0].append(f"{path}.weight")
        elif isinstance(getattr(module, "weight", None), nn.Parameter):
            groups[1].append(f"{path}.weight")
    named = dict(model.named_parameters())
    return groups, [{"params": [named[n] for n in names], "weight_decay": decay * (k == 1)} for k, names in enumerate(groups)]


def without_gradient(model):
    """Norms follow transposed convolutions, so that their biases have no gradient but roundings."""
    return {f"{path}.bias" for path, module in model.named_modules() if isinstance(module, nn.ConvTranspose2d)}


def our_steps(folder, rule, loss, given, precision):
    """From `state.pt`, of a network like that of `model.pt`."""
    tensors = {f"{i:03}.input": x for i, (x, _) in enumerate(given)}
    save_file(tensors | {f"{i:03}.targets": t for i, (_, t) in enumerate(given)}, folder / "steps.safetensors")
    names = ("model.pt", "state.pt", "steps.safetensors", "out.pt")
    succeeds("learn-detections", *[folder / name for name in names], rule, precision, *loss.arguments, program=REHEARSE, timeout=600)
    return torch.load(folder / "out.pt", weights_only=True)


def made_batches(data, folder, batch, epochs, dtype):
    """Augmented, so that no two boxes are as good as each other for an anchor."""
    tensors = batches(data, folder, SIZE, batch, epochs, 3, **NANO)
    count = sum(name.endswith(".inputs") for name in tensors)
    return [(tensors[f"{k}.inputs"].to(dtype) / 255, tensors[f"{k}.targets"]) for k in range(count)]


RULES = {
    # At ten times this rate a rounding grows by ten in each of the first steps, which is much for twenty of them.
    "SGD": (0.001, partial(torch.optim.SGD, momentum=0.937, nesterov=True)),
    "Adam": (0.001, torch.optim.Adam),
}


@pytest.mark.parametrize(
    "rule, overlap, bins, fuse_ab",
    [("SGD", "siou", None, False), ("Adam", "giou", 17, False), ("SGD", "siou", None, True)],
)
def test_twenty_steps_in_double(rule, overlap, bins, fuse_ab, data, tmp_path):
    """Nothing but roundings of double stands between the two: losses, weights, statistics, what optimizers keep."""
    model = drawn(config("EfficientRep", "RepBiFPANNeck", distributions=bins is not None, **BOTH), 2, fuse_ab=fuse_ab).double()
    loss = Loss(overlap, bins, fuse_ab)
    lr, make = RULES[rule]
    groups, parameters = groups_of(model, 5e-4)
    optimizer = make(parameters, lr=lr)
    torch.save(model, tmp_path / "model.pt")
    save_state(model, optimizer, groups, tmp_path / "state.pt")
    first = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    given = made_batches(data, tmp_path, 4, 4, torch.float64)
    with doubled():
        expected = [step(model, optimizer, loss, x, targets) for x, targets in given]
    ours = our_steps(tmp_path, rule, loss, given, "double")
    assert len(expected) == len(ours["losses"]) == 20
    for number, (a, b) in enumerate(zip(expected, ours["losses"])):
        assert abs(a - b) <= 1e-9 * abs(a), (number, a, b)
    # What the first steps round grows from step to step.
    same_to(1e-8, model.state_dict(), ours["model"])
    free = without_gradient(model)
    for number, name in enumerate(name for names in groups for name in names):
        theirs, own = (kept["state"].get(number, {}) for kept in (optimizer.state_dict(), ours["optimizer"]))
        if name in free:
            assert list(theirs) == list(own)
            assert all(kept[kind].abs().max() <= 1e-14 for kept in (theirs, own) for kind in kept if kind != "step")
        else:
            same_to(1e-8, theirs, own, name)
    # And it was a way.
    trained = {name for names in groups for name in names} - free - {"detect.proj_conv.weight"}
    assert all(not torch.equal(first[name], model.state_dict()[name]) for name in trained)


# --- single steps -----------------------------------------------------------------------------------------------


def shares(expected, actual, absolute, slack=None):
    """Of each tensor's error its share of what was expected, and of all errors together; those of `absolute` tensors, which
    would be 0 but for roundings, count in the latter alone. `slack` is what an element's own rounding may add."""
    each, errors, sizes = {}, 0.0, 0.0
    for name, tensor in expected.items():
        error = (actual[name].double() - tensor.double()).abs()
        if slack is not None:
            error = (error - slack[name]).clamp(min=0)
        error, size = error.square().sum().item(), tensor.double().square().sum().item()
        errors, sizes = errors + error, sizes + size
        if name not in absolute and size > 0:
            each[name] = (error / size) ** 0.5
    return each, (errors / sizes) ** 0.5


@pytest.mark.parametrize("rule", ["SGD", pytest.param("Adam", marks=pytest.mark.slow)])
def test_single_steps_in_float(rule, data, tmp_path):
    """Along a run of its own, whose parameters, momenta and statistics ours takes at ten places: the loss, the whole gradient,
    the update and the statistics of one step, beside the original's in double."""
    model, judge, loss = drawn(nano(), 4), drawn(nano(), 4).double(), Loss("siou")
    lr, make = RULES[rule]
    (groups, parameters), (_, of_judge) = groups_of(model, 5e-4), groups_of(judge, 5e-4)
    optimizer, judging = make(parameters, lr=lr), make(of_judge, lr=lr)
    torch.save(model, tmp_path / "model.pt")
    absolute = without_gradient(model)
    given = made_batches(data, tmp_path, 8, 34, torch.float32)[:100]
    assert len(given) == 100 and len(absolute) == 2
    found = {"gradient": [], "update": []}
    for number, (x, targets) in enumerate(given, 1):
        if number % 10:
            step(model, optimizer, loss, x, targets)
            continue
        save_state(model, optimizer, groups, tmp_path / "state.pt")
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        judge.load_state_dict(before)
        # Steps are counted in place.
        judging.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        with doubled():
            exact = step(judge, judging, loss, x.double(), targets)
        single = step(model, optimizer, loss, x, targets)
        ours = our_steps(tmp_path, rule, loss, [(x, targets)], "float")
        [value] = ours["losses"]
        assert abs(value - exact) <= max(2e-6 * exact, 3 * abs(single - exact)), (number, exact, single, value)

        gradients = {name: p.grad for name, p in judge.named_parameters() if p.grad is not None}
        theirs = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert set(gradients) == set(ours["gradients"])
        found["gradient"].append([shares(gradients, actual, absolute) for actual in (ours["gradients"], theirs)])

        after = judge.state_dict()
        updates = {name: after[name] - before[name] for name in gradients}
        rounded = {name: after[name].abs() * torch.finfo(torch.float32).eps for name in gradients}
        found["update"].append([
            shares(updates, {name: state[name].double() - before[name] for name in gradients}, absolute, rounded)
            for state in (ours["model"], model.state_dict())
        ])  # fmt: skip

        for name, tensor in after.items():
            path, _, kind = name.rpartition(".")
            if kind in ("running_mean", "running_var"):
                # Where means are 0, what they are the means of.
                scale = max(tensor.norm(), after[f"{path}.running_var"].sqrt().norm() if kind == "running_mean" else 0)
                assert (ours["model"][name] - tensor).norm() <= 1e-6 * scale, (number, name)
    for kind, places in found.items():
        # A rounding on the other side of a ReLU's kink sends the gradients of all that lies before it astray, torch's too.
        a, b = (np.median([share for place in places for share in place[whose][0].values()]) for whose in (0, 1))
        assert a <= max(1e-5, 2 * b), (kind, a, b)
        a, b = (sorted(place[whose][1] for place in places) for whose in (0, 1))
        assert a[len(a) // 2] <= 1e-2 and a[-1] <= max(1e-2, 2 * b[-1]), (kind, a, b)
