"""safetensors files: the library's bytes, metadata, tied weights, shards."""

import json
import struct

import fixtures_safetensors
import fixtures_tensors
import golden
import nets
import pytest
import torch
from helpers import (
    FIXTURES,
    assert_same_tensors,
    fails,
    report,
    to_pt,
    to_safetensors,
)
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save, save_file, save_model


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {'a "quoted" é\n\u2028/': "välue\t\x01\x7f 😀"}, {}])
def test_safetensors_bytes(metadata, tmp_path):
    """The file is byte for byte what the Python library writes."""
    tensors = {
        **fixtures_tensors.of_every_dtype(),
        'é "x" \\ \n/': torch.ones(2),
        "zero": torch.tensor(1.5),
        "empty": torch.empty(0, 3),
        "b": torch.ones(5, dtype=torch.bool),
    }
    (tmp_path / "in.safetensors").write_bytes(save(tensors, metadata))
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


def test_safetensors_bytes_in_any_order(tmp_path):
    """A file with its tensors in another order is written in the library's order."""
    tensors = fixtures_tensors.of_every_dtype()
    chunks, header, offset = [], {}, 0
    for name in reversed(list(tensors)):
        data = golden.raw_bytes(tensors[name])
        code = json.loads(save({name: tensors[name]})[8:].split(b"}")[0] + b"}}")[name]["dtype"]
        header[name] = {
            "data_offsets": [offset, offset + len(data)],
            "shape": list(tensors[name].shape),
            "dtype": code,
            "extra": [1],
        }
        chunks.append(data)
        offset += len(data)
    text = b"  " + json.dumps(header, indent=1).encode()
    (tmp_path / "in.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    assert_same_tensors(tensors, load_file(tmp_path / "in.safetensors"))
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == save(tensors)


def test_safetensors_bytes_from_pt(tmp_path):
    """From a .pt with nothing shared the file is the library's, with the metadata that transformers wants."""
    state = dict(nets.small_state(60))
    torch.save(state, tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")
    written = (tmp_path / "out.safetensors").read_bytes()
    assert written == save(state, {"format": "pt"})


def test_metadata_is_kept(tmp_path):
    metadata = {f"key {i}": f"value {i}" for i in range(20)}
    save_file(
        {"a": torch.randn(4, 4, 1, 1).repeat(1, 1, 3, 3), "b.weight": torch.randn(4, 4, 3, 3)},
        tmp_path / "in.safetensors",
        metadata,
    )
    for command in (("convert",), ("prune", "--amount", "0.5")):
        report(*command, tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors", "--force")
        with safe_open(tmp_path / "out.safetensors", "pt") as f:
            assert f.metadata() == metadata


def test_rare_dtypes_in_safetensors(tmp_path):
    """What the library can write is carried byte for byte: fnuz, e8m0 and the packed 4-bit floats."""
    data = torch.arange(8, dtype=torch.uint8)
    names = ["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"]
    tensors = {n: data.clone().view(getattr(torch, n)) for n in names if hasattr(torch, n)}
    (tmp_path / "in.safetensors").write_bytes(save(tensors))
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


class Tied(fixtures_safetensors.Tied):
    pass


def split(path):
    """The header, parsed, and the bytes behind it."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def test_tied_weights(tmp_path):
    """A tied tensor is written once, its other name stands in the metadata, and reading restores it."""
    net = Tied()
    torch.save(net.state_dict(), tmp_path / "in.pt")
    said = report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as f:
        assert len(list(f.keys())) == 3 == said["tensors"] == len(net.state_dict()) - said["aliases"]
        metadata = f.metadata()
    kept = "embedding.weight" if "head.weight" in metadata else "head.weight"
    other = ({"embedding.weight", "head.weight"} - {kept}).pop()
    assert metadata[other] == kept
    save_model(net, str(tmp_path / "theirs.safetensors"), {"format": "pt"})
    # The original writes its metadata in an order of chance.
    ours, theirs = (split(tmp_path / f"{name}.safetensors") for name in ("out", "theirs"))
    assert ours == theirs

    fresh = Tied()
    load_model(fresh, str(tmp_path / "out.safetensors"))
    assert_same_tensors(net.state_dict(), fresh.state_dict())
    back = to_pt(tmp_path / "theirs.safetensors", tmp_path)
    assert_same_tensors(net.state_dict(), back)
    assert back["embedding.weight"].untyped_storage().data_ptr() == back["head.weight"].untyped_storage().data_ptr()


@pytest.mark.parametrize("metadata", [{"kind": "weight"}, {"best.layer": "weight"}, {"kind": "weight", "format": "np"}])
def test_metadata_that_are_a_tensors_name(metadata, tmp_path):
    """Text that happens to be a tensor's name stays text, and becomes no tensor."""
    save_file({"weight": torch.ones(3)}, tmp_path / "in.safetensors", metadata)
    report("convert", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as f:
        assert f.metadata() == metadata and list(f.keys()) == ["weight"]
    assert list(to_pt(tmp_path / "in.safetensors", tmp_path)) == ["weight"]


def test_the_kept_name_is_the_files(tmp_path):
    """huggingface_hub keeps the name that a model does not tie to another; so does what is made of its file."""
    metadata = {"lm_head.weight": "model.embed_tokens.weight", "format": "pt"}
    weights = {"model.embed_tokens.weight": torch.randn(4, 4, 3, 3)}
    save_file(weights, tmp_path / "in.safetensors", metadata)
    for command in (("convert",), ("prune",)):
        report(*command, tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors", "--force")
        with safe_open(tmp_path / "out.safetensors", "pt") as f:
            assert f.metadata() == metadata and list(f.keys()) == ["model.embed_tokens.weight"]
    back = to_pt(tmp_path / "in.safetensors", tmp_path)
    assert list(back) == ["model.embed_tokens.weight", "lm_head.weight"]
    assert back["lm_head.weight"].data_ptr() == back["model.embed_tokens.weight"].data_ptr()


@pytest.mark.parametrize("file", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_sharded(file, tmp_path):
    """An index reads as one model; a missing shard or tensor is an error."""
    expected = nets.small_state(16)
    folder = FIXTURES / "sharded"
    assert_same_tensors(expected, to_safetensors(folder / file, tmp_path))
    index = json.loads((folder / file).read_text())
    shards = sorted(set(index["weight_map"].values()))
    for shard in shards:
        (tmp_path / shard).write_bytes((folder / shard).read_bytes())
    (tmp_path / file).write_text(json.dumps(index))
    assert report("info", tmp_path / file)["parameters"] == sum(
        v.numel() for k, v in expected.items() if "running" not in k and "num_batches" not in k
    )
    index["weight_map"]["conv.weight"] = shards[1]  # it is in the first
    (tmp_path / file).write_text(json.dumps(index))
    fails("info", tmp_path / file, naming=file)
    index["weight_map"]["conv.weight"] = "missing.safetensors"
    (tmp_path / file).write_text(json.dumps(index))
    fails("info", tmp_path / file)


@pytest.mark.parametrize("escape", ["../secret.safetensors", "/etc/hostname", "a/../../secret.safetensors"])
def test_an_index_cannot_point_outside_its_folder(escape, tmp_path):
    """A shard's name stays within the folder of its index."""
    (tmp_path / "model" / "a").mkdir(parents=True)
    save_file({"w": torch.ones(2)}, tmp_path / "secret.safetensors")
    path = tmp_path / "model" / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 8}, "weight_map": {"w": escape}}))
    fails("info", path, naming="model.safetensors.index.json")
