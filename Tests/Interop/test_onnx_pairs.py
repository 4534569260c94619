"""ONNX models whose weights lie beside them: both are whole at any time, and nothing outside the folder is read."""

import hashlib
import os
import shutil

import numpy as np
import onnx
import onnx_judges as judges
import pytest
from helpers import fails, report, succeeds
from onnx import external_data_helper
from onnx_judges import feeds, network, report_of_check


@pytest.fixture
def pair(tmp_path):
    onnx.save(network(), tmp_path / "pair.onnx", save_as_external_data=True, location="pair.data", size_threshold=0)
    return tmp_path / "pair.onnx"


def test_pairs(pair, tmp_path):
    succeeds("convert", pair, "-o", tmp_path / "inside.onnx", "--inline")
    assert not (tmp_path / "inside.onnx.data").exists()
    succeeds("convert", tmp_path / "inside.onnx", "-o", tmp_path / "beside.onnx", "--external-data")
    assert (tmp_path / "beside.onnx.data").stat().st_size >= 8 * 27 * 4
    (tmp_path / "other").mkdir()
    succeeds("convert", pair, "-o", tmp_path / "other/copy.onnx")
    for path in (tmp_path / "inside.onnx", tmp_path / "beside.onnx", tmp_path / "other/copy.onnx"):
        judges.check(path)
        judges.assert_same_outputs(pair, path, feeds(pair), 0)
        assert report("diff", pair, path)["equal"]


def test_a_pair_over_itself(pair, tmp_path):
    """The old data is read to its end, and goes when the new pair is whole."""
    succeeds("convert", pair, "-o", tmp_path / "own.onnx")
    expected = judges.outputs(tmp_path / "own.onnx", feeds(pair))["y"]
    for _ in range(3):
        succeeds("convert", tmp_path / "own.onnx", "-o", tmp_path / "own.onnx", "--force")
        np.testing.assert_array_equal(judges.outputs(tmp_path / "own.onnx", feeds(pair))["y"], expected)
        assert len(list(tmp_path.glob("own*"))) == 2 and not list(tmp_path.glob(".own*"))
    succeeds("convert", tmp_path / "own.onnx", "-o", tmp_path / "own.onnx", "--inline", "--force")
    assert [path.name for path in tmp_path.glob("own*")] == ["own.onnx"]


def renamed(pair, location, **entries):
    built = onnx.load(pair, load_external_data=False)
    for item in built.graph.initializer:
        held = {entry.key: entry.value for entry in item.external_data}
        held.update({"location": location} if location is not None else {}, **entries)
        del item.external_data[:]
        for key, value in held.items():
            entry = item.external_data.add()
            entry.key, entry.value = key, value
    pair.write_bytes(built.SerializeToString())


LOCATIONS = {
    "missing": ("gone.data", {}, "not there"), "empty": ("", {}, "no name"), "up": ("../pair.data", {}, "out of"),
    "up within": ("a/../pair.data", {}, "out of"), "absolute": ("/etc/passwd", {}, "out of"),
    "device": ("/dev/zero", {}, "out of"), "folder": ("sub", {}, "regular file"), "fifo": ("pipe", {}, "regular file"),
    "link": ("link.data", {}, "out of"), "itself": ("pair.onnx", {}, "the model itself"),
    "offset past the end": (None, {"offset": "99999999"}, "ends at"), "negative": (None, {"offset": "-1"}, "-1"),
    "no number": (None, {"offset": "x"}, "offset"), "wraps": (None, {"offset": "9223372036854775800"}, "ends at"),
    "length": (None, {"length": "5"}, "5 bytes"),
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_locations(name, pair, tmp_path):
    location, entries, reason = LOCATIONS[name]
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    outside = tmp_path.parent / "outside.data"
    outside.write_bytes(bytes(4000))
    (tmp_path / "link.data").symlink_to(outside)
    renamed(pair, location, **entries)
    if name in ("negative", "no number"):
        fails("info", pair, naming=reason)
    else:
        report("info", pair)
        assert any(finding["severity"] == "broken" for finding in report_of_check(pair)["findings"])
    fails("convert", pair, "-o", tmp_path / "out.onnx", naming=reason)
    assert not (tmp_path / "out.onnx").exists()


def test_links_of_a_store(pair, tmp_path):
    """As Hugging Face's cache has it: a folder of links to files in another."""
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "blobs").mkdir()
    for name in ("pair.onnx", "pair.data"):
        shutil.move(tmp_path / name, tmp_path / "blobs" / name)
        (tmp_path / "snapshots" / name).symlink_to(tmp_path / "blobs" / name)
    succeeds("convert", tmp_path / "snapshots/pair.onnx", "-o", tmp_path / "out.safetensors")


def test_checksums(pair):
    external_data_helper.load_external_data_for_model(built := onnx.load(pair, load_external_data=False), str(pair.parent))
    digests = {item.name: hashlib.sha1(item.raw_data).hexdigest() for item in built.graph.initializer}
    held = onnx.load(pair, load_external_data=False)
    for item in held.graph.initializer:
        entry = item.external_data.add()
        entry.key, entry.value = "checksum", digests[item.name]
    pair.write_bytes(held.SerializeToString())
    assert not [f for f in report("check", pair)["findings"] if f["severity"] == "broken"]
    data = bytearray((pair.parent / "pair.data").read_bytes())
    data[5] ^= 1
    (pair.parent / "pair.data").write_bytes(data)
    assert any("SHA-1" in finding["what"] for finding in report_of_check(pair)["findings"])


def test_through_a_link(pair, tmp_path):
    """What a link leads to is replaced, with its data beside it."""
    (tmp_path / "links").mkdir()
    for name in ("pair.onnx", "pair.data"):
        (tmp_path / "links" / name).symlink_to(tmp_path / name)
    expected = judges.outputs(pair, feeds(pair))["y"]
    succeeds("convert", tmp_path / "links/pair.onnx", "-o", tmp_path / "links/pair.onnx", "--force")
    np.testing.assert_array_equal(judges.outputs(pair, feeds(pair))["y"], expected)
    assert sorted(path.name for path in (tmp_path / "links").iterdir()) == ["pair.data", "pair.onnx"]


def test_data_that_another_model_names(pair, tmp_path):
    succeeds("convert", pair, "-o", tmp_path / "own.onnx")
    shutil.copy(tmp_path / "own.onnx", tmp_path / "copy.onnx")
    expected = judges.outputs(tmp_path / "copy.onnx", feeds(pair))["y"]
    for amount in ("0.2", "0.5", "0.7"):
        succeeds("prune", tmp_path / "own.onnx", "-o", tmp_path / "own.onnx", "--force", "--amount", amount)
        np.testing.assert_array_equal(judges.outputs(tmp_path / "copy.onnx", feeds(pair))["y"], expected)
    assert len(list(tmp_path.glob("own*.data"))) == 2
