"""mutils train under a real mpirun: ranks divide batches and learn what one process learns."""

import csv
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import torch

from launching import ABORTS, BUILD, ends, environment, errors, needs_mpirun, start

pytestmark = needs_mpirun
LONG = 240  # seconds for a build without optimization on a loaded machine


def saved(folder, count):
    """Pictures to learn from and 24 to judge by, whose brightest channel is their class."""
    r = np.random.default_rng(1)
    labels = np.arange(80) % 3
    x = r.integers(0, 100, (80, 32, 32, 3), dtype=np.uint8)
    for index, label in enumerate(labels):
        x[index, :, :, label] += 60
    path = folder / f"set{count}.npz"
    np.savez(path, x_train=x[:count], y_train=labels[:count], x_test=x[56:], y_test=labels[56:])
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("set"), 56)


OPTIONS = ["--model", "resnet18", "--batch-size", "12", "--epochs", "2", "--lr", "0.02", "--ema", "0.9", "--quiet"]


def alone(*arguments):
    result = subprocess.run(
        [BUILD / "mutils", "train", *map(str, arguments)],
        env=environment(), capture_output=True, text=True, timeout=LONG,
    )
    assert result.returncode == 0, result.stderr
    return result


def trained(count, *arguments):
    status, out, err = ends(start(count, BUILD / "mutils", "train", *arguments), LONG)
    assert status == 0, err
    return out, err


def state(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def distance(a, b, start):
    """Of the way that the weights went."""
    floats = [name for name, tensor in a.items() if tensor.is_floating_point()]
    way = sum((a[n] - start[n]).double().square().sum().item() for n in floats)
    return (sum((a[n] - b[n]).double().square().sum().item() for n in floats) / way) ** 0.5


def losses(folder):
    return [float(row["train_loss"]) for row in csv.DictReader((folder / "results.csv").open())]


@pytest.mark.parametrize("count, batch", [(2, 12), (3, 8)])
def test_a_step_of_ranks_is_a_step_of_one(tmp_path, count, batch):
    """Three ranks cannot share eight pictures alike."""
    path = saved(tmp_path, batch)
    once = [*OPTIONS, "--epochs", "1"]
    alone(path, *once, "--lr", "1e-30", "-o", tmp_path / "start")
    alone(path, *once, "-o", tmp_path / "one")
    trained(count, path, *once, "-o", tmp_path / "ranks")
    trained(count, path, *once, "--no-sync-batch-norm", "-o", tmp_path / "apart")
    begun, one, ranks, apart = (state(tmp_path / name) for name in ("start", "one", "ranks", "apart"))
    # Gradients are added in another order; a norm over a dozen numbers makes some hundred times more of a rounding.
    for part in ("model", "ema"):
        assert distance(one[part], ranks[part], begun["model"]) < 1e-4, part
        assert distance(one[part], apart[part], begun["model"]) > 1e-2, part
    assert abs(losses(tmp_path / "one")[0] - losses(tmp_path / "ranks")[0]) < 1e-5


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_learn_what_one_learns(tmp_path, pictures, count):
    """56 pictures in batches of 12: the last one has 8."""
    alone(pictures, *OPTIONS, "-o", tmp_path / "one")
    out, err = trained(count, pictures, *OPTIONS, "-o", tmp_path / "ranks")
    assert f"{count} ranks" in out and out.count("Saved ") == 1 and err == ""
    assert state(tmp_path / "ranks")["model"]["bn1.num_batches_tracked"] == 10
    # After some steps roundings have driven any two runs apart; what they learn stays near.
    for mine, wanted in zip(losses(tmp_path / "ranks"), losses(tmp_path / "one"), strict=True):
        assert abs(mine - wanted) < 0.05


LONGER = [*OPTIONS, "--epochs", "4"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pictures):
    """A run that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    trained(2, pictures, *LONGER, "-o", folder)
    return folder


def are_equal(a, b):
    return all((a / file).read_bytes() == (b / file).read_bytes() for file in ("last.pt", "best.pt"))


def test_the_same_ranks_give_the_same_bytes(tmp_path, pictures, whole):
    trained(2, pictures, *LONGER, "-o", tmp_path / "run")
    assert are_equal(tmp_path / "run", whole)


def ranks_of(folder):
    """The processes of a run, by rank."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            command = open(f"/proc/{entry}/cmdline").read().split("\0") if entry.isdigit() else []
            if command and command[0].endswith("mutils") and str(folder) in command:
                variables = dict(v.split("=", 1) for v in open(f"/proc/{entry}/environ").read().split("\0") if "=" in v)
                found[int(variables["OMPI_COMM_WORLD_RANK"])] = int(entry)
        except (OSError, KeyError):
            pass
    return found


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_dies_ends_the_run(tmp_path, pictures, whole, victim):
    """… and the run goes on from its last epoch, to the bytes that it would have come to."""
    process = start(2, BUILD / "mutils", "train", pictures, *LONGER, "-o", tmp_path / "parts")
    deadline = time.monotonic() + LONG
    while not (tmp_path / "parts/last.pt").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(ranks_of(tmp_path / "parts")[victim], signal.SIGKILL)
    status, out, err = ends(process, ABORTS)
    assert status not in (0, None)
    assert not ranks_of(tmp_path / "parts")
    trained(2, pictures, "--resume", tmp_path / "parts", "--quiet")
    assert are_equal(tmp_path / "parts", whole)


def test_an_interrupt_of_one_rank_stops_all(tmp_path, pictures):
    process = start(2, BUILD / "mutils", "train", pictures, *OPTIONS, "--epochs", "50", "-o", tmp_path / "run")
    deadline = time.monotonic() + LONG
    while not (tmp_path / "run/last.pt").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(ranks_of(tmp_path / "run")[1], signal.SIGINT)
    status, out, err = ends(process, ABORTS)
    assert status == 130 and err.count("go on with mutils train") == 1
    stopped = state(tmp_path / "run")
    assert stopped["updates"] > 0 and stopped["updates"] == stopped["epoch"] * 5 + stopped["step"]


def test_a_rank_that_fails_ends_the_run(tmp_path):
    """A picture that cannot be read is one rank's; the others say whose fault it was."""
    from PIL import Image

    r = np.random.default_rng(2)
    for index in range(24):
        folder = tmp_path / "set" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(r.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    victim = tmp_path / "set/a/12.png"
    victim.write_bytes(victim.read_bytes()[:300])
    arguments = [tmp_path / "set", *OPTIONS, "--image-size", "32", "-o", tmp_path / "run"]
    status, out, err = ends(start(2, BUILD / "mutils", "train", *arguments), LONG)
    assert status == 1
    told = errors(err)
    assert sum("12.png" in line for line in told) == 1 and len(told) <= 2
    assert not (tmp_path / "run/best.pt").exists()


def test_too_many_ranks(tmp_path, pictures):
    status, out, err = ends(
        start(3, BUILD / "mutils", "train", pictures, *OPTIONS, "--batch-size", "2", "-o", tmp_path / "run"), LONG)
    assert status == 1 and any("too small for 3 ranks" in line for line in errors(err))
    assert not (tmp_path / "run").exists()


def test_json_is_the_first_ranks(tmp_path, pictures):
    out, err = trained(2, pictures, *OPTIONS, "--epochs", "1", "--json", "-o", tmp_path / "run")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["step"] for line in lines if "step" in line] == list(range(1, 6))
    assert set(lines[-2]["metrics"]) == {"top1", "top5", "loss"} and lines[-1]["interrupted"] is False
