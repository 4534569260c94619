"""Broken archives and legacy files, made by spoiling good ones."""

import functools
import io
import pickle
import struct
import zipfile
import zlib

import torch
from hostile_pickles import PROTO, STOP, call, integer, name, state, tensor, text, tuple_of
from safetensors.torch import save

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
        "<IQHHIIQQQQ",
        0x06064B50,
        44,
        45,
        45,
        0,
        0,
        number if count is None else count,
        number if count is None else count,
        length if size is None else size,
        start if offset is None else offset,
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
    body,
    keys=("0",),
    storages=(struct.pack("<Q", 4) + bytes(16),),
    magic=MAGIC,
    protocol=PROTOCOL,
    info={"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}},
):
    parts = [pickle.dumps(v, 2) for v in (magic, protocol, info)]
    return b"".join([*parts, body, pickle.dumps(list(keys), 2), *storages])


def legacy_tensor(key="0", count=4, view=b"N"):
    stored = (
        tuple_of(text("storage"), name("torch", "FloatStorage"), text(key), text("cpu"), integer(count), view) + b"Q"
    )
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        stored,
        integer(0),
        tuple_of(integer(4)),
        tuple_of(integer(1)),
        b"\x89",
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
    tensors = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4), "steps": torch.tensor(3)}
    new, old, module = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(tensors, new)
    torch.save(tensors, old, _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)), module)
    return {
        "zip.pt": new.getvalue(),
        "legacy.pt": old.getvalue(),
        "module.pt": module.getvalue(),
        "x.safetensors": save(tensors, {"a": "b"}),
    }
