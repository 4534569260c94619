"""Broken and malicious files, made from nothing: pickles, archives, legacy files."""

import functools
import io
import pickle
import struct
import zipfile
import zlib

import torch

# --- pickles, opcode by opcode ----------------------------------------------------------------------------------

PROTO = b"\x80\x02"
STOP = b"."


def text(s):
    data = s.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    if -(2**31) <= n < 2**31:
        return b"J" + struct.pack("<i", n)
    data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def dict_of(**items):
    return b"}(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def call(function, *arguments):
    return function + tuple_of(*arguments) + b"R"


def storage(key="0", count=4, kind="FloatStorage", location="cpu"):
    return tuple_of(text("storage"), name("torch", kind), text(key), text(location), integer(count)) + b"Q"


def tensor(shape=(4,), stride=(1,), offset=0, **stored):
    return call(
        name("torch._utils", "_rebuild_tensor_v2"), storage(**stored), integer(offset), tuple_of(*map(integer, shape)),
        tuple_of(*map(integer, stride)), b"\x89", call(name("collections", "OrderedDict")),
    )


def state(**items):
    return PROTO + dict_of(**items) + STOP


# --- archives ---------------------------------------------------------------------------------------------------


def archive(data_pkl, storages=(("0", bytes(16)),), folder="archive", extra=()):
    """A PyTorch archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(f"{folder}/data.pkl", data_pkl)
        z.writestr(f"{folder}/byteorder", "little")
        for key, data in storages:
            z.writestr(f"{folder}/data/{key}", data)
        z.writestr(f"{folder}/version", "3\n")
        for member, data in extra:
            z.writestr(member, data)
    return out.getvalue()


def good_archive():
    return archive(state(a=tensor(), b=tensor((2, 2), (2, 1))))


def central_directory(data):
    """(offset, size) of the central directory, and the offset of its end record."""
    end = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack("<II", data[end + 12 : end + 20])
    return offset, size, end


def members(data):
    """Offsets of the central directory's entries."""
    offset, size, _ = central_directory(data)
    at, result = offset, []
    while at < offset + size:
        n, m, k = struct.unpack("<HHH", data[at + 28 : at + 34])
        result.append((at, data[at + 46 : at + 46 + n].decode()))
        at += 46 + n + m + k
    return result


