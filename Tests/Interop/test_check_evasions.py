"""check and writing against files made to get past an audit: torch.load of each leaves a mark, so none may be called
safe, and nothing that we write of one may leave the mark again."""

import io
import json
import struct
import subprocess
import sys
import zipfile

import pytest
import torch
from helpers import mutils, report
from hostile_archives import archive
from hostile_checks import Evil, checked
from hostile_pickles import PROTO, STOP, call, dict_of, integer, name, tensor, text, tuple_of
from torch import nn

TOUCH = text("touch MARK")
SOURCE = text("open('MARK', 'w')")
NONE = b"N"


def runs(path, folder):
    """Whether torch.load of a file leaves the mark."""
    mark = folder / "MARK"
    mark.unlink(missing_ok=True)
    code = "import sys, torch; torch.load(sys.argv[1], weights_only=False, map_location='cpu')"
    subprocess.run([sys.executable, "-c", code, path], cwd=folder, capture_output=True)
    return mark.exists()


def build(made, *states):
    return made + b"".join(state + b"b" for state in states)


def new(module, function, *arguments):
    return name(module, function) + tuple_of(*arguments) + b"\x81"


def payload(module, function, *arguments):
    return call(name(module, function), *arguments)


SYSTEM = name("os", "system")
MODULE = new("torch.nn.modules.container", "Sequential")
GETATTR = name("builtins", "getattr")
PATH = payload("pathlib", "PosixPath", text("MARK"))
OWN = name("torch.nn.modules.container", "Sequential")

