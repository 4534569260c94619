"""diff finds what torch finds, between any two formats, and says so with its exit status."""

import json

import pytest
import torch
from helpers import fails, mutils, report, succeeds
from safetensors.torch import save_file


def tensors(seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "a.weight": torch.randn(64, 33, 3, generator=g),
        "b": torch.randn(7, generator=g).half(),
        "c": torch.arange(10),
        "d": torch.randn(5, generator=g).double(),
        "e": torch.tensor([True, False]),
        "big": torch.randn(2_200_000, generator=g),
    }


def compare(a, b, folder, *arguments):
    torch.save(a, folder / "a.pt")
    save_file(b, folder / "b.safetensors")
    result = mutils("diff", folder / "a.pt", folder / "b.safetensors", "--json", *arguments)
    assert result.err == ""
    answer = json.loads(result.out)
    assert result.code == (0 if answer["equal"] else 1)
    return answer


def test_equal(tmp_path):
    answer = compare(tensors(), tensors(), tmp_path)
    assert answer["equal"] and not answer["differing"]
    assert answer["onlyInFirst"] == answer["onlyInSecond"] == []
    assert succeeds("diff", tmp_path / "a.pt", tmp_path / "b.safetensors").out == "Equal: 6 tensors\n"


@pytest.mark.parametrize("name", ["a.weight", "b", "d", "big", "c"])
def test_values(tmp_path, name):
    a, b = tensors(), tensors()
    b[name].view(-1)[1:4] += torch.tensor([1, 2, 3]).to(b[name].dtype)
    (entry,) = compare(a, b, tmp_path)["differing"]
    x, y = a[name].double().flatten(), b[name].double().flatten()
    assert entry["name"] == name and entry["elements"] == 3
    assert entry["maxAbs"] == (x - y).abs().max()
    assert entry["maxRelative"] == ((x - y).abs() / torch.maximum(x.abs(), y.abs()).clamp(min=1e-300)).max()
    # Both sum in double; the orders differ.
    assert entry["cosine"] == pytest.approx(torch.nn.functional.cosine_similarity(x, y, dim=0).item(), abs=1e-12)


def test_tolerance(tmp_path):
    a, b = tensors(), tensors()
    b["d"][0] += 0.25
    distance = (a["d"] - b["d"]).abs().max().item()
    assert not compare(a, b, tmp_path, "--tolerance", repr(distance * 0.999))["equal"]
    assert compare(a, b, tmp_path, "--tolerance", repr(distance))["equal"]


def test_types_count_unless_there_is_a_tolerance(tmp_path):
    a, b = tensors(), tensors()
    b["b"] = b["b"].float()
    (entry,) = compare(a, b, tmp_path)["differing"]
    assert (entry["firstDType"], entry["secondDType"], entry["elements"]) == ("float16", "float32", 0)
    assert compare(a, b, tmp_path, "--tolerance", "0")["equal"]


def test_names_and_shapes(tmp_path):
    a, b = tensors(), tensors()
    b["c2"] = b.pop("c")
    b["d"] = b["d"].reshape(5, 1)
    answer = compare(a, b, tmp_path)
    assert answer["onlyInFirst"] == ["c"] and answer["onlyInSecond"] == ["c2"]
    (entry,) = answer["differing"]
    assert (entry["firstShape"], entry["secondShape"]) == ([5], [5, 1]) and entry.get("maxAbs") is None


def test_not_finite(tmp_path):
    a, b = tensors(), tensors()
    for t in (a, b):
        t["d"][0], t["d"][1] = float("nan"), float("inf")
    assert compare(a, b, tmp_path)["equal"]
    b["d"][1] = -float("inf")
    b["d"][2] = float("nan")
    (entry,) = compare(a, b, tmp_path, "--tolerance", "1e30")["differing"]
    assert entry["nonFinite"] == entry["elements"] == 2 and entry["maxAbs"] == 0


def test_zeros_of_either_sign_are_equal(tmp_path):
    assert compare({"x": torch.tensor([0.0, 1])}, {"x": torch.tensor([-0.0, 1])}, tmp_path)["equal"]


def test_integers_beyond_double(tmp_path):
    a, b = {"x": torch.tensor([2**62])}, {"x": torch.tensor([2**62 + 1])}
    assert not compare(a, b, tmp_path)["equal"]


def test_missing_file(tmp_path):
    save_file(tensors(), tmp_path / "b.safetensors")
    fails("diff", tmp_path / "no.pt", tmp_path / "b.safetensors", naming="no.pt")
    assert report("diff", tmp_path / "b.safetensors", tmp_path / "b.safetensors")["equal"]


def files(tmp_path, a, b):
    torch.save(a, tmp_path / "a.pt")
    torch.save(b, tmp_path / "b.pt")
    return tmp_path / "a.pt", tmp_path / "b.pt"


def test_every_model_is_compared(tmp_path):
    def file(**values):
        return {key: {"w": torch.full((2,), value)} for key, value in values.items()}

    different = file(model=1.0, ema=1.0), file(model=0.0, ema=1.0)
    result = mutils("diff", *files(tmp_path, *different), "--json")
    answer = json.loads(result.out)
    assert result.code == 1 and [entry["name"] for entry in answer["differing"]] == ["model.w"]
    result = mutils("diff", *files(tmp_path, file(model=1.0, ema=1.0), file(ema=1.0)), "--json")
    assert result.code == 1 and json.loads(result.out)["onlyInFirst"] == ["model.w"]
    succeeds("diff", *files(tmp_path, *different), "--key", "ema")


def test_what_stands_beside_the_models(tmp_path):
    def file(latent, moment):
        state = {0: {"exp_avg": torch.full((3,), moment)}}
        return {"model": {"c.w": torch.ones(2)}, "latent": torch.full((4,), latent), "optimizer": {"state": state}}

    assert report("diff", *files(tmp_path, file(1.0, 2.0), file(1.0, 2.0)))["compared"] == 3
    result = mutils("diff", *files(tmp_path, file(1.0, 2.0), file(3.0, 4.0)), "--json")
    names = [entry["name"] for entry in json.loads(result.out)["differing"]]
    assert result.code == 1 and names == ["latent", "optimizer.state.0.exp_avg"]
    # What the other format cannot hold is noted.
    succeeds("convert", tmp_path / "a.pt", "-o", tmp_path / "a.safetensors")
    result = succeeds("diff", tmp_path / "a.pt", tmp_path / "a.safetensors")
    assert result.out == "Equal: 1 tensors\n" and "2 tensors beside the models" in result.err
