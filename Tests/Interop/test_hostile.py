"""Broken and malicious files: one line, exit 1, nothing written, nothing run, bounded time and memory."""

import json
import os
import random
import struct

import fixtures_pickles
import hostile_archives as archives
import hostile_pickles as pickles
import pytest
import safetensors
import safetensors_cases
import torch
from helpers import FIXTURES, fails, is_error, mutils
from torch import nn

MEMORY = 500 << 20  # bytes resident
ADDRESS_SPACE = 1 << 30
SECONDS = 10
MARKER = "mutils-was-executed"
LIMITS = dict(timeout=SECONDS, address_space=ADDRESS_SPACE)


def commands(path):
    """info alone, and the commands that would write."""
    folder = path.parent
    return [
        ("info", path),
        ("fuse", path, "-o", folder / "out-fused.pt", "--pair", "conv=bn", "--eps", "1e-5"),
        ("prune", path, "-o", folder / "out-pruned.pt"),
        ("convert", path, "-o", folder / "out.safetensors"),
    ]


def nothing_happened(folder, kept):
    """No output, no temporary file, no marker."""
    assert sorted(p.name for p in folder.iterdir()) == sorted(kept)


def bounded(result):
    assert not result.timed_out, f"{result.command}: longer than {SECONDS} s"
    assert result.code >= 0, f"{result.command}: signal {-result.code}\n{result.err[-800:]}"
    assert result.peak < MEMORY, f"{result.command}: {result.peak >> 20} MB"
    assert "Fatal error" not in result.err and "Swift" not in result.err, result.err[-800:]


def refused(data, tmp_path, name="bad.pt", only_info=False):
    """Every command refuses the file."""
    path = tmp_path / name
    path.write_bytes(data)
    for command in commands(path)[: 1 if only_info else None]:
        result = fails(*command, naming=name, cwd=tmp_path, **LIMITS)
        bounded(result)
        nothing_happened(tmp_path, [name])


def survived(data, tmp_path, name="odd.pt"):
    """Every command either works or refuses; nothing is run."""
    path = tmp_path / name
    path.write_bytes(data)
    codes = []
    for command in commands(path):
        result = mutils(*command, cwd=tmp_path, **LIMITS)
        bounded(result)
        assert result.code in (0, 1), f"{result.command}: exit {result.code}\n{result.err}"
        if result.code == 1:
            errors = [line for line in result.err.splitlines() if not line.startswith("mutils: note: ")]
            assert len(errors) == 1 and is_error(errors[0], "--json" in command) and name in errors[0], result.err
        assert not (tmp_path / MARKER).exists()
        for file in tmp_path.iterdir():
            if file != path:
                assert result.code == 0 and file.name.startswith("out"), file.name
                file.unlink()
        codes.append(result.code)
    return codes


# --- cut short --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zip.pt", "module.pt"])
def test_archives_cut_short(name, tmp_path):
    """An archive's directory stands at its end: no cut can be read."""
    data = archives.good_files()[name]
    for cut in archives.boundaries(data):
        refused(data[:cut], tmp_path, only_info=cut % 7 != 0)


def test_legacy_cut_short(tmp_path):
    data = archives.good_files()["legacy.pt"]
    stops = {i + 1 for i, b in enumerate(data) if b == ord(".")}
    for cut in archives.spread(stops, len(data), 60):
        refused(data[:cut], tmp_path, only_info=cut % 7 != 0)


def test_safetensors_cut_short(tmp_path):
    data = archives.good_files()["x.safetensors"]
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for cut in archives.spread({0, 8, header}, len(data), 40):
        refused(data[:cut], tmp_path, "bad.safetensors", only_info=cut % 7 != 0)


def test_index_cut_short(tmp_path):
    data = (FIXTURES / "sharded/model.safetensors.index.json").read_bytes().rstrip()
    for cut in archives.spread({0, len(data)}, len(data), 25):
        refused(data[:cut], tmp_path, "model.safetensors.index.json", only_info=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"hello\n" * 100,
        bytes(1000),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff" * 5000,
        b"{}",
        b"[1, 2]",
        b"PK",
    ],
    ids=["nothing", "line feed", "text", "zeros", "png", "ones", "json object", "json array", "PK"],
)
@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors", "bad.index.json", "bad"])
def test_other_files(name, data, tmp_path):
    refused(data, tmp_path, name, only_info=True)


def test_no_file_and_a_folder(tmp_path):
    fails("info", tmp_path / "missing.pt", naming="missing.pt")
    (tmp_path / "folder.pt").mkdir()
    fails("info", tmp_path / "folder.pt", naming="folder.pt")


# --- pickles ----------------------------------------------------------------------------------------------------