PAYLOADS = {
    "rebuild from type": payload("torch._tensor", "_rebuild_from_type_v2", SYSTEM, OWN, tuple_of(TOUCH), NONE),
    "rebuild from type, exec": payload(
        "torch._tensor", "_rebuild_from_type", name("builtins", "exec"), OWN, tuple_of(SOURCE), dict_of()
    ),
    "rebuild with a lookup": payload(
        "torch._tensor", "_rebuild_from_type_v2", call(GETATTR, PATH, text("write_text")), OWN, tuple_of(text("x")), NONE
    ),
    # An innocent lookup does not excuse another use of getattr.
    "handed over beside a lookup": call(GETATTR, new("models.common", "Conv"), text("forward"))
    + b"0"
    + payload("torch._tensor", "_rebuild_from_type_v2", GETATTR, OWN, tuple_of(PATH, text("touch")), NONE)
    + b")R",
    "a path's method": call(call(GETATTR, PATH, text("write_text")), text("x")),
    "sympify": payload("sympy", "sympify", SOURCE),
    "spawnv": payload("random", "_os.system", TOUCH),
    "cPickle": payload("cPickle", "loads", b"C" + bytes([len(b := b"cos\nsystem\n(S'touch MARK'\ntR.")]) + b),
    "exec with source": payload("torch.fx.graph_module", "_exec_with_source", SOURCE, dict_of()),
    "reconstructor": payload("copyreg", "__newobj__", name("subprocess", "Popen"), TOUCH)
    + b"0"
    + payload("subprocess", "getoutput", TOUCH),
    "octal escapes": b"cos\nsystem\n(S'\\164\\157\\165\\143\\150 MARK'\ntR",
    "a state's key in escapes": build(
        MODULE, dict_of(**{"__setstate__": SYSTEM}).replace(text("__setstate__"), b"S'\\137_setstate__'\n"), TOUCH
    ),
    "a state's key by a call": build(
        MODULE, b"}(" + payload("builtins", "str", text("__setstate__")) + SYSTEM + b"u", TOUCH
    ),
    "a state by a call": build(
        MODULE, payload("builtins", "dict", b"](" + tuple_of(text("__setstate__"), SYSTEM) + b"e"), TOUCH
    ),
    "partial": call(payload("functools", "partial", SYSTEM, TOUCH)),
    "numpy's constructor": payload("numpy.random._pickle", "__generator_ctor", TOUCH, SYSTEM),
    "map": payload("builtins", "list", payload("builtins", "map", SYSTEM, b"](" + TOUCH + b"e")),
    "iter": payload("builtins", "list", payload("builtins", "map", name("os", "system"), tuple_of(TOUCH))),
    "yaml": payload("yaml", "unsafe_load", text("!!python/object/apply:os.system ['touch MARK']")),
    "timer": call(call(GETATTR, payload("threading", "Timer", integer(0), SYSTEM, tuple_of(TOUCH)), text("run"))),
    "cpp extension": payload("torch.utils.cpp_extension", "subprocess.getoutput", TOUCH),
    "collect_env": payload("torch.utils.collect_env", "run", TOUCH),
    "numpy load": payload("numpy.testing._private.utils", "runstring", SOURCE, dict_of()),
    "timeit": payload("timeit", "timeit", SOURCE, NONE, name("time", "time"), integer(1)),
    "a name of an opcode's line": b"ctorch\nserialization.os.system\n" + tuple_of(TOUCH) + b"R",
    "raw unicode": b"cos\nsystem\n(V\\u0074ouch MARK\ntR",
    "gc": payload("_pyio", "open", text("MARK"), text("w")),
    "logging": payload("logging", "FileHandler", text("MARK")),
    "zipapp": payload("zipfile", "ZipFile", text("MARK"), text("w")),
    "save": payload("torch", "save", NONE, text("MARK")),
    "numpy save": payload("numpy", "savetxt", text("MARK"), tuple_of(integer(1))),
    "memmap": payload("numpy", "memmap", text("MARK"), text("uint8"), text("w+"), integer(0), tuple_of(integer(1))),
    "from file": payload("torch", "from_file", text("MARK"), b"\x88", integer(4)),
    "newobj of memmap": new("numpy", "memmap", text("MARK"), text("uint8"), text("w+"), integer(0), integer(1)),
    "attribute of a class": b"cpathlib\nPosixPath.touch\n" + tuple_of(PATH) + b"R",
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_payloads(tmp_path, kind):
    path = tmp_path / "m.pt"
    # Dotted names need protocol 4; Python 2's modules have their new names up to protocol 3.
    proto = PROTO if kind == "cPickle" else b"\x80\x04"
    path.write_bytes(archive(proto + dict_of(weight=tensor()) + PAYLOADS[kind] + b"0" + STOP))
    assert checked(path) in ("dangerous", None), "thrown away"
    path.write_bytes(archive(proto + dict_of(weight=tensor(), x=PAYLOADS[kind]) + STOP))
    # Some need more than Python and torch, or another version; they are judged all the same.
    executed = runs(path, tmp_path)
    assert checked(path) in ("dangerous", None), executed
    for arguments in (["convert"], ["prune", "--amount", "0.3"], ["strip"]):
        out = tmp_path / "out.pt"
        result = mutils(*arguments, path, "-o", out)
        assert result.code == 1 and not out.exists(), result.command


@pytest.mark.slow
def test_most_of_them_run(tmp_path):
    """What Python does with the payloads above does not change with the command."""
    ran = set()
    for kind, data in PAYLOADS.items():
        path = tmp_path / "m.pt"
        path.write_bytes(archive(b"\x80\x04" + dict_of(weight=tensor(), x=data) + STOP))
        if runs(path, tmp_path):
            ran.add(kind)
    assert len(ran) >= len(PAYLOADS) * 0.7, sorted(set(PAYLOADS) - ran)


# --- what two readers read differently --------------------------------------------------------------------------


def members(value):
    raw = io.BytesIO()
    torch.save(value, raw)
    with zipfile.ZipFile(raw) as z:
        return [(n, z.read(n)) for n in z.namelist()]


def at(value, base):
    """The members and the directory of a checkpoint whose offsets count from `base`, and (entries, size, offset)."""
    out = io.BytesIO(bytes(base))
    out.seek(0, 2)
    with zipfile.ZipFile(out, "a") as z:
        for member in members(value):
            z.writestr(*member)
    data = out.getvalue()
    end = data.rfind(b"PK\5\6")
    return data[base:end], struct.unpack("<HII", data[end + 10 : end + 20])


def end(count, size, offset, comment=b"", length=None):
    return b"PK\5\6" + struct.pack("<4H2IH", 0, 0, count, count, size, offset, len(comment) if length is None else length) + comment


GOOD, EVIL = {"w": torch.ones(3)}, {"w": torch.zeros(3), "e": Evil()}


def two_directories():
    good, g = at(GOOD, 0)
    evil, e = at(EVIL, len(good))
    return good + evil, g, e


def wide_record():
    body, g, e = two_directories()
    record = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, e[0], *e)
    return body + record + b"PK\6\7" + struct.pack("<IQI", 0, len(body), 1) + end(*g)


