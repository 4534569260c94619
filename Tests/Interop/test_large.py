"""Files beyond 4 GB: zip64 in what is written and what is read."""

import json
import shutil
import struct

import pytest
import torch
from helpers import report, succeeds

GIGABYTE = 1 << 30


@pytest.mark.slow
def test_pt_beyond_4_gb(tmp_path):
    """A sparse safetensors file of 5 GB as a .pt: torch maps it, and it comes back."""
    if shutil.disk_usage(tmp_path).free < 20 * GIGABYTE:
        pytest.skip("less than 20 GB are free")
    sizes = {"a": GIGABYTE, "b": GIGABYTE // 4, "c": 3}  # one storage of 4 GB, one behind it
    header, start = {}, 0
    for name, count in sizes.items():
        header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [start, start + 4 * count]}
        start += 4 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source, target = tmp_path / "in.safetensors", tmp_path / "out.pt"
    marks = {"a": [(0, 1.5), (GIGABYTE - 1, -2.5)], "b": [(GIGABYTE // 4 - 1, 7.0)], "c": [(0, 1.0), (2, 3.0)]}
    with open(source, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + start)
        for name, values in marks.items():
            for index, value in values:
                file.seek(8 + len(text) + header[name]["data_offsets"][0] + 4 * index)
                file.write(struct.pack("<f", value))
    report("convert", source, "-o", target, timeout=300)
    assert target.stat().st_size > 5 * GIGABYTE
    loaded = torch.load(target, mmap=True, weights_only=True)
    assert {name: len(tensor) for name, tensor in loaded.items()} == sizes
    for name, values in marks.items():
        for index, value in values:
            assert loaded[name][index] == value
    assert loaded["a"][1] == 0
    del loaded
    # And back.
    source.unlink()
    succeeds("convert", target, "-o", source, timeout=300)
    assert source.stat().st_size > start
    assert report("diff", target, source, timeout=300)["equal"]
