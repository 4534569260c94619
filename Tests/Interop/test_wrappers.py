"""DataParallel and torch.compile around a model, pickled whole or by the names of a state dict, are seen through."""

import nets
import pytest
import torch
from helpers import assert_same_tensors, load, report
from safetensors.torch import load_file, save_file
from torch import nn


def net():
    torch.manual_seed(0)
    return nets.lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.Conv2d(4, 2, 1)))


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "compiled": torch.compile,
    "DataParallel of compiled": lambda m: nn.DataParallel(torch.compile(m)),
    "compiled DataParallel": lambda m: torch.compile(nn.DataParallel(m)),
}


def unwrapped(state):
    def plain(name):
        while name.startswith(("module.", "_orig_mod.")):
            name = name.partition(".")[2]
        return name

    return {plain(k): v for k, v in state.items()}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_whole(tmp_path, kind):
    plain, wrapped, out = tmp_path / "plain.pt", tmp_path / "wrapped.pt", tmp_path / "out.pt"
    torch.save(net(), plain)
    torch.save(WRAPPERS[kind](net()), wrapped)
    for path in (plain, wrapped):
        assert report("info", path)["parameters"] == sum(p.numel() for p in net().parameters())
        result = report("fuse", path, "-o", path.with_suffix(".out.pt"))
        assert len(result["fused"]) == 1 and result["fused"][0]["conv"].endswith("0")
    ours = load(tmp_path / "wrapped.out.pt")
    assert_same_tensors(unwrapped(ours.state_dict()), load(tmp_path / "plain.out.pt").state_dict())
    report("strip", wrapped, "-o", out)
    stripped = load(out)
    stripped = stripped["model"] if isinstance(stripped, dict) else stripped
    half = {k: v.half() if v.is_floating_point() else v for k, v in net().state_dict().items()}
    assert_same_tensors(unwrapped(stripped.state_dict()), half)


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("extension", ["pt", "safetensors"])
def test_state_dict(tmp_path, kind, extension):
    state = WRAPPERS[kind](net()).state_dict()
    path = tmp_path / f"in.{extension}"
    torch.save(state, path) if extension == "pt" else save_file(state, path)
    pair = ["--pair", "0=1", "--eps", "1e-3"]
    report("fuse", path, "-o", tmp_path / "out.safetensors", *pair)
    torch.save(net(), tmp_path / "whole.pt")
    report("fuse", tmp_path / "whole.pt", "-o", tmp_path / "fused.safetensors")
    fused = load_file(tmp_path / "fused.safetensors")
    assert_same_tensors(load_file(tmp_path / "out.safetensors"), fused)
    prefix = next(iter(state)).removesuffix("0.weight")
    pair = ["--pair", f"{prefix}0={prefix}1", "--eps", "1e-3"]
    report("fuse", path, "-o", tmp_path / "kept.safetensors", "--keep-prefix", *pair)
    kept = load_file(tmp_path / "kept.safetensors")
    assert not set(kept) & set(fused)
    assert_same_tensors(unwrapped(kept), fused)
    # Either side of a transfer.
    torch.save(net().state_dict(), tmp_path / "plain.pt")
    for pretrained, target in ((path, tmp_path / "plain.pt"), (tmp_path / "plain.pt", path)):
        answer = report("intersect", pretrained, target, "-o", tmp_path / "t.safetensors", "--force")
        assert len(answer["transferred"]) == len(state) and not answer["skipped"]
