"""check is at least as wary as picklescan and fickling: what either calls unsafe is suspicious or dangerous, or no model at all."""

import io
import json

import pytest
from fickling.analysis import Severity, check_safety
from fickling.fickle import Pickled
from helpers import is_error, mutils
from hostile_archives import archive
from hostile_pickles import PROTO, STOP, bad_pickles, call, malicious_pickles, name, odd_pickles, state, tensor, text, tuple_of
from picklescan.scanner import scan_pickle_bytes

MARKER = "/nowhere/marker"


def method(path, attribute):
    """A method of a path, looked up as YOLO's fused files look up forward_fuse."""
    made = name("pathlib", "PosixPath") + tuple_of(text(path)) + b"\x81"
    return call(name("builtins", "getattr"), made, text(attribute))


def brings(attribute, value):
    """An object whose own state takes the place of a method that Python calls."""
    return name("argparse", "Namespace") + b")\x81}" + text(attribute) + value + b"sb"


PAYLOADS = {
    **malicious_pickles(MARKER),
    "uuid": call(name("uuid", "_get_command_stdout"), text("touch"), text(MARKER)),
    "tempfile": call(name("tempfile", "mkdtemp")),
    "platform": call(name("platform", "popen"), text("true")),
    "itemgetter": call(name("operator", "itemgetter"), text("a")),
    "partial": call(name("functools", "partial"), name("os", "system"), text("true")),
    "partial, called": call(call(name("functools", "partial"), name("os", "getcwd"))),
    "zip file": call(name("zipfile", "ZipFile"), text(MARKER), text("w")),
    "file handler": call(name("logging", "FileHandler"), text(MARKER)),
    "memory map": call(name("numpy", "memmap"), text(MARKER), text("uint8"), text("w+")),
    "a looked up method, called": method(MARKER, "touch") + b")R",
    "setstate of its own": brings("__setstate__", method(MARKER, "write_text")) + text("x") + b"b",
    "append of its own": brings("append", method(MARKER, "write_text")) + text("x") + b"a",
    "reduce_graph_module": call(name("torch.fx.graph_module", "reduce_graph_module"), b"}", b"}"),
    "cloudpickle": call(name("cloudpickle.cloudpickle", "subimport"), text("os")),
    "antigravity": name("antigravity", "webbrowser"),
}


def unsafe(data):
    """What the others say. fickling calls whatever names torch unsafe: the pickles asked about hold no tensors."""
    said = set()
    try:
        if scan_pickle_bytes(io.BytesIO(data), "data.pkl").issues_count:
            said.add("picklescan")
    except Exception:  # which some broken pickles make it raise
        pass
    try:
        if check_safety(Pickled.load(data)).severity > Severity.POSSIBLY_UNSAFE:
            said.add("fickling")
    except Exception:
        pass
    return said


def verdict(path):
    """Ours; "broken" where nothing is wrong but that it cannot be read, None where the file is refused."""
    result = mutils("check", path, "--json")
    if result.out:
        answer = json.loads(result.out)
        return "broken" if result.code == 1 and answer["verdict"] == "safe" else answer["verdict"]
    assert result.code == 2 and is_error(result.err, True), result.err
    return None


@pytest.mark.parametrize("kind", PAYLOADS)
def test_payloads(tmp_path, kind):
    data = state(x=PAYLOADS[kind])
    path = tmp_path / "m.pt"
    path.write_bytes(archive(data))
    ours = verdict(path)
    assert ours in ("suspicious", "dangerous")
    if "picklescan" in unsafe(data):
        assert ours == "dangerous"
    # None of them is passed on.
    path.write_bytes(archive(state(weight=tensor(), x=PAYLOADS[kind])))
    result = mutils("convert", path, "-o", tmp_path / "out.pt")
    assert result.code == 1 and ("not written again" in result.err or "not supported" in result.err), result.err
    assert not (tmp_path / "out.pt").exists()


BROKEN = {**bad_pickles(), **odd_pickles()}


@pytest.mark.parametrize("kind", [k for k, v in BROKEN.items() if len(v) < 5000])
def test_broken(tmp_path, kind):
    """Python stops at the error as well, so that naming it is enough; what we read without a finding is what we allow."""
    said = unsafe(BROKEN[kind])
    path = tmp_path / "m.pt"
    path.write_bytes(archive(BROKEN[kind]))
    ours = verdict(path)
    if "picklescan" in said or ("fickling" in said and b"torch._utils" not in BROKEN[kind]):
        assert ours != "safe", said


def test_plain_pickles(tmp_path):
    for kind, payload in PAYLOADS.items():
        path = tmp_path / "m.pkl"
        path.write_bytes(PROTO + payload + STOP)
        assert verdict(path) in ("suspicious", "dangerous"), kind
