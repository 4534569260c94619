"""mutils train: the same steps as torch, files that torch loads, and runs that go on after a kill."""

import json
import random
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
import torchvision
from helpers import MUTILS, mutils
from torch import nn


def made(folder, count=96, size=32, classes=3):
    """Pictures whose brightest channel is their class."""
    r = np.random.RandomState(0)
    labels = r.randint(0, classes, count)
    labels[:classes] = range(classes)
    pictures = r.randint(0, 120, (count, size, size, 3)).astype(np.uint8)
    for index, label in enumerate(labels):
        pictures[index, :, :, label] += 100
    path = folder / "set.npz"
    np.savez(path, x_train=pictures[:-32], y_train=labels[:-32], x_test=pictures[-32:], y_test=labels[-32:])
    return path, pictures, labels


def inputs(pictures):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = torch.from_numpy(pictures).float() / 255
    return ((x - mean) / deviation).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize(
    "options, make",
    [
        (["--lr", "0.01", "--nesterov", "--label-smoothing", "0.1"],
         lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=1e-4, nesterov=True)),
        (["--lr", "0.001", "--optimizer", "adamw", "--clip-norm", "1"],
         lambda p: torch.optim.AdamW(p, 0.001, weight_decay=1e-4)),
    ],
    ids=["sgd", "adamw"],
)  # fmt: skip
def test_steps_are_torchs(options, make, tmp_path):
    """Weights after four steps from the same initial values, in the order of torch's DataLoader."""
    path, pictures, labels = made(tmp_path)
    torch.manual_seed(3)
    model = torchvision.models.resnet18(num_classes=3)
    torch.save(model.state_dict(), tmp_path / "first.pt")
    result = mutils("train", path, "--pretrained", tmp_path / "first.pt", "--epochs", "1", "--batch-size", "16",
                    "--schedule", "constant", "--no-augmentation", "--seed", "5", *options, "-o", tmp_path / "run")
    assert result.code == 0, result.err
    ours = torch.load(tmp_path / "run/last.pt", weights_only=True)

    # The head is drawn anew for a run's own classes.
    first = model.state_dict()
    drawn = mutils("classifier", "resnet18", "--classes", "3", "--weights", tmp_path / "first.pt", "--head", "init",
                   "--seed", "5", "-o", tmp_path / "drawn.pt", "--state-dict")
    assert drawn.code == 0, drawn.err
    first |= torch.load(tmp_path / "drawn.pt", weights_only=True)
    model.load_state_dict(first)
    smoothing = 0.1 if "--label-smoothing" in options else 0.0
    objective = nn.CrossEntropyLoss(label_smoothing=smoothing)
    x, y = inputs(pictures[:-32]), torch.from_numpy(labels[:-32])

    def run(uses_onednn):
        model.load_state_dict(first)
        optimizer = make(model.parameters())
        loader = torch.utils.data.DataLoader(
            range(64), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(5))
        model.train()
        with torch.backends.mkldnn.flags(enabled=uses_onednn):
            for batch in loader:
                optimizer.zero_grad()
                objective(model(x[batch]), y[batch]).backward()
                if "--clip-norm" in options:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
        return {name: t.clone() for name, t in model.state_dict().items()}, optimizer

    def distance(a, b):
        """Of the way that the weights went."""
        floats = [name for name, t in first.items() if t.is_floating_point()]
        way = sum((a[n] - first[n]).double().square().sum().item() for n in floats)
        return (sum((a[n] - b[n]).double().square().sum().item() for n in floats) / way) ** 0.5

    (theirs, optimizer), (other, _) = run(True), run(False)
    for name, tensor in theirs.items():
        if not tensor.is_floating_point():
            assert torch.equal(tensor, ours["model"][name]), name
    # Kinks and small batches drive float32's roundings apart: torch's own two ways as well.
    assert distance(theirs, ours["model"]) <= max(1e-3, 3 * distance(theirs, other))

    # torch goes on from it.
    optimizer.load_state_dict(ours["optimizer"])
    model.load_state_dict(ours["model"])


def test_goes_on_after_a_kill(tmp_path):
    path, *_ = made(tmp_path)
    options = ["--model", "shufflenet_v2_x0_5", "--epochs", "6", "--batch-size", "16", "--ema", "0.99"]
    whole = mutils("train", path, *options, "-o", tmp_path / "whole")
    assert whole.code == 0, whole.err
    r = random.Random(1)
    start = [MUTILS, "train", str(path), *options, "-o", str(tmp_path / "parts")]
    again = [MUTILS, "train", str(path), "--resume", str(tmp_path / "parts")]
    for attempt in range(12):
        begun = (tmp_path / "parts/last.pt").exists()
        process = subprocess.Popen(again if begun else start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.1 + r.random())
        process.send_signal(r.choice([signal.SIGKILL, signal.SIGINT]))
        process.wait()
    last = mutils("train", path, "--resume", tmp_path / "parts")
    assert last.code == 0, last.err
    for name in ("last.pt", "best.pt"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


def test_validation_is_torchs(tmp_path):
    path, pictures, labels = made(tmp_path)
    assert mutils("train", path, "--epochs", "2", "--batch-size", "16", "-o", tmp_path / "run").code == 0
    report = json.loads(mutils("val", tmp_path / "run/best.pt", path, "--json").out)
    assert report["task"] == "classify"
    model = torchvision.models.resnet18(num_classes=3).eval()
    model.load_state_dict(torch.load(tmp_path / "run/best.pt", weights_only=True)["model"])
    with torch.no_grad():
        scores = model(inputs(pictures[-32:]))
    y = torch.from_numpy(labels[-32:])
    assert report["metrics"]["top1"] == (scores.argmax(1) == y).float().mean().item()
    assert abs(report["metrics"]["loss"] - nn.functional.cross_entropy(scores, y).item()) < 1e-4
    assert report["count"] == 32 and sum(map(sum, report["confusion"])) == 32


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["missing", "-o", "run"], "missing"),
        (["set.npz", "--model", "resnet19", "-o", "run"], "resnet19"),
        (["set.npz", "--lr", "-1", "-o", "run"], "rate"),
        (["set.npz", "--resume", "nowhere"], "last.pt"),
    ],
)
def test_refusals(arguments, message, tmp_path):
    made(tmp_path)
    arguments = [str(tmp_path / a) if a in ("missing", "set.npz", "run", "nowhere") else a for a in arguments]
    result = mutils("train", *arguments)
    assert result.code == 1 and message in result.err and len(result.err.splitlines()) == 1, result.err
