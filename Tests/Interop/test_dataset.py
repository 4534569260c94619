"""`dataset`: drawn sets are NumPy's and Pillow's to the pixel, YOLO's own programs read them, and faults are found.

drawn_sets.py draws the same in Python."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import drawn_sets
import numpy as np
import pytest
import yaml
from helpers import fails, mutils, report, succeeds
from originals import YOLOV6
from PIL import Image

FASHION = Path("/usr/share/datasets/fashion-mnist")
needs_fashion = pytest.mark.skipif(not FASHION.is_dir(), reason="needs Debian's dataset-fashion-mnist")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def digest(folder, *counts):
    """Of pixels and labels, picture by picture."""
    total = hashlib.sha256()
    for part, count in zip(("train", "val"), counts):
        assert len(list((folder / "images" / part).iterdir())) == len(list((folder / "labels" / part).iterdir())) == count
        for index in range(count):
            total.update(np.asarray(Image.open(folder / f"images/{part}/{index:05d}.png")).tobytes())
            total.update((folder / f"labels/{part}/{index:05d}.txt").read_bytes())
    return total.hexdigest()


def compare(folder, train, val, size, seed, **options):
    for part, count in (("train", train), ("val", val)):
        for index in range(count):
            pixels, text = drawn_sets.scene(part, index, size, seed, **options)
            ours = np.asarray(Image.open(folder / f"images/{part}/{index:05d}.png"))
            assert ours.shape == pixels.shape and (ours == pixels).all(), (part, index)
            assert (folder / f"labels/{part}/{index:05d}.txt").read_text() == text, (part, index)


@pytest.mark.parametrize(
    "train, val, size, seed", [(1, 1, 16, 1), (8, 4, 32, 0), (5, 5, 61, 3), (4, 1, 97, 2**64 - 1), (3, 2, 255, 4294), (1, 1, 640, 7)])
def test_shapes(tmp_path, train, val, size, seed):
    found = report("dataset", "shapes", tmp_path / "set", "--train", train, "--val", val, "--size", size, "--seed", seed)
    compare(tmp_path / "set", train, val, size, seed)
    assert found["names"] == drawn_sets.SHAPES and found["train"]["pictures"] == train
    lines = sum(len(path.read_text().splitlines()) for path in (tmp_path / "set/labels").rglob("*.txt"))
    assert sum(found["train"]["objects"]) + sum(found["val"]["objects"]) == lines


@pytest.mark.parametrize("size, start", [(96, "5560658afb63"), (160, "f86173af8f88")])
def test_whole_sets_of_shapes(tmp_path, size, start):
    """The digests are of NumPy 2.4 on another machine."""
    succeeds("dataset", "shapes", tmp_path / "set", "--size", size)
    assert digest(tmp_path / "set", 256, 64).startswith(start)


@needs_fashion
def test_whole_set_of_garments(tmp_path):
    succeeds("dataset", "garments", tmp_path / "set", "--train", 400, "--val", 100, "--size", 160)
    assert digest(tmp_path / "set", 400, 100).startswith("fe4a4ab091a7")
    assert yaml.safe_load((tmp_path / "set/data.yaml").read_text())["names"] == drawn_sets.GARMENTS


def test_threads_change_nothing(tmp_path):
    for threads in (1, 2, 7):
        succeeds("dataset", "shapes", tmp_path / str(threads), "--train", 40, "--val", 3, "--size", 40, "--threads", threads)
    one = files(tmp_path / "1")
    assert len(one) == 2 * 43 + 1 and one == files(tmp_path / "2") == files(tmp_path / "7")


@pytest.fixture
def digits(tmp_path):
    """MNIST's files of some pictures, higher than wide, of three classes."""
    folder, draws = tmp_path / "digits", np.random.default_rng(5)
    folder.mkdir()
    pictures = draws.integers(0, 256, (12, 21, 14), np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 3
    for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return folder, pictures, labels


@pytest.mark.parametrize("size, seed", [(33, 0), (96, 9), (161, 2)])
def test_other_pictures(tmp_path, digits, size, seed):
    folder, pictures, labels = digits
    out = tmp_path / "set"
    succeeds("dataset", "garments", out, "--pictures", folder, "--train", 7, "--val", 2, "--size", size, "--seed", seed)
    compare(out, 7, 2, size, seed, pictures=pictures, labels=labels, classes=3)
    assert yaml.safe_load((out / "data.yaml").read_text())["names"] == ["0", "1", "2"]


def test_photographs(tmp_path, digits):
    folder, pictures, labels = digits
    (tmp_path / "photographs").mkdir()
    draws, photographs = np.random.default_rng(1), []
    for name, (height, width) in (("a.png", (120, 90)), ("b.png", (40, 300)), ("c.png", (64, 64))):
        photographs.append(draws.integers(0, 256, (height, width, 3), np.uint8))
        Image.fromarray(photographs[-1]).save(tmp_path / "photographs" / name)
    options = ("--pictures", folder, "--backgrounds", tmp_path / "photographs", "--train", 24, "--val", 4, "--size", 64)
    succeeds("dataset", "garments", tmp_path / "set", *options, "--names", "one,it's 2,third: #3")
    compare(tmp_path / "set", 24, 4, 64, 7, pictures=pictures, labels=labels, classes=3, photographs=photographs)
    assert yaml.safe_load((tmp_path / "set/data.yaml").read_text())["names"] == ["one", "it's 2", "third: #3"]
    checked = report("dataset", "check", tmp_path / "set")
    assert [part["classes"][1]["name"] for part in checked["parts"]] == ["it's 2"] * 2


# --- who reads it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absolute", [False, True])
def test_ultralytics_reads_it(tmp_path, absolute):
    from ultralytics.data.utils import check_det_dataset

    succeeds("dataset", "shapes", tmp_path / "a", "--train", 3, "--val", 2, "--size", 32, *["--absolute"] * absolute)
    place = tmp_path / "a"
    if not absolute:
        place = tmp_path / "elsewhere" / "b"
        place.parent.mkdir()
        shutil.move(tmp_path / "a", place)
    data = check_det_dataset(str(place / "data.yaml"))
    assert Path(data["train"]) == place / "images/train" and Path(data["val"]) == place / "images/val"
    assert list(data["names"].values()) == drawn_sets.SHAPES and data["nc"] == 6


def test_yolov5_reads_it(tmp_path, monkeypatch):
    from yolov5.utils import general

    monkeypatch.setattr(general, "check_font", lambda *_, **__: None)  # it is downloaded
    succeeds("dataset", "shapes", tmp_path / "set", "--train", 3, "--val", 2, "--size", 32, "--absolute")
    data = general.check_dataset(str(tmp_path / "set/data.yaml"))
    assert data["train"] == str(tmp_path / "set/images/train") and Path(data["val"]).is_dir()
    assert list(data["names"].values()) == drawn_sets.SHAPES


@pytest.mark.parametrize("absolute", [False, True])
def test_yolov6_reads_it(tmp_path, monkeypatch, absolute):
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        monkeypatch.setattr(np, name, kind, raising=False)
    succeeds("dataset", "shapes", tmp_path / "set", "--train", 5, "--val", 2, "--size", 32, *["--absolute"] * absolute)
    monkeypatch.chdir(tmp_path if absolute else tmp_path / "set")
    with YOLOV6:
        from yolov6.data.datasets import TrainValDataset
        from yolov6.utils.events import load_yaml

        data = load_yaml(str(tmp_path / "set/data.yaml"))
        read = TrainValDataset(data["train"], 32, 2, check_images=True, check_labels=True, data_dict=data, task="train", hyp={"mosaic": 0})
    assert len(read) == 5 and read.class_names == drawn_sets.SHAPES
    for index, labels in enumerate(read.labels):
        assert np.allclose(labels, np.loadtxt(tmp_path / f"set/labels/train/{index:05d}.txt", ndmin=2))


# --- what is refused and found ----------------------------------------------------------------------------------------


def test_refusals(tmp_path, digits):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/.hidden").write_text("")
    fails("dataset", "shapes", tmp_path / "full", naming="holds something already")
    fails("dataset", "shapes", tmp_path / "full/.hidden", naming="is a file, where a folder is to be")
    fails("dataset", "garments", tmp_path / "a", "--pictures", tmp_path / "full", naming="train-images-idx3-ubyte")
    fails("dataset", "garments", tmp_path / "a", "--pictures", digits[0], "--names", "a,b", naming="3 classes")
    fails("dataset", "garments", tmp_path / "a", "--pictures", digits[0], "--names", "a,b,\x01", naming="cannot stand in data.yaml")
    fails("dataset", "garments", tmp_path / "a", "--pictures", digits[0], "--backgrounds", tmp_path / "full", naming="holds no .png")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    fails("dataset", "garments", tmp_path / "new/a", "--pictures", digits[0], "--backgrounds", tmp_path / "broken", naming="a.png")
    assert not (tmp_path / "a").exists() and not (tmp_path / "new").exists()
    for option in (("--train", 0), ("--train", 100_001), ("--val", -1), ("--size", 15), ("--size", 2049), ("--seed", -1), ("--seed", 2**64)):
        assert mutils("dataset", "shapes", tmp_path / "a", *option).code == 64, option
    assert not (tmp_path / "a").exists()


def test_check(tmp_path):
    folder = tmp_path / "set"
    succeeds("dataset", "shapes", folder, "--train", 6, "--val", 2, "--size", 32)
    for place in (folder, folder / "data.yaml"):
        whole = report("dataset", "check", place)
        assert whole["faultCount"] == 0 and [part["pictures"] for part in whole["parts"]] == [6, 2]
    counts = np.zeros(6, int)
    for path in (folder / "labels/train").iterdir():
        np.add.at(counts, np.loadtxt(path, ndmin=2)[:, 0].astype(int), 1)
    assert [entry["count"] for entry in whole["parts"][0]["classes"]] == counts.tolist()
    (folder / "labels/train/00001.txt").write_text("0 0.5 0.5 0.1 0.1\n6 0.5 0.5 0.1 0.1\n")
    (folder / "labels/train/00002.txt").unlink()
    picture = folder / "images/val/00001.png"
    picture.write_bytes(picture.read_bytes()[:-40])
    for options, faults in (((), 2), (("--quick",), 1)):
        result = mutils("dataset", "check", folder, "--json", *options)
        found = json.loads(result.out)
        assert result.code == 1 and found["faultCount"] == faults
        first = found["parts"][0]
        assert first["unlabelled"] == 1 and first["pictures"] == 5
        assert first["faults"] == [
            {"file": str(folder / "labels/train/00001.txt"), "line": 2, "reason": "has the class 6, where there are 6"}]
        assert found["parts"][1]["faultCount"] == faults - 1


@needs_fashion
def test_check_of_classes(tmp_path):
    found = report("dataset", "check", FASHION)
    assert [part["pictures"] for part in found["parts"]] == [60_000, 10_000]
    assert {entry["count"] for entry in found["parts"][0]["classes"]} == {6000}
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (12, 12)).save(tmp_path / "train" / name / "1.png")
    assert "train: 2 pictures" in succeeds("dataset", "check", tmp_path).out
    (tmp_path / "train/a/2.png").write_bytes(b"no picture")
    result = mutils("dataset", "check", tmp_path)
    assert result.code == 1 and "2.png: is neither a PNG nor a JPEG picture" in result.out and result.out.endswith("1 fault\n")
    assert mutils("dataset", "check", tmp_path, "--quick").code == 0