def comment():
    body, g, e = two_directories()
    return body + end(*g, end(*e, length=7))


def case():
    listed = members(GOOD)
    listed.insert(1, ("archive/DATA.PKL", b"N0cos\nsystem\n(S'touch MARK'\ntR."))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for member in listed:
            z.writestr(*member)
    return out.getvalue()


def other_folder():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("b/DATA.PKL", b"N0cos\nsystem\n(S'touch MARK'\ntR.")
        for member in members(GOOD):
            z.writestr(*member)
    return out.getvalue()


def polyglot():
    length = 0x04034B50
    out = io.BytesIO(bytes(8 + length))
    out.seek(0, 2)
    with zipfile.ZipFile(out, "a") as z:
        for member in members(EVIL):
            z.writestr(*member)
    data = out.getvalue()[8 + length :]
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", length) + header + b" " * (length - len(header)) + data


def frame():
    """The frame ends within the name: Python takes what stands behind it for the whole."""
    body = b"N0c__torch__."
    return archive(b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body + b"subprocess\ngetoutput\n(X\n\0\0\0touch MARKtR0" + dict_of(w=tensor()) + STOP)


def tar():
    """A pickle whose first text is the header of a tar archive."""
    header = bytearray(512)
    head = b"\x80\x02X" + struct.pack("<I", 600)
    header[: len(head)] = head
    header[100:108] = b"0000644\0"
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    return bytes(header) + bytes(95) + b"0" + dict_of(w=b"K\1") + STOP


READERS = {
    "zip64 record": wide_record,
    "end record in a comment": comment,
    "names without case": case,
    "another folder": other_folder,
    "zip archive and safetensors": polyglot,
    "frame": frame,
    "tar archive": tar,
}


@pytest.mark.parametrize("kind", READERS)
def test_readers(tmp_path, kind):
    path = tmp_path / "m.pt"
    path.write_bytes(READERS[kind]())
    # What becomes of the last three depends on the versions of Python and PyTorch.
    assert runs(path, tmp_path) or kind in ("another folder", "frame", "tar archive")
    assert checked(path) in ("dangerous", None)
    result = mutils("convert", path, "-o", tmp_path / "o.safetensors")
    assert result.code == 1 and not (tmp_path / "o.safetensors").exists()


def test_safetensors_and_pickle(tmp_path):
    """The header's length begins with the opcode V, and the header's line ends the text."""
    payload = b"0cos\nsystem\n(S'touch MARK'\ntR."
    for padding in range(256):
        tensors = {"w": {"dtype": "U8", "shape": [len(payload)], "data_offsets": [0, len(payload)]}}
        header = json.dumps(tensors).encode() + b" " * padding + b"\n"
        if len(header) % 256 == ord("V"):
            break
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + payload)
    assert checked(path) == "dangerous"
    assert mutils("info", path).code == 1


def test_shards_of_an_index(tmp_path):
    torch.save({"a": torch.ones(2), "e": Evil()}, tmp_path / "pytorch_model-00001-of-00001.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}))
    assert checked(index) == "dangerous"


def test_members_that_are_no_pickles_by_name(tmp_path):
    path = tmp_path / "m.pt"
    for first in (b"N0", b"K\x010", b"(1", b"}0", b"U\x01x0"):
        extra = [("archive/evil.bin", first + b"cos\nsystem\n(S'touch MARK'\ntR.")]
        path.write_bytes(archive(PROTO + dict_of(w=tensor()) + STOP, extra=extra))
        assert checked(path) == "dangerous", first


def test_torchscript_that_writes(tmp_path):
    """TorchScript's own code is not judged, which is said; what reaches files is."""

    class Writes(nn.Module):
        def forward(self, x):
            return x + torch.from_file("MARK", True, 4)

    path = tmp_path / "s.pt"
    torch.jit.save(torch.jit.script(nn.Conv2d(3, 4, 3)), path)
    answer = report("check", path)
    assert answer["verdict"] == "safe" and any("not judged" in f["what"] for f in answer["findings"])
    torch.jit.save(torch.jit.script(Writes()), path)
    assert checked(path) == "dangerous"