def test_the_hand_made_archives_are_good(tmp_path):
    """The files that the cases below spoil are good before, for PyTorch and for us."""
    for name, data in (
        ("good.pt", archives.good_archive()),
        ("old.pt", archives.good_legacy()),
        ("64.pt", archives.zip64()),
    ):
        (tmp_path / name).write_bytes(data)
        assert torch.load(tmp_path / name)["a"].tolist() == [0, 0, 0, 0]
        result = mutils("info", tmp_path / name)
        assert result.code == 0, (name, result.err)
    (tmp_path / "deflated.pt").write_bytes(archives.deflated(pickles.state(a=pickles.tensor())))
    assert mutils("info", tmp_path / "deflated.pt").code == 0


@pytest.mark.parametrize("name", pickles.bad_pickles())
def test_bad_pickles(name, tmp_path):
    refused(archives.archive(pickles.bad_pickles()[name]), tmp_path)


@pytest.mark.parametrize("name", pickles.bad_tensors())
def test_bad_tensors(name, tmp_path):
    refused(archives.archive(pickles.bad_tensors()[name]), tmp_path)


@pytest.mark.parametrize("name", pickles.deep_pickles(1))
def test_deep_pickles(name, tmp_path):
    """A hundred thousand levels: read or refused, never a crash."""
    survived(archives.archive(pickles.deep_pickles()[name]), tmp_path)


def test_deep_modules(tmp_path):
    survived(archives.archive(pickles.deep_modules()), tmp_path)


@pytest.mark.parametrize("name", pickles.wide_pickles())
def test_wide_pickles(name, tmp_path):
    """References are followed once."""
    survived(archives.archive(pickles.wide_pickles()[name]), tmp_path)


@pytest.mark.parametrize("name", pickles.odd_pickles())
def test_odd_pickles(name, tmp_path):
    """Legal for Python, and cheap there."""
    survived(archives.archive(pickles.odd_pickles()[name]), tmp_path)


@pytest.mark.parametrize("kept", [False, True], ids=["alone", "beside a tensor"])
@pytest.mark.parametrize("name", pickles.malicious_pickles(MARKER))
def test_nothing_is_called(name, kept, tmp_path):
    """A file that is a call is refused; a call beside good tensors stays an uncalled, named object."""
    payload = pickles.malicious_pickles(MARKER)[name]
    if kept:
        data = archives.archive(pickles.state(a=pickles.tensor(), payload=payload))
        survived(data, tmp_path)
    else:
        refused(archives.archive(pickles.PROTO + payload + pickles.STOP), tmp_path)


@pytest.mark.parametrize("name", pickles.malicious_pickles(MARKER))
def test_nothing_is_called_in_old_files(name, tmp_path):
    payload = pickles.malicious_pickles(MARKER)[name]
    survived(archives.legacy(pickles.state(a=archives.legacy_tensor(), payload=payload)), tmp_path)
    survived(pickles.PROTO + payload + pickles.STOP, tmp_path)


def test_a_call_survives_a_rewrite_uncalled(tmp_path):
    """What is unknown in a whole-module file is written back as it was, not run."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    net.payload = fixtures_pickles.Calls(os.system, f"touch {MARKER}")
    torch.save(net, tmp_path / "in.pt")
    for command in ("fuse", "prune", "convert"):
        result = mutils(command, tmp_path / "in.pt", "-o", tmp_path / f"{command}.pt", cwd=tmp_path)
        assert result.code in (0, 1)
        assert not (tmp_path / MARKER).exists()
        if result.code == 0:
            assert f"touch {MARKER}".encode() in (tmp_path / f"{command}.pt").read_bytes()


def test_audit_names_the_calls(tmp_path):
    """`check` names what Python would have called and exits 1; YOLO's forward_fuse alone is no danger."""
    for file in ("unsafe_system.pt", "unsafe_eval.pt"):
        result = mutils("check", FIXTURES / file, "--json", cwd=tmp_path)
        if result.code == 64:
            pytest.skip("this build has no check")
        assert result.code == 1
        assert ("system" if "system" in file else "eval") in result.out + result.err
    assert mutils("check", FIXTURES / "yolov5_tiny_fused.pt").code == 0
    nothing_happened(tmp_path, [])


def test_zero_strides(tmp_path):
    """One number that claims to be 10^15 of them: may be counted, must never be written out."""
    for shape, stride in (((10**15,), (0,)), ((2**31, 2**31), (0, 0)), ((10**6, 10**6, 4), (0, 0, 1))):
        bomb = pickles.state(a=pickles.tensor(shape, stride))
        path = tmp_path / "bomb.pt"
        path.write_bytes(archives.archive(bomb))
        for command in commands(path):
            result = mutils(*command, cwd=tmp_path, **LIMITS)
            bounded(result)
            assert result.code in (0, 1)
        result = fails("convert", path, "-o", tmp_path / "again.safetensors", naming="bomb.pt", **LIMITS)
        for file in tmp_path.iterdir():
            assert file.stat().st_size < 1 << 20
            file.unlink()


