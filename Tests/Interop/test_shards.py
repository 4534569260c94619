"""--max-shard-size writes what loaders of sharded safetensors expect."""

import json

import pytest
import torch
from helpers import fails, mutils, report, same_bits
from safetensors.torch import load_file


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
    # The same number of shards; read from itself.
    report("convert", tmp_path / "m.safetensors.index.json", "-o", out, "--max-shard-size", "10KB", "--force")
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


def test_a_failure_leaves_the_earlier_output(tmp_path):
    torch.save({f"layer{i}.weight": torch.randn(100, 10) for i in range(3)}, tmp_path / "m.pt")
    arguments = ["convert", tmp_path / "m.pt", "-o", tmp_path / "m.safetensors", "--max-shard-size", "4KB", "--force"]
    report(*arguments)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    (tmp_path / "m-00003-of-00003.safetensors").unlink()
    (tmp_path / "m-00003-of-00003.safetensors").mkdir()
    fails(*arguments, naming="not a regular file")
    (tmp_path / "m-00003-of-00003.safetensors").rmdir()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        k: v for k, v in before.items() if k != "m-00003-of-00003.safetensors"}  # fmt: skip
