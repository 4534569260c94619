"""mutils train and val where something is wrong: one line that names it, and what was learned stays."""

import os
import resource
import shutil
import signal
import subprocess

import numpy as np
import pytest
import torch
import torchvision
from helpers import MUTILS, succeeds
from PIL import Image
from test_train import made

MODEL = ["--model", "shufflenet_v2_x0_5", "--batch-size", 16]
FILES = ("last.pt", "best.pt")


def contents(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def refused(result, *words):
    """One line on standard error, which says that it ended with status 1."""
    lines = result.stderr.splitlines()
    assert result.returncode == 1 and len(lines) == 1 and lines[0].startswith("mutils: error: "), result
    for word in words:
        assert str(word) in lines[0], lines
    return lines[0]


def run(*arguments, **options):
    command = [MUTILS, *map(str, arguments), "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def fails(*arguments, naming=""):
    return refused(run(*arguments), naming)


# --- no space ---------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path):
    """A set, and a run of three epochs that nothing stopped."""
    path, *_ = made(tmp_path)
    succeeds("train", path, *MODEL, "--epochs", 3, "-o", tmp_path / "whole", timeout=120)
    return path, contents(tmp_path / "whole")


def goes_on(path, folder, expected):
    """What there is is whole, a state at least, nothing half-written lies beside it, and with space the run ends as if
    there had always been some."""
    for name in FILES:
        if name == "last.pt" or (folder / name).exists():
            torch.load(folder / name, weights_only=True)
    state = torch.load(folder / "last.pt", weights_only=True)
    assert state["updates"] > 0 and state["epoch"] < 3
    assert not [name for name in os.listdir(folder) if "partial" in name]
    succeeds("train", path, "--resume", folder, timeout=120)
    assert contents(folder) == expected
    assert len((folder / "results.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("room, name", [(-0.5, "best.pt"), (0.5, "last.pt")])
def test_a_full_disk(room, name, whole, tmp_path):
    path, expected = whole
    disk = tmp_path / "disk"
    disk.mkdir()
    # Both files, and place for this much more of the best weights; a state is twice as long, and there from the first
    # step on.
    size = sum(map(len, expected.values())) + int(room * len(expected["best.pt"]))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs to mount a small disk")
    try:
        refused(run("train", path, *MODEL, "--epochs", 3, "-o", disk / "run"), name, "No space left")
        assert subprocess.run(["mount", "-o", "remount,size=256m", disk]).returncode == 0
        goes_on(path, disk / "run", expected)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_files_that_may_not_grow(whole, tmp_path):
    """RLIMIT_FSIZE, whose signal would end the command without a word."""
    path, expected = whole
    folder, size = tmp_path / "run", len(expected["last.pt"]) // 2

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    options = [path, *MODEL, "--epochs", 3, "-o", folder]
    refused(run("train", *options, preexec_fn=limit), ".pt", "File too large")
    assert not [name for name in os.listdir(folder) if "partial" in name or name in FILES]
    # Begun anew, since there is nothing to go on with.
    succeeds("train", *options, timeout=120)
    assert contents(folder) == expected


# --- bad input --------------------------------------------------------------------------------------------------


def pictures_in(folder, count=8, classes="abc"):
    """A folder for each class, in each PNG and JPEG files."""
    r = np.random.RandomState(1)
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = r.randint(0, 120, (32, 32, 3)).astype(np.uint8)
            pixels[..., index % 3] += 100
            Image.fromarray(pixels).save(folder / name / f"{number}.{'jpg' if number % 2 else 'png'}")
    return folder


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return data


@pytest.mark.parametrize("name", ["b/2.png", "b/5.jpg"])
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_broken_picture_loses_nothing(part, name, tmp_path):
    """It is named when it is met, the steps before it are kept, and mended the run ends as if it had been whole."""
    pictures_in(tmp_path / "set/train")
    pictures_in(tmp_path / "set/val", 3 if part == "train" else 7)
    options = [*MODEL, "--batch-size", 4, "--epochs", 2, "--image-size", 32]
    succeeds("train", tmp_path / "set", *options, "-o", tmp_path / "whole", timeout=120)
    path = tmp_path / "set" / part / name
    data = cut(path)
    line = fails("train", tmp_path / "set", *options, "-o", tmp_path / "run", naming=path)
    assert "batch" in line, line
    state = torch.load(tmp_path / "run/last.pt", weights_only=True)
    assert state["epoch"] == 0 and state["step"] == state["updates"] > 0
    fails("train", tmp_path / "set", "--resume", tmp_path / "run", naming=path)
    if part == "val":
        fails("val", tmp_path / "whole/best.pt", tmp_path / "set", naming=path)
    path.write_bytes(data)
    succeeds("train", tmp_path / "set", "--resume", tmp_path / "run", timeout=120)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def arrays(path, **changed):
    r = np.random.RandomState(0)
    pictures, labels = r.randint(0, 256, (24, 32, 32, 3)).astype(np.uint8), np.arange(24) % 3
    np.savez(path, **{"x_train": pictures, "y_train": labels, "x_test": pictures[:6], "y_test": labels[:6]} | changed)
    return path


LABELS = np.arange(24) % 3
SETS = {
    "below": ({"y_train": LABELS - 1}, "label -1"),
    "large": ({"y_train": LABELS << 40}, "label"),
    "fractions": ({"y_train": LABELS + 0.5}, "whole numbers"),
    "missing numbers": ({"y_train": np.where(LABELS == 1, np.nan, LABELS)}, "whole numbers"),
    "from one": ({"y_train": LABELS + 1}, "class '0'"),
    "a class without pictures": ({"y_train": np.where(LABELS == 1, 0, LABELS)}, "class '1'"),
    "another class to judge": ({"y_test": LABELS[:6] + 1}, "label 3"),
    "too few labels": ({"y_train": LABELS[:-1]}, "24 pictures and 23 labels"),
    "a single class": (
        {"x_train": np.zeros((1, 32, 32, 3), np.uint8), "y_train": LABELS[:1], "y_test": np.zeros(6, int)}, "one class alone"),
}  # fmt: skip


@pytest.mark.parametrize("case", SETS)
def test_bad_arrays(case, tmp_path):
    changed, word = SETS[case]
    path = arrays(tmp_path / "set.npz", **changed)
    line = fails("train", path, *MODEL, "-o", tmp_path / "run", naming=path)
    assert word in line, line
    assert not (tmp_path / "run").exists()


def test_bad_tables(tmp_path):
    for text, word in [("0,1,2,3,4\n-1,5,6,7,8\n", "label -1"), ("0,1,2,3,4\n1,5,6,7,256\n", "line 2"),
                       ("0,1,2,3,4\n2,5,6,7,8\n", "class '1'"), ("0,1,2,3\n1,5,6,7\n", "grey square")]:  # fmt: skip
        (tmp_path / "set.csv").write_text(text)
        for arguments in (["train"], ["val", "resnet18"]):
            result = fails(*arguments, tmp_path / "set.csv", *(["-o", tmp_path / "run"] if arguments == ["train"] else []),
                           naming="set.csv")  # fmt: skip
            assert word in result, result


def test_bad_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    train = ["train", arrays(tmp_path / "set.npz"), *MODEL, "-o"]
    fails(*train, tmp_path / "file", naming="file")
    fails(*train, tmp_path / "file/run", naming="is a file, where a folder is to be")
    fails("train", tmp_path / "file", "-o", tmp_path / "run", naming="file")
    fails("train", tmp_path / "set.npz", "--resume", tmp_path / "file", naming="file")
    folder = pictures_in(tmp_path / "set")
    shutil.rmtree(folder / "b")
    (folder / "b").mkdir()
    fails("train", folder, "-o", tmp_path / "run", naming=folder / "b")


def test_weights_that_do_not_fit(tmp_path):
    path = arrays(tmp_path / "set.npz")
    state = torchvision.models.shufflenet_v2_x0_5(num_classes=3).state_dict()
    weight = state["conv1.0.weight"]
    for changed, word in [(weight[:20], "shape"), (weight * float("nan"), "conv1.0.weight is not finite")]:
        torch.save(state | {"conv1.0.weight": changed}, tmp_path / "first.pt")
        result = fails("train", path, *MODEL, "--pretrained", tmp_path / "first.pt", "-o", tmp_path / "run")
        assert word in result and not (tmp_path / "run/last.pt").exists(), result
    torch.save(torchvision.models.resnet18(num_classes=3).state_dict(), tmp_path / "first.pt")
    fails("train", path, *MODEL, "--pretrained", tmp_path / "first.pt", "-o", tmp_path / "run", naming="first.pt")
    torch.save(torchvision.models.resnet18(num_classes=5).state_dict(), tmp_path / "other.pt")
    fails("val", tmp_path / "other.pt", path, naming="3 classes")


def test_numbers_out_of_range(tmp_path):
    path = arrays(tmp_path / "set.npz")
    fails("train", path, "--epochs", 0, "-o", tmp_path / "run", naming="epochs")
    for rate, word in [("1e30", "loss of step"), ("nan", "rate"), ("inf", "rate")]:
        fails("train", path, *MODEL, "--lr", rate, "-o", tmp_path / rate, naming=word)
        assert not (tmp_path / rate / "best.pt").exists()
    assert not (tmp_path / "nan").exists() and not (tmp_path / "inf").exists()


def test_goes_on_with_nothing_else(tmp_path):
    """A run's other half is not learned from other pictures."""
    path = arrays(tmp_path / "set.npz")
    succeeds("train", path, *MODEL, "--epochs", 1, "-o", tmp_path / "run", timeout=120)
    before = contents(tmp_path / "run")
    resume = ["--resume", tmp_path / "run"]
    fewer = np.zeros((9, 32, 32, 3), np.uint8)
    fails("train", arrays(tmp_path / "fewer.npz", x_train=fewer, y_train=LABELS[:9]), *resume, naming="9 pictures")
    fails("train", arrays(tmp_path / "other.npz", y_train=np.arange(24) % 4), *resume, naming="4 classes")
    (tmp_path / "run/last.pt").write_bytes(before["last.pt"][:-1000])
    fails("train", path, *resume, naming="last.pt")
    shutil.copy(tmp_path / "run/best.pt", tmp_path / "run/last.pt")
    fails("train", path, *resume, naming="last.pt")
    assert (tmp_path / "run/best.pt").read_bytes() == before["best.pt"]
