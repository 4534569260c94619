"""Pruning a file larger than what should be in memory; the floor is copying it to the disk."""

import json
import os
import random
import shutil
import struct

from processes import Failed, note, run
from table import Row

PROGRAMS = ("mutils",)
PEERS = ()
SHAPE = (1024, 1024, 3, 3)
BYTES = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2] * SHAPE[3]


def rows(options, folder):
    source, target = folder / "large.safetensors", folder / "large-pruned.safetensors"
    needed, free = 2.1 * options.large_gb * 1e9, shutil.disk_usage(folder).free
    if free < needed:
        note(f"large is left out: it needs {needed / 1e9:.0f} GB in {folder}, {free / 1e9:.0f} GB are free")
        return []
    note(f"large: writing {options.large_gb:g} GB")
    write(source, options.large_gb)
    os.sync()
    note("large: pruning it")
    pruned = run(options.mutils, "prune", source, "-o", target, watch=True)
    if target.stat().st_size != source.stat().st_size:
        raise Failed("the pruned file has another size")
    target.unlink()
    note("large: copying it")
    copied = run("dd", f"if={source}", f"of={target}", "bs=16M", "conv=fsync", "status=none")
    rate = options.large_gb * 1e3 / pruned.seconds
    row = Row(
        f"mutils prune ({options.large_gb:g} GB)", pruned.seconds,
        remark=f"{pruned.private / 1e6:.0f} MB beyond file pages, {rate:.0f} MB/s",
    )  # fmt: skip
    row.above("dd, synced", copied.seconds)
    row.require("< 600 MB beyond", pruned.private < 600e6)
    return [row]


def write(path, gigabytes):
    """Writes a safetensors file of float32 convolution weights, as a stream.

    The values are normal numbers between 1/8 and 4 in magnitude, the same ones in each tensor but from another start.
    """
    count = max(1, int(gigabytes * 1e9) // BYTES)
    header = {
        f"layers.{i}.conv.weight": {"dtype": "F32", "shape": SHAPE, "data_offsets": [i * BYTES, (i + 1) * BYTES]}
        for i in range(count)
    }  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    values = bytearray(random.Random(0).randbytes(BYTES))
    # The two highest bytes of each little-endian float: sign, an exponent from -3 to 1, and the fraction's first bits.
    high = bytes((byte & 0x80) | (0x3E + (byte & 1)) for byte in range(256))
    values[3::4] = values[3::4].translate(high)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for i in range(count):
            start = i * 40_000_004 // 1000 * 4 % BYTES
            file.write(memoryview(values)[start:])
            file.write(memoryview(values)[:start])
