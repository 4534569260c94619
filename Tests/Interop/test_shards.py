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
