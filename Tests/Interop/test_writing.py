"""Writing: names, existing files, the input as output; and all fixtures through the command."""

import json

import golden
import nets
import pytest
import torch
from helpers import (
    FIXTURES,
    assert_same_tensors,
    fails,
    report,
    same_bits,
    succeeds,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn


def test_an_existing_file_is_refused(tmp_path):
    state = dict(nets.small_state(70))
    torch.save(state, tmp_path / "in.pt")
    (tmp_path / "out.safetensors").write_bytes(b"precious")
    fails("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors", naming="out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == b"precious"
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors", "--force")
    assert_same_tensors(state, load_file(tmp_path / "out.safetensors"))


def test_input_as_output(tmp_path):
    """The input may be the output, with --force."""
    state = dict(nets.small_state(71))
    for name, write, read in (
        ("x.pt", torch.save, lambda p: torch.load(p, weights_only=True)),
        ("x.safetensors", save_file, load_file),
    ):
        write(state, tmp_path / name)
        report("prune", tmp_path / name, "-o", tmp_path / name, "--force", "--amount", "0.5")
        after = read(tmp_path / name)
        assert int((after["conv.weight"] == 0).sum()) == state["conv.weight"].numel() // 2
        assert same_bits(after["bn.bias"], state["bn.bias"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.pt", "x.safetensors"]


def test_default_output_name(tmp_path):
    """Without -o the result stands beside the input: model-pruned.pt, model-fused.pt."""
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), tmp_path / "model.pt")
    assert report("prune", tmp_path / "model.pt")["output"].endswith("model-pruned.pt")
    assert report("fuse", tmp_path / "model.pt")["output"].endswith("model-fused.pt")
    assert (tmp_path / "model-pruned.pt").exists() and (tmp_path / "model-fused.pt").exists()
    fails("fuse", tmp_path / "model.pt", naming="model-fused.pt")


@pytest.mark.parametrize("ending", ["pt", "pth", "pth.tar", "bin", "ckpt", "tar", "pkl", "th", "pyth", "PTH"])
def test_extensions_of_pytorch_files(ending, tmp_path):
    """What people call the files of torch.save; `.pth.tar` is one ending of a default name."""
    torch.save({"state_dict": nets.small_state(73)}, tmp_path / f"best.{ending}")
    written = report("prune", tmp_path / f"best.{ending}")["output"]
    assert written.endswith(f"best-pruned.{ending}")
    assert list(torch.load(written, weights_only=True)) == ["state_dict"]
    report("convert", written, "-o", tmp_path / f"again.{ending}")
    assert_same_tensors(torch.load(written)["state_dict"], torch.load(tmp_path / f"again.{ending}")["state_dict"])


@pytest.mark.parametrize("ending", ["pt2", "weights", "tar.gz", "zip", "npz"])
def test_extensions_of_other_formats(ending, tmp_path):
    torch.save(nets.small_state(74), tmp_path / "in.pt")
    fails("convert", tmp_path / "in.pt", "-o", tmp_path / f"out.{ending}", naming=f"out.{ending}")


def test_output_that_cannot_be_written(tmp_path):
    torch.save(dict(nets.small_state(72)), tmp_path / "in.pt")
    fails("convert", tmp_path / "in.pt", "-o", tmp_path / "missing" / "out.safetensors", naming="missing")
    # A folder is one, whatever it is called: the file gets the input's name in it.
    (tmp_path / "folder.safetensors").mkdir()
    succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "folder.safetensors")
    assert [p.name for p in (tmp_path / "folder.safetensors").iterdir()] == ["in.pt"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.safetensors", "in.pt"]


def test_fixtures_are_read_as_their_goldens_say(tmp_path):
    """Every golden beside a fixture holds for the command too."""
    for path in sorted(FIXTURES.glob("**/*.json")):
        facts = json.loads(path.read_text())
        if "tensors" not in facts:
            continue
        source = path.with_name(path.name.removesuffix(".json"))
        out = tmp_path / f"{source.name}.safetensors"
        report("convert", source, "-o", out)
        ours = load_file(out)
        with safe_open(out, "pt") as f:
            for name, kept in (f.metadata() or {}).items():
                if kept in ours:
                    ours.setdefault(name, ours[kept])
        prefixes = ("module.", "_orig_mod.")
        for expected in facts["tensors"]:
            name = expected["name"]
            tensor = ours.get(name, ours.get(name.removeprefix(prefixes[0]).removeprefix(prefixes[1])))
            assert tensor is not None, f"{source.name}: {name} is missing"
            assert golden.tensor_record(name, tensor)["sha256"] == expected["sha256"], (
                f"{source.name}: {name}"
            )


def test_stdout_of_a_plain_run(tmp_path):
    torch.save(dict(nets.small_state(73)), tmp_path / "in.pt")
    assert succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors").err == ""
