"""mutils train of a detector under a real mpirun: each rank has its share of the pictures, and gradients add up."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from launching import BUILD, ends, errors, needs_mpirun, start

pytestmark = needs_mpirun
LONG = 240  # seconds for a build without optimization on a loaded machine
OPTIONS = ["--model", "yolov6lite_s", "--image-size", "64", "--epochs", "2", "--set", "warmup_epochs=0", "--set", "warmup_steps=2",
           "--set", "nbs=1", "--keep-state", "--threads", "1", "--quiet"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    r = np.random.default_rng(3)
    for part, count in (("train", 7), ("val", 2)):
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for index in range(count):
            pixels = r.integers(0, 90, (64, 64, 3), dtype=np.uint8)
            x, y = r.integers(4, 40, 2)
            pixels[y : y + 17, x : x + 17, index % 2] = 230
            Image.fromarray(pixels).save(folder / "images" / part / f"{index}.png")
            row = f"{index % 2} {(x + 8.5) / 64} {(y + 8.5) / 64} {17 / 64} {17 / 64}\n"
            (folder / "labels" / part / f"{index}.txt").write_text(row)
    path = folder / "data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: [red, green]\n")
    return path


def trained(count, *arguments):
    status, out, err = ends(start(count, BUILD / "mutils", "train", *arguments), LONG)
    assert status == 0, err
    return out


def table(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader((folder / "results.csv").open())]


def test_ranks_share_an_epoch(tmp_path, data):
    """Seven pictures of two ranks are four each, in batches of two; twice the same bytes; and so they are gone on with."""
    out = trained(2, data, *OPTIONS, "--batch-size", "4", "--json", "-o", tmp_path / "first")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["step"] for line in lines if "step" in line] == [1, 2, 3, 4]
    trained(2, data, *OPTIONS, "--batch-size", "4", "-o", tmp_path / "second")
    assert (tmp_path / "first/last.pt").read_bytes() == (tmp_path / "second/last.pt").read_bytes()
    assert table(tmp_path / "first") == table(tmp_path / "second")


def test_statistics_of_all_ranks(tmp_path, data):
    trained(2, data, *OPTIONS, "--batch-size", "4", "--sync-batch-norm", "-o", tmp_path / "run")
    assert len(table(tmp_path / "run")) == 2


def test_a_picture_that_one_rank_cannot_read_ends_all(tmp_path, data):
    broken = data.parent / "images/train/3.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    try:
        status, _, err = ends(start(2, BUILD / "mutils", "train", data, *OPTIONS, "--batch-size", "4", "-o", tmp_path / "run"), LONG)
        assert status == 1 and any("3.png" in line for line in errors(err))
    finally:
        broken.write_bytes(whole)