def patch(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def boundaries(data):
    """Where a cut hurts differently: every record's header, name, content and end; then a spread."""
    offset, size, end = central_directory(data)
    cuts = {0, 1, 4, offset, end, end + 4, len(data) - 1, offset + size}
    for at, _ in members(data):
        local = struct.unpack("<I", data[at + 42 : at + 46])[0]
        length = struct.unpack("<I", data[at + 20 : at + 24])[0]
        n, m = struct.unpack("<HH", data[local + 26 : local + 30])
        cuts |= {at, at + 46, local, local + 30, local + 30 + n, local + 30 + n + m, local + 30 + n + m + length}
    return spread(cuts, len(data))


def spread(cuts, length, count=20):
    cuts = {c + d for c in cuts for d in (-1, 0, 1)} | {length * i // count for i in range(count)}
    return sorted(c for c in cuts if 0 <= c < length)


# --- lists of bad files -----------------------------------------------------------------------------------------


@functools.cache
def bad_pickles():
    """name -> data.pkl that must be refused."""
    huge = 2**63
    return {
        "empty": b"",
        "no stop": PROTO + b"}",
        "stop at once": STOP,
        "stop after proto": PROTO + STOP,
        "protocol 6": b"\x80\x06}.",
        "protocol 255": b"\x80\xff}.",
        "unknown opcode": PROTO + b"\xff" + STOP,
        "unset memo, one byte": PROTO + b"h\x05" + STOP,
        "unset memo, four bytes": PROTO + b"j\xff\xff\xff\xff" + STOP,
        "unset memo, text": PROTO + b"g99999999999999999999\n" + STOP,
        "negative memo": PROTO + b"}p-1\n" + STOP,
        "put on an empty stack": PROTO + b"q\x00" + STOP,
        "memoize on an empty stack": PROTO + b"\x94" + STOP,
        "pop on an empty stack": PROTO + b"0" + STOP,
        "pop mark without mark": PROTO + b"1" + STOP,
        "dup on an empty stack": PROTO + b"2" + STOP,
        "tuple without mark": PROTO + b"K\x01t" + STOP,
        "list without mark": PROTO + b"K\x01l" + STOP,
        "dict without mark": PROTO + b"K\x01d" + STOP,
        "tuple1 on an empty stack": PROTO + b"\x85" + STOP,
        "tuple3 of two": PROTO + b"K\x01K\x01\x87" + STOP,
        "setitems without mark": PROTO + b"}K\x01K\x01u" + STOP,
        "setitems, odd": PROTO + b"}(K\x01u" + STOP,
        "setitems on a list": PROTO + b"](K\x01K\x01u" + STOP,
        "append to a dict": PROTO + b"}K\x01a" + STOP,
        "appends to an integer": PROTO + b"K\x01(K\x01e" + STOP,
        "append to nothing": PROTO + b"K\x01a" + STOP,
        "additems to a list": PROTO + b"](K\x01\x90" + STOP,
        "reduce of two integers": PROTO + b"K\x01K\x01R" + STOP,
        "reduce of nothing": PROTO + b"R" + STOP,
        "build on nothing": PROTO + b"b" + STOP,
        "newobj of nothing": PROTO + b"\x81" + STOP,
        "newobj of an integer": PROTO + b"K\x01)\x81" + STOP,
        "mark left on top": PROTO + b"(" + STOP,
        "stack global of integers": b"\x80\x04K\x01K\x02\x93" + STOP,
        "stack global of nothing": b"\x80\x04\x93" + STOP,
        "persistent id of nothing": PROTO + b"Q" + STOP,
        "persistent id of an integer": PROTO + b"K\x01Q" + STOP,
        "persistent id of another kind": PROTO + tuple_of(text("module"), integer(1)) + b"Q" + STOP,
        "persistent id, too short": PROTO + tuple_of(text("storage")) + b"Q" + STOP,
        "extension": PROTO + b"\x82\x01" + STOP,
        "out-of-band buffer": b"\x80\x05\x97" + STOP,
        "text cut short": PROTO + b"X\x64\x00\x00\x00abc" + STOP,
        "text of 4 GB": PROTO + b"X\xff\xff\xff\xffabc" + STOP,
        "text of 2^63 bytes": b"\x80\x04\x8d" + struct.pack("<Q", huge) + b"abc" + STOP,
        "bytes of 2^64 - 1": b"\x80\x04\x8e" + b"\xff" * 8 + b"abc" + STOP,
        "bytearray of 2^62": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc" + STOP,
        "bytes cut short": b"\x80\x03B\xff\xff\xff\x7fabc" + STOP,
        "negative string length": PROTO + b"T\xff\xff\xff\xffabc" + STOP,
        "long of 2 GB": PROTO + b"\x8b\xff\xff\xff\x7f\x01" + STOP,
        "long of negative length": PROTO + b"\x8b\xff\xff\xff\xff\x01" + STOP,
        "frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", huge) + b"}" + STOP,
        "text that is not UTF-8": PROTO + b"}X\x02\x00\x00\x00\xff\xfeK\x01s" + STOP,
        "integer line that is no integer": PROTO + b"Iabc\n" + STOP,
        "line without end": PROTO + b"I12345",
        "global without end": PROTO + b"ctorch\nFloat",
        "just an integer": PROTO + b"K\x01" + STOP,
        "just None": PROTO + b"N" + STOP,
    }


@functools.cache
def bad_tensors():
    """name -> data.pkl whose tensors do not fit their storage of 16 bytes (or are no tensors at all)."""
    huge = 2**63
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    cases = {
        "longer than the storage": tensor((5,)),
        "offset beyond the storage": tensor((1,), (1,), 4),
        "huge offset": tensor((1,), (1,), 2**62),
        "negative offset": tensor((1,), (1,), -1),
        "stride beyond the storage": tensor((2,), (4,)),
        "huge stride": tensor((2,), (2**62,)),
        "stride that wraps": tensor((5,), (2**62,)),
        "negative stride": tensor((2,), (-1,), 1),
        "negative size": tensor((-1,)),
        "size 2^63": tensor((huge,)),
        "size 2^64": tensor((2**64 + 1,)),
        "sizes that wrap to four": tensor((2**62 + 1, 4), (4, 1)),
        "sizes that overflow": tensor((2**32, 2**32), (2**32, 1)),
        "sizes and strides of different length": tensor((2, 2), (1,)),
        "storage says more than it holds": tensor((8,), count=8),
        "storage says 2^62": tensor((4,), count=2**62),
        "storage says a negative count": tensor((4,), count=-4),
        "storage is missing": tensor(key="7"),
        "storage in another folder": tensor(key="../data.pkl"),
        "storage with an absolute name": tensor(key="/etc/passwd"),
        "storage of an unknown type": tensor(kind="SpamStorage"),
        "too few arguments": call(rebuild, storage()),
        "arguments of the wrong kind": call(rebuild, integer(1), integer(2), integer(3), integer(4), integer(5)),
        "sizes are text": call(rebuild, storage(), integer(0), tuple_of(text("4")), tuple_of(integer(1)), b"\x89", call(name("collections", "OrderedDict"))),
    }
    return {k: state(good=tensor(), bad=v) for k, v in cases.items()}


@functools.cache
def odd_pickles():
    """name -> data.pkl that Python takes, cheaply: read or refused."""
    tail = b"(" + text("a") + tensor() + b"u" + STOP
    no_strides = call(
        name("torch._utils", "_rebuild_tensor_v2"), storage(), integer(0), tuple_of(integer(4)), b"N", b"\x89",
        call(name("collections", "OrderedDict")),
    )
    return {
        "memo 2^32 - 1": PROTO + b"}r\xff\xff\xff\xff" + tail,
        "memo beyond 2^64": PROTO + b"}p99999999999999999999\n" + tail,
        "memo again and again": PROTO + b"}" + b"q\x00" * 100_000 + tail,
        "memoize again and again": b"\x80\x04}" + b"\x94" * 100_000 + tail,
        "a number of 4,000 digits": PROTO + b"L" + b"9" * 4000 + b"L\n0}" + tail,
        "a number of 100,000 digits": PROTO + b"L" + b"9" * 100_000 + b"L\n0}" + tail,
        "a tall stack": PROTO + b"}" * 200_000 + tail,
        "strides are None": state(a=tensor(), b=no_strides),
        "an empty dict": PROTO + b"}" + STOP,
        "an empty list": PROTO + b"]" + STOP,
        "no tensors": state(a=integer(1), b=text("x")),
        "a list of tensors": PROTO + b"](" + tensor() + tensor() + b"e" + STOP,
        "a tensor alone": PROTO + tensor() + STOP,
        "keys that are no text": PROTO + b"}(K\x01" + tensor() + tuple_of(integer(1)) + tensor() + b"u" + STOP,
        "one key twice": PROTO + b"}(" + text("a") + tensor() + text("a") + tensor((2,), (1,)) + b"u" + STOP,
        "an unhashable key": PROTO + b"}(]" + tensor() + b"u" + STOP,
        "names with line feeds": state(**{"a\nmutils: error: b": tensor()}),
        "a name of a megabyte": state(**{"a" * (1 << 20): tensor()}),
    }


def deep(opening, closing, middle, depth):
    return opening * depth + middle + closing * depth


@functools.cache
def deep_pickles(depth=100_000):
    """name -> data.pkl that nests very deep beside a good tensor; Python's own unpickler does not recurse either."""
    memo = b"\x94"
    return {
        "lists": b"\x80\x04" + dict_of(a=tensor(), deep=b"]" * depth + b"a" * (depth - 1)) + STOP,
        "tuples": PROTO + dict_of(a=tensor(), deep=b")" + b"\x85" * depth) + STOP,
        "marked tuples": PROTO + dict_of(a=tensor(), deep=b"(" * depth + b"t" * depth) + STOP,
        "dicts": PROTO + dict_of(a=tensor(), deep=deep(b"}" + text("k"), b"s", b"N", depth)) + STOP,
        "calls": PROTO + dict_of(a=tensor(), deep=name("nowhere", "f") * 1 + b")R" + b")R" * depth) + STOP,
        "builds": PROTO + dict_of(a=tensor(), deep=deep(name("collections", "OrderedDict") + b")R", b"b", b"}", depth)) + STOP,
        "memoised lists": b"\x80\x04" + dict_of(a=tensor(), deep=(b"]" + memo) * depth + b"a" * (depth - 1)) + STOP,
        "dicts as models": PROTO + deep(b"}" + text("state_dict"), b"s", dict_of(a=tensor()), depth) + STOP,
        "marks": PROTO + b"(" * depth + STOP,
    }


def deep_modules(depth=20_000):
    """Modules inside modules."""
    opening = name("torch.nn.modules.container", "Sequential") + b")\x81}(" + text("training") + b"\x88" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + b"}" + text("0")
    return PROTO + opening * depth + b"N" + b"sub" * depth + STOP


@functools.cache
def wide_pickles():
    """name -> data.pkl that would grow without bounds if repeated references were copied."""
    doubled = b"]q\x00" + b"".join(b"]q" + bytes([i + 1]) + b"(h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(60))
    # Each list holds the one before twice: 2^60 leaves when walked as a tree, 61 objects in memory.
    laughs = PROTO + b"}(" + text("a") + tensor() + text("deep") + doubled + b"u" + STOP
    loop = PROTO + b"}q\x00(" + text("a") + tensor() + text("self") + b"h\x00" + b"u" + STOP
    inner = PROTO + b"}q\x00(" + text("model") + b"h\x00" + text("state_dict") + b"h\x00" + b"u" + STOP
    return {"billion laughs": laughs, "a dict that holds itself": loop, "a model that is its own": inner}


@functools.cache
def malicious_pickles(marker):
    """name -> data.pkl that would leave the marker file behind if anything in it were called."""
    command = text(f"touch {marker}")
    python = text(f"open({marker!r}, 'w').close()")
    getattr_ = name("builtins", "getattr")
    imported = call(name("builtins", "__import__"), text("os"))
    return {
        "os.system": call(name("os", "system"), command),
        "posix.system": call(name("posix", "system"), command),
        "subprocess": call(name("subprocess", "check_output"), b"](" + text("touch") + text(marker) + b"e"),
        "eval": call(name("builtins", "eval"), python),
        "exec": call(name("__builtin__", "exec"), python),
        "getattr of an import": call(call(getattr_, imported, text("system")), command),
        "open": call(name("io", "open"), text(marker), text("w")),
        "pathlib": call(name("pathlib", "Path.touch"), call(name("pathlib", "Path"), text(marker))),
        "stack global": text("os") + text("system") + b"\x93" + tuple_of(command) + b"R",
        "inst": b"(" + command + b"ios\nsystem\n",
        "obj": b"(" + name("os", "system") + command + b"o",
        "newobj": name("os", "system") + tuple_of(command) + b"\x81",
        "newobj_ex": name("os", "system") + tuple_of(command) + b"}\x92",
        "build with setstate": name("torch", "Tensor") + b")\x81" + dict_of(__setstate__=name("os", "system")) + b"b" + command + b"b",
        "torch.load": call(name("torch", "load"), text(marker)),
        "torch.hub": call(name("torch.hub", "load"), text(marker), text("x")),
        "runpy": call(name("runpy", "run_path"), text(marker)),
        "rebuild with a callable": call(name("torch._tensor", "_rebuild_from_type_v2"), name("os", "system"), name("torch", "Tensor"), tuple_of(command), b"N"),
        "import star": call(name("torch.serialization", "os.system"), command),
    }


# --- zip tricks -------------------------------------------------------------------------------------------------


def with_central(member, at, new):
    """The good archive with bytes of one central entry replaced."""
    data = good_archive()
    entry = next(offset for offset, n in members(data) if n.endswith(member))
    return patch(data, entry + at, new)


def with_local(member, at, new):
    data = good_archive()
    entry = next(offset for offset, n in members(data) if n.endswith(member))
    local = struct.unpack("<I", data[entry + 42 : entry + 46])[0]
    return patch(data, local + at, new)


def with_end(at, new):
    data = good_archive()
    return patch(data, central_directory(data)[2] + at, new)


def deflated(content, claimed=None, member="archive/data.pkl"):
    """An archive whose data.pkl is deflated; its size can be a lie."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(member, content, zipfile.ZIP_DEFLATED)
        z.writestr("archive/data/0", bytes(16))
        z.writestr("archive/version", "3\n")
    data = out.getvalue()
    if claimed is not None:
        at = members(data)[0][0]
        data = patch(patch(data, at + 24, struct.pack("<I", claimed)), 22, struct.pack("<I", claimed))
    return data


def zip64(offset=None, size=None, count=None, directory=None):
    """The good archive with a zip64 end record, fields of which can be lies."""
    data = good_archive()
    start, length, end = central_directory(data)
    number = len(members(data))
    record = struct.pack(
        "<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, number if count is None else count, number if count is None else count,
        length if size is None else size, start if offset is None else offset,
    )
    locator = struct.pack("<IIQI", 0x07064B50, 0, end if directory is None else directory, 1)
    tail = bytearray(data[end:])
    tail[8:20] = b"\xff" * 12
    return data[:end] + record + locator + bytes(tail)


def zip64_entry(uncompressed, compressed, local=None):
    """The good archive whose storage entry takes its sizes from a zip64 extra field."""
    data = good_archive()
    at, _ = next(m for m in members(data) if m[1].endswith("data/0"))
    values = struct.pack("<QQ", uncompressed, compressed) + (struct.pack("<Q", local) if local is not None else b"")
    extra = struct.pack("<HH", 1, len(values)) + values
    n = struct.unpack("<H", data[at + 28 : at + 30])[0]
    entry = bytearray(data[at : at + 46 + n])
    entry[20:28] = b"\xff" * 8
    entry[30:32] = struct.pack("<H", len(extra))
    if local is not None:
        entry[42:46] = b"\xff" * 4
    rest = data[at + 46 + n :]
    result = data[:at] + bytes(entry) + extra + rest
    end = result.rindex(b"PK\x05\x06")
    size = struct.unpack("<I", result[end + 12 : end + 16])[0] + len(extra)
    return patch(result, end + 12, struct.pack("<I", size))


def duplicate(member):
    """One name twice, with different content."""
    out = io.BytesIO(good_archive())
    with zipfile.ZipFile(out, "a") as z:
        z.writestr(f"archive/{member}", b"\0" * 16 if "data/" in member else state(a=tensor((1,))))
    return out.getvalue()


def overlapping():
    """Two entries that point at one local header."""
    data = archive(state(a=tensor(), b=tensor(key="1")), (("0", bytes(16)), ("1", bytes(16))))
    entries = dict((n, at) for at, n in members(data))
    first = data[entries["archive/data/0"] + 42 : entries["archive/data/0"] + 46]
    return patch(data, entries["archive/data/1"] + 42, first)


@functools.cache
def bad_archives():
    """name -> an archive that must be refused."""
    u16, u32, u64 = (lambda v, f=f: struct.pack(f, v) for f in ("<H", "<I", "<Q"))
    return {
        "a zip without data.pkl": archive(b"").replace(b"data.pkl", b"data.pkx"),
        "only an end record": b"PK\x05\x06" + bytes(18),
        "signature alone": b"PK\x03\x04",
        "duplicate data.pkl": duplicate("data.pkl"),
        "duplicate storage": duplicate("data/0"),
        "overlapping members": overlapping(),
        "storage: stored size too large": with_central("data/0", 20, u32(2**31) + u32(2**31)),
        "storage: sizes of a stored member differ": with_central("data/0", 24, u32(2**20)),
        "storage: local header out of range": with_central("data/0", 42, u32(2**31)),
        "storage: local header in the directory": with_central("data/0", 42, u32(central_directory(good_archive())[0])),
        "storage: no local signature": with_local("data/0", 0, b"XXXX"),
        "storage: local name differs": with_local("data/0", 30, b"archivX"),
        "storage: local name runs past the end": with_local("data/0", 26, u16(65535)),
        "storage: local extra runs past the end": with_local("data/0", 28, u16(65535)),
        "storage: encrypted": with_central("data/0", 8, u16(1)),
        "storage: unknown method": with_central("data/0", 10, u16(99)),
        "storage: deflated but is not": with_central("data/0", 10, u16(8)),
        "pickle: size too large": with_central("data.pkl", 20, u32(2**31 - 1) + u32(2**31 - 1)),
        "pickle: size zero": with_central("data.pkl", 20, u32(0) + u32(0)),
        "directory: no signature": with_central("data.pkl", 0, b"XXXX"),
        "directory: name too long": with_central("version", 28, u16(65535)),
        "directory: extra too long": with_central("version", 30, u16(65535)),
        "directory: comment too long": with_central("version", 32, u16(65535)),
        "end: directory out of range": with_end(16, u32(2**31)),
        "end: directory too large": with_end(12, u32(2**31)),
        "end: too many entries": with_end(8, u16(60000) + u16(60000)),
        "end: too few entries": with_end(8, u16(1) + u16(1)),
        "end: another disk": with_end(4, u16(7) + u16(7)),
        "zip64: directory at 2^63": zip64(offset=2**63),
        "zip64: directory at 2^64 - 1": zip64(offset=2**64 - 1),
        "zip64: directory of 2^63": zip64(size=2**63),
        "zip64: 2^62 entries": zip64(count=2**62),
        "zip64: record out of range": zip64(directory=2**63),
        "zip64: record at the locator": zip64(directory=central_directory(good_archive())[2] + 56),
        "zip64: storage of 2^63": zip64_entry(2**63, 2**63),
        "zip64: storage of 2^64 - 1": zip64_entry(2**64 - 1, 2**64 - 1),
        "zip64: local header at 2^64 - 31": zip64_entry(16, 16, 2**64 - 31),
        "deflated: a lie of 4 GB": deflated(state(a=tensor()), claimed=2**32 - 2),
        "deflated: too small a size": deflated(state(a=tensor()), claimed=10),
        "deflated: a bomb": bomb(),
    }


def bomb(megabytes=1024):
    """A data.pkl of many equal megabytes, deflated to about one thousandth."""
    block = (b"N0" * (1 << 19)).ljust(1 << 20, b"N")
    packer, parts, crc = zlib.compressobj(9, zlib.DEFLATED, -15), [], 0
    chunks = [PROTO] + [block] * megabytes + [b"}" + STOP]
    for chunk in chunks:
        parts.append(packer.compress(chunk))
        crc = zlib.crc32(chunk, crc)
    parts.append(packer.flush())
    packed = b"".join(parts)
    size = sum(map(len, chunks))
    name_ = b"archive/data.pkl"
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(packed), size, len(name_), 0)
    local = b"PK\x03\x04" + fields + name_ + packed
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name_
    return local + central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central), len(local), 0)


# --- legacy files -----------------------------------------------------------------------------------------------

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def legacy(
    body, keys=("0",), storages=(struct.pack("<Q", 4) + bytes(16),), magic=MAGIC, protocol=PROTOCOL,
    info={"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}},
):
    parts = [pickle.dumps(v, 2) for v in (magic, protocol, info)]
    return b"".join([*parts, body, pickle.dumps(list(keys), 2), *storages])


def legacy_tensor(key="0", count=4, view=b"N"):
    stored = tuple_of(text("storage"), name("torch", "FloatStorage"), text(key), text("cpu"), integer(count), view) + b"Q"
    return call(
        name("torch._utils", "_rebuild_tensor_v2"), stored, integer(0), tuple_of(integer(4)), tuple_of(integer(1)), b"\x89",
        call(name("collections", "OrderedDict")),
    )


def good_legacy():
    return legacy(state(a=legacy_tensor()))


@functools.cache
def bad_legacies():
    u64 = lambda n: struct.pack("<Q", n)
    good = state(a=legacy_tensor())
    return {
        "another magic": legacy(good, magic=MAGIC + 1),
        "another protocol": legacy(good, protocol=1002),
        "magic alone": pickle.dumps(MAGIC, 2),
        "no storages": legacy(good, storages=()),
        "no keys": legacy(good, keys=(), storages=()),
        "another key": legacy(good, keys=("9",)),
        "keys are integers": legacy(good, keys=(0,)),
        "count of 2^62": legacy(good, storages=(u64(2**62) + bytes(16),)),
        "count of 2^64 - 1": legacy(good, storages=(u64(2**64 - 1) + bytes(16),)),
        "count too large": legacy(good, storages=(u64(5) + bytes(16),)),
        "count of zero": legacy(good, storages=(u64(0),)),
        "storage cut short": legacy(good, storages=(u64(4) + bytes(15),)),
        "tensor larger than the storage": legacy(state(a=legacy_tensor(count=2)), storages=(u64(2) + bytes(8),)),
        "a command as magic": PROTO + call(name("os", "system"), text("touch mutils-was-executed")) + STOP,
    }


@functools.cache
def good_files():
    """name -> small good files of each format, for cutting and flipping."""
    torch.manual_seed(0)
    from safetensors.torch import save

    tensors = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4), "steps": torch.tensor(3)}
    new, old, module = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(tensors, new)
    torch.save(tensors, old, _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)), module)
    return {"zip.pt": new.getvalue(), "legacy.pt": old.getvalue(), "module.pt": module.getvalue(), "x.safetensors": save(tensors, {"a": "b"})}
