"""Files beyond 4 GB, whose archives are zip64; models beyond memory, of LARGE_GB (6); little memory."""

import json
import os
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest
import torch
from helpers import MUTILS, is_error, mutils, report, succeeds
from safetensors import safe_open

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


# --- larger than memory -------------------------------------------------------------------------------------------

TOTAL = int(float(os.environ.get("LARGE_GB", "6")) * GIGABYTE)
SHARDS, LAYERS = 5, 12


def sharded(folder, first):
    """Sparse shards and their index; each convolution begins with a number of its own."""
    folder.mkdir()
    count = TOTAL // SHARDS // LAYERS // 4 // 9 // 64
    places = {}
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        header, size = {}, count * 64 * 9 * 4
        for layer in range(LAYERS):
            places[f"{shard}.{layer}.weight"] = name
            header[f"{shard}.{layer}.weight"] = {"dtype": "F32", "shape": [count, 64, 3, 3], "data_offsets": [layer * size, (layer + 1) * size]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / name, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + LAYERS * size)
            for layer in range(LAYERS):
                file.seek(8 + len(text) + layer * size)
                file.write(struct.pack("<f", first + shard + layer / 16))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": SHARDS * LAYERS * count * 64 * 9 * 4}, "weight_map": places}))
    return index


class MemoryGroup:
    """A control group that may hold so many bytes, pages of files among them."""

    def __init__(self, limit):
        self.place = next((p for p in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if (p / "tasks").exists() or (p / "cgroup.procs").exists()), None)
        if self.place is None:
            pytest.skip("has no control groups")
        self.place /= f"mutils-{os.getpid()}"
        try:
            self.place.mkdir()
            name = "memory.limit_in_bytes" if (self.place / "memory.limit_in_bytes").exists() else "memory.max"
            (self.place / name).write_text(str(limit))
        except OSError as error:
            pytest.skip(f"needs the right to limit memory: {error}")

    def run(self, *arguments):
        """The command in the group, and the most that it held beyond pages of files."""
        join = lambda: (self.place / "cgroup.procs").write_text(str(os.getpid()))
        child = subprocess.Popen(list(map(str, (MUTILS, *arguments))), preexec_fn=join, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        peak = 0
        while child.poll() is None:
            try:
                status = Path(f"/proc/{child.pid}/status").read_text()
                peak = max(peak, *(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)
            except OSError:
                pass
            time.sleep(0.02)
        out, error = child.communicate()
        return child.returncode, out, error, peak

    def close(self):
        self.place.rmdir()


@pytest.mark.slow
def test_beyond_memory(tmp_path):
    """A model in shards within two fifteenths of its size: what is read, and what is written and read again."""
    if shutil.disk_usage(tmp_path).free < 1.2 * TOTAL:
        pytest.skip(f"less than {1.2 * TOTAL / GIGABYTE:.0f} GB are free")
    one, other = sharded(tmp_path / "one", 1), sharded(tmp_path / "other", 2)
    group = MemoryGroup(2 * TOTAL // 15)
    try:
        for status, arguments in [(0, ("info", one)), (0, ("sparsity", one)), (0, ("check", one)), (1, ("diff", one, other))]:
            code, _, error, peak = group.run(*arguments)
            print(arguments[0], f"{peak / 1e6:.0f} MB")
            assert code == status, (arguments, error)
        for name, arguments, expected in [
            ("prune", ("prune", one, "--amount", "0.5"), lambda shard, layer: 1 + shard + layer / 16),
            ("convert", ("convert", one, "--dtype", "bfloat16"), lambda shard, layer: torch.tensor(1 + shard + layer / 16).bfloat16().item()),
            ("strip", ("strip", one), lambda shard, layer: torch.tensor(1 + shard + layer / 16).half().item()),
            ("ema", ("ema", one, other, "--variant", "swa"), lambda shard, layer: 1.5 + shard + layer / 16),
        ]:  # fmt: skip
            target = tmp_path / "out" / "model.safetensors"
            target.parent.mkdir()
            start = time.monotonic()
            code, _, error, peak = group.run(*arguments, "-o", target, "--max-shard-size", f"{TOTAL // 4}B")
            print(name, f"{peak / 1e6:.0f} MB, {time.monotonic() - start:.0f} s")
            assert code == 0, (name, error)
            places = json.loads((target.parent / "model.safetensors.index.json").read_text())["weight_map"]
            assert len(places) == SHARDS * LAYERS
            for shard in range(SHARDS):
                for layer in range(LAYERS):
                    tensor = f"{shard}.{layer}.weight"
                    with safe_open(target.parent / places[tensor], "pt") as file:
                        assert file.get_slice(tensor)[:1, :1, :1, :1].item() == expected(shard, layer), (name, tensor)
            assert peak < TOTAL // 15
            shutil.rmtree(target.parent)
    finally:
        group.close()


@pytest.mark.slow
def test_a_tensor_beyond_memory(tmp_path):
    """One tensor of half LARGE_GB within an eighth of its size: its new elements are computed in parts, for every format."""
    size = TOTAL // 2
    if shutil.disk_usage(tmp_path).free < 2.5 * size:
        pytest.skip(f"less than {2.5 * size / GIGABYTE:.0f} GB are free")
    count = size // 4 // 64 // 9
    shape, last = [count, 64, 3, 3], count * 64 * 9 - 1
    header = json.dumps({"c.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * (last + 1)]}}).encode()
    header += b" " * (-len(header) % 8)
    source, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    for path, value in [(source, 2.5), (other, 4.5)]:
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + 4 * (last + 1))
            for place in (0, last):
                file.seek(8 + len(header) + 4 * place)
                file.write(struct.pack("<f", value))
    group = MemoryGroup(size // 8)
    try:
        for status, arguments in [(0, ("sparsity", source)), (0, ("check", source)), (1, ("diff", source, other))]:
            code, _, error, peak = group.run(*arguments)
            assert code == status, (arguments, error)
            print(arguments[0], f"{peak / 1e6:.0f} MB")
        for arguments, expected in [
            (("prune", source, "--amount", "0.5"), 2.5),
            (("convert", source, "--dtype", "bfloat16"), 2.5),
            (("strip", source), 2.5),
            (("ema", source, other, "--variant", "swa"), 3.5),
        ]:
            for name in ("out.safetensors", "out.pt"):
                start = time.monotonic()
                code, _, error, peak = group.run(*arguments, "-o", tmp_path / name)
                assert code == 0, (arguments, error)
                print(arguments[0], name, f"{peak / 1e6:.0f} MB, {time.monotonic() - start:.0f} s")
                if name.endswith(".pt"):
                    state = torch.load(tmp_path / name, mmap=True, weights_only=True)
                    tensor = state.get("ema", state)["c.weight"]
                else:
                    with safe_open(tmp_path / name, "pt") as file:
                        tensor = file.get_slice("c.weight")
                assert [tensor[:1, :1, :1, :1].item(), tensor[count - 1 :, 63:, 2:, 2:].item()] == [expected, expected]
                assert tensor[1:2, :1, :1, :1].item() == 0
                tensor = state = None
                (tmp_path / name).unlink()
                assert peak < 400e6
    finally:
        group.close()


# --- little memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["prune", "fuse", "convert", "sparsity", "info", "init"])
def test_little_memory(command, tmp_path):
    """Where memory for elements, or for a thread's stack, is refused, it is done without or one line says so. Where little is left, Swift's own
    allocations may end the command, by a line of theirs; it never waits for ever, and no half of an output is left."""
    source, output = tmp_path / "in.pt", tmp_path / "out.pt"
    assert mutils("init", "resnet50", "-o", source).code == 0
    arguments = (["resnet50"] if command == "init" else [source]) + ([] if command in ("sparsity", "info") else ["-o", output, "--force"])
    codes = []
    for limit in (80, 120, 160, 200, 280, 400, 1000):
        result = mutils(command, *arguments, timeout=30, address_space=limit * 10**6)
        codes.append(result.code)
        lines = [line for line in result.err.splitlines() if is_error(line, False) or line.startswith("Fatal error: failed to allocate ")]
        assert not result.timed_out and result.code in (0, 1, -signal.SIGABRT), (limit, result.err)
        assert len(lines) == (result.code != 0), (limit, result.err)
        if output.exists():
            torch.load(output, weights_only=False)
    assert codes[-1] == 0
