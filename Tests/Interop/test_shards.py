"""--max-shard-size writes what loaders of sharded safetensors expect."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections import Counter

import helpers
import pytest
import torch
import tracing
from helpers import fails, mutils, report, same_bits
from safetensors import SafetensorError
from safetensors.torch import load_file
from tracing import needs_strace


def test_shards(tmp_path):
    torch.manual_seed(0)
    state = {f"layer{i}.weight": torch.randn(100, 10 + i) for i in range(12)} | {"n": torch.tensor(3)}
    state["tied"] = state["layer0.weight"]
    torch.save(state, tmp_path / "m.pt")
    answer = report("convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", "20KB")
    index = json.loads((tmp_path / "m.safetensors.index.json").read_text())
    shards = sorted(p.name for p in tmp_path.glob("m-*.safetensors"))
    count = len(shards)
    assert count > 1 and shards == [f"m-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    assert not (tmp_path / "m.safetensors").exists()
    assert set(index["weight_map"].values()) == set(shards)
    assert index["metadata"]["total_size"] == sum(v.nbytes for k, v in state.items() if k != "tied")
    assert answer["bytes"] == sum(p.stat().st_size for p in tmp_path.glob("m[-.]*") if p.suffix != ".pt")
    for name, shard in index["weight_map"].items():
        assert same_bits(load_file(tmp_path / shard)[name], state[name])
    for shard in shards:
        assert sum(v.nbytes for v in load_file(tmp_path / shard).values()) <= 20_000
    assert set(state) - set(index["weight_map"]) == {"tied"}
    assert report("diff", tmp_path / "m.pt", tmp_path / "m.safetensors.index.json")["equal"]
    result = mutils("convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", "20KB")
    assert result.code == 1 and "exists already" in result.err


@pytest.mark.parametrize("size", ["1GB", "1GiB", "100000"])
def test_what_fits_is_one_file(tmp_path, size):
    torch.save({"x": torch.randn(10)}, tmp_path / "m.pt")
    report("convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", size)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.pt", "m.safetensors"]


def test_usage(tmp_path):
    torch.save({"x": torch.randn(10)}, tmp_path / "m.pt")
    for size in ("0", "2XB", "GB", "-1", "1e400"):
        assert mutils("convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", size).code == 64
    fails("convert", tmp_path / "m.pt", "-o", tmp_path / "o.pt", "--max-shard-size", "1GB", naming="safetensors")


def names(folder):
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".pt")


def test_an_earlier_output_is_replaced_whole(tmp_path):
    """No index names another's file, none of the earlier shards stays, and nothing else is removed."""
    torch.manual_seed(0)
    first = {f"layer{i}.weight": torch.randn(100, 10) for i in range(9)}
    torch.save(first, tmp_path / "first.pt")
    torch.save({k: v + 1 for k, v in first.items() if k < "layer6"}, tmp_path / "second.pt")
    out = tmp_path / "m.safetensors"

    def write(source, size, *arguments):
        report("convert", tmp_path / source, "-o", out, "--max-shard-size", size, "--force", *arguments)

    write("first.pt", "10KB")
    assert len(names(tmp_path)) == 6
    # Not named by the index, or not as we name shards.
    kept = ["m-00009-of-00009.safetensors", "m-extra.safetensors", "other-00001-of-00005.safetensors"]
    for name in kept:
        (tmp_path / name).write_bytes(b"someone else's")
    write("second.pt", "10KB")
    shards = [f"m-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert names(tmp_path) == sorted([*kept, *shards, "m.safetensors.index.json"])
    assert report("diff", tmp_path / "second.pt", tmp_path / "m.safetensors.index.json")["equal"]
    # The same number of shards; read from itself. A shard replaces no file, so its name changes.
    for round in ("m-2", "m", "m-2"):
        report("convert", tmp_path / "m.safetensors.index.json", "-o", out, "--max-shard-size", "10KB", "--force")
        again = [f"{round}-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
        assert names(tmp_path) == sorted([*kept, *again, "m.safetensors.index.json"])
        assert report("diff", tmp_path / "second.pt", tmp_path / "m.safetensors.index.json")["equal"]
    # It fits into one file now, then no longer.
    write("second.pt", "1GB")
    assert names(tmp_path) == sorted([*kept, "m.safetensors"])
    write("second.pt", "10KB")
    assert names(tmp_path) == sorted([*kept, *shards, "m.safetensors.index.json"])
    # An index made by hand may name anything: only shards are removed.
    index = json.loads((tmp_path / "m.safetensors.index.json").read_text())
    index["weight_map"]["x"] = "m-extra.safetensors"
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    write("first.pt", "1GB")
    assert names(tmp_path) == sorted([*kept, "m.safetensors"])


def test_shards_replace_no_file(tmp_path):
    """Not even what no index names, such as the input."""
    torch.save({f"layer{i}.weight": torch.randn(100, 10) for i in range(3)}, tmp_path / "m.pt")
    arguments = ["convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", "4KB", "--force"]
    report(*arguments)
    (tmp_path / "m.safetensors.index.json").unlink()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    source = tmp_path / "m-00002-of-00003.safetensors"
    report("convert", source, "-o", tmp_path / "m.safetensors", "--max-shard-size", "1KB")
    report(*arguments)
    assert {k: v for k, v in contents(tmp_path).items() if k in before} == before
    assert set(contents(tmp_path)) - set(before) == {"m.safetensors.index.json"} | {
        f"m-2-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}  # fmt: skip
    assert report("diff", tmp_path / "m.pt", tmp_path / "m.safetensors.index.json")["equal"]


def test_permissions_stay(tmp_path):
    torch.save({f"layer{i}.weight": torch.randn(100, 10) for i in range(3)}, tmp_path / "m.pt")
    arguments = ["convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", "4KB", "--force"]
    report(*arguments)
    for file in tmp_path.glob("m[-.]*.*"):
        file.chmod(0o600)
    report(*arguments)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("m[-.]*.*")} == {0o600}


def test_a_failure_leaves_the_earlier_output(tmp_path):
    torch.save({f"layer{i}.weight": torch.randn(100, 10) for i in range(3)}, tmp_path / "m.pt")
    arguments = ["convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", "4KB", "--force"]
    report(*arguments)
    index = tmp_path / "m.safetensors.index.json"
    index.unlink()
    before = contents(tmp_path)
    index.mkdir()
    fails(*arguments, naming="not a regular file")
    index.rmdir()
    assert contents(tmp_path) == before


# --- what ends a run in its midst ---------------------------------------------------------------------------------


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def loaded(folder):
    """What the index names, as loaders of shards read it."""
    weights = json.loads((folder / "m.safetensors.index.json").read_text())["weight_map"]
    state = {}
    for shard in set(weights.values()):
        state |= load_file(folder / shard)
    assert set(state) == set(weights)
    return state


def is_same(one, other):
    return one.keys() == other.keys() and all(same_bits(one[name], other[name]) for name in one)


def litter(folder):
    """What is neither the index nor named by it."""
    index = json.loads((folder / "m.safetensors.index.json").read_text())
    return set(contents(folder)) - set(index["weight_map"].values()) - {"m.safetensors.index.json"}


class Replacement:
    """An output in shards, and a command that replaces it."""

    def __init__(self, case, folder):
        (folder / "start").mkdir()
        self.start, self.place, self.source = folder / "start", folder / "place", folder / "new.pt"
        self.old = {f"layer{i}.weight": torch.randn(100, 50) for i in range(9)}
        torch.save(self.old, folder / "old.pt")
        report("convert", folder / "old.pt", "-o", self.start / "m.safetensors", "--max-shard-size", "20KB")
        self.new = {k: v + 1 for k, v in self.old.items() if case != "another count" or k < "layer6"}
        torch.save(self.new, self.source)
        if case == "in place":
            self.source = self.place / "m.safetensors.index.json"
            self.new = {k: v.bfloat16() for k, v in self.old.items()}
        more = ["--dtype", "bfloat16"] if case == "in place" else []
        self.size = "10KB" if case == "in place" else "20KB"
        self.argv = [str(a) for a in self.arguments(self.source, self.size, *more)]
        assert len(contents(self.start)) == 10
        self.restore()

    def arguments(self, source, size, *more):
        place = self.place / "m.safetensors"
        return ["convert", source, "-o", place, "--max-shard-size", size, "--force", *more]

    def restore(self):
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.start, self.place)

    def which(self):
        """Which of the two outputs the index names; None where it is neither."""
        try:
            state = loaded(self.place)
        except (OSError, AssertionError, SafetensorError):
            return None
        return "old" if is_same(state, self.old) else "new" if is_same(state, self.new) else None

    def finish(self):
        """A run that nothing disturbs, with fewer shards, leaves its own output and nothing else."""
        torch.save({"a": torch.zeros(1000), "b": torch.ones(1000)}, self.start.parent / "other.pt")
        report(*self.arguments(self.start.parent / "other.pt", "4KB"))
        assert is_same(loaded(self.place), {"a": torch.zeros(1000), "b": torch.ones(1000)})
        assert not litter(self.place)

    def calls(self):
        """What the command asks of the system about the folder: the calls' names, each with its number in its thread."""
        self.restore()
        names = "?rename,?renameat,?renameat2,?unlink,?unlinkat,write,ftruncate,fsync,flock,?open,openat"
        command = [helpers.MUTILS, *self.argv]
        found = tracing.calls(command, self.start.parent / "trace", names, lambda _, call: str(self.place) in call)
        assert self.which() == "new" and not litter(self.place)
        return found

    def inject(self, name, number, what):
        """Runs the command, to which `what` happens at a call."""
        self.restore()
        return tracing.injected([helpers.MUTILS, *self.argv], name, number, what)


CASES = ["another count", "the same count", "in place"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("case", CASES)
def test_killed_at_any_time(case, number, tmp_path):
    run = Replacement(case, tmp_path)
    start = time.monotonic()
    subprocess.run([helpers.MUTILS, *run.argv], check=True, capture_output=True)
    duration = time.monotonic() - start
    found = Counter()
    for _ in range(50 if number == signal.SIGKILL else 10):
        run.restore()
        child = subprocess.Popen([helpers.MUTILS, *run.argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, duration))
        child.send_signal(number)
        child.wait()
        found[run.which()] += 1
        run.finish()
    print(case, number.name, dict(found))
    assert None not in found


@needs_strace
@pytest.mark.parametrize("case", CASES)
def test_killed_at_every_call(case, tmp_path):
    run = Replacement(case, tmp_path)
    found = Counter()
    for name, number in run.calls():
        run.inject(name, number, "signal=KILL")
        assert run.which(), f"{name} {number}"
        found[run.which()] += 1
        run.finish()
    print(case, dict(found))
    assert found["old"] > 20 and found["new"] > 5


@needs_strace
@pytest.mark.parametrize("case", CASES)
def test_an_error_at_every_call(case, tmp_path):
    """Before the index is replaced nothing has changed; afterwards all is new."""
    run = Replacement(case, tmp_path)
    before = contents(run.start)
    found = Counter()
    for name, number in run.calls():
        result = run.inject(name, number, "error=ENOSPC" if name == "write" else "error=EIO")
        which = run.which()
        assert which, f"{name} {number}"
        assert result.returncode in (0, 1), f"{name} {number}"
        if result.returncode == 1:
            assert result.stderr.startswith("mutils: error: ") and result.stderr.count("\n") == 1, result.stderr
            if which == "old" and name not in ("unlink", "unlinkat"):
                assert contents(run.place) == before, f"{name} {number}"
        else:
            assert which == "new", f"{name} {number}"
        found[which, result.returncode] += 1
        run.finish()
    print(case, dict(found))
    assert found["old", 1] > 20


@pytest.mark.parametrize("case", CASES)
def test_a_full_disk(case, tmp_path):
    run = Replacement(case, tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        argv = [argument.replace(str(run.place), str(disk / "place")) for argument in run.argv]
        run.place = disk / "place"
        before = contents(run.start)
        codes = []
        for size in range(224, 464, 4):
            run.restore()
            subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
            result = subprocess.run([helpers.MUTILS, *argv], capture_output=True, text=True)
            subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
            codes.append(result.returncode)
            if result.returncode:
                assert "No space left" in result.stderr and result.stderr.count("\n") == 1
                assert contents(run.place) == before
            else:
                assert run.which() == "new" and not litter(run.place)
        assert codes == sorted(codes, reverse=True) and set(codes) == {0, 1}
    finally:
        subprocess.run(["umount", disk], check=True)


def test_two_writers(tmp_path):
    """One waits for no other: it is refused, or it replaces what the other has written."""
    run = Replacement("another count", tmp_path)
    commands = [[helpers.MUTILS, *run.argv], [helpers.MUTILS, *run.arguments(tmp_path / "old.pt", "20KB")]]
    for _ in range(30):
        run.restore()
        children = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for c in commands]
        errors = [child.communicate()[1] for child in children]
        for child, error in zip(children, errors, strict=True):
            assert (child.returncode, error) == (0, "") or (
                child.returncode == 1 and error.endswith("is being written by another process\n")
            )
        assert 0 in [child.returncode for child in children]
        assert run.which() and not litter(run.place)