# --- archives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", archives.bad_archives())
def test_bad_archives(name, tmp_path):
    refused(archives.bad_archives()[name], tmp_path)


@pytest.mark.parametrize("folder", ["..", "../..", "/tmp", "a/../../b", "C:\\x", "a" * 5000, "é", ""])
def test_odd_folders(folder, tmp_path):
    """Names inside an archive are never paths on the disk."""
    (tmp_path / "inside").mkdir()
    survived(archives.archive(pickles.state(a=pickles.tensor()), folder=folder), tmp_path / "inside")
    nothing_happened(tmp_path, ["inside"])


def test_strange_but_good_archives(tmp_path):
    """Junk behind, members nobody asked for, wrong checksums: PyTorch reads these."""
    good = archives.good_archive()
    more = archives.archive(
        pickles.state(a=pickles.tensor()), extra=[("archive/../../evil", b"x"), ("other/data.pkl", b"x")]
    )
    for data in (
        good + bytes(100),
        more,
        archives.with_central("data/0", 16, b"\1\2\3\4"),
        archives.with_central("data.pkl", 16, b"\1\2\3\4"),
    ):
        survived(data, tmp_path)


@pytest.mark.parametrize("name", archives.bad_legacies())
def test_bad_legacy_files(name, tmp_path):
    refused(archives.bad_legacies()[name], tmp_path)


# --- safetensors ------------------------------------------------------------------------------------------------


def library_accepts(data):
    try:
        safetensors.deserialize(data)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("name", safetensors_cases.cases())
def test_safetensors_verdicts(name, tmp_path):
    """What the reference library refuses is refused, what it accepts is accepted; but for lengths that no integer here holds."""
    data = safetensors_cases.cases()[name]
    if library_accepts(data) and name not in safetensors_cases.BEYOND_INTEGERS:
        path = tmp_path / "x.safetensors"
        path.write_bytes(data)
        for command in (("info", path), ("convert", path, "-o", tmp_path / "y.safetensors")):
            result = mutils(*command, **LIMITS)
            bounded(result)
            assert result.code == 0, f"the library accepts it\n{result.err}"
        assert library_accepts((tmp_path / "y.safetensors").read_bytes())
    else:
        refused(data, tmp_path, "bad.safetensors", only_info=": " in name)


@pytest.mark.parametrize("name", safetensors_cases.with_duplicate_names())
def test_duplicate_names_are_refused(name, tmp_path):
    refused(safetensors_cases.with_duplicate_names()[name], tmp_path, "bad.safetensors")


@pytest.mark.parametrize(
    "index",
    [
        {},
        [],
        None,
        {"weight_map": None},
        {"weight_map": []},
        {"weight_map": {"w": 1}},
        {"weight_map": {"w": None}},
        {"metadata": {}},
        {"weight_map": {"w": "model.safetensors.index.json"}},
        {"weight_map": {"w": ""}},
        {"weight_map": {"w": "."}},
    ],
    ids=str,
)
def test_bad_indexes(index, tmp_path):
    refused(json.dumps(index).encode(), tmp_path, "model.safetensors.index.json", only_info=True)


# --- chance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", archives.good_files())
def test_flipped_bits(name, tmp_path):
    """A flipped bit may hit a weight and be harmless; it never crashes, hangs or grows."""
    good = archives.good_files()[name]
    chance = random.Random(f"flip {name}")
    for i in range(120):
        data = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 8))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path = tmp_path / name
        path.write_bytes(data)
        command = commands(path)[i % 4]
        result = mutils(*command, cwd=tmp_path, **LIMITS)
        bounded(result)
        assert result.code in (0, 1), f"flip {i}: exit {result.code}\n{result.err}"
        for file in tmp_path.iterdir():
            if file != path:
                assert result.code == 0, f"flip {i} left {file.name}"
                file.unlink()


def test_shuffled_pickles(tmp_path):
    """Opcodes of a good pickle left out, doubled or exchanged."""
    good = pickles.state(a=pickles.tensor(), b=pickles.tensor((2, 2), (2, 1)))
    chance = random.Random("shuffle")
    path = tmp_path / "x.pt"
    for i in range(250):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(2, len(data))
            match chance.randrange(4):
                case 0:
                    del data[at]
                case 1:
                    data.insert(at, data[at])
                case 2:
                    data[at] = chance.choice(
                        b"(.0123IJKLMNPQRSTUVXabcdeghijlopqrstu}]()\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x93\x94"
                    )
                case 3:
                    data[at:at] = chance.choice(
                        (b"h\x00", b"q\x00", b"(", b"t", b"0", b"2", b"R", b"b", b"}", b"]", b"s", b"u")
                    )
        path.write_bytes(archives.archive(bytes(data)))
        result = mutils("info", path, **LIMITS)
        bounded(result)
        assert result.code in (0, 1), f"shuffle {i}: exit {result.code}\n{result.err}"
