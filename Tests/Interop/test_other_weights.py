"""Weights that are no tensor objects under text keys are read, or refused where they would be lost."""

import numpy as np
import pytest
import torch
from helpers import fails, load, same_bits, succeeds
from safetensors.torch import load_file
from torch import nn

W = {"a.weight": torch.ones(2), "a.bias": torch.full((2,), 3.0)}
READ = {
    "numpy": ({**W, "a.bias": np.full(2, 3.0, np.float32)}, W),
    "column-major": ({"a.weight": np.asfortranarray(np.arange(6.0).reshape(2, 3))},
                     {"a.weight": torch.arange(6.0).double().reshape(2, 3)}),
    "big-endian": ({"a.weight": np.arange(3, dtype=">i4")}, {"a.weight": torch.arange(3, dtype=torch.int32)}),
    "nested": ({"model": {"embed": torch.ones(3), "encoder": W}},
               {"embed": torch.ones(3), **{f"encoder.{k}": v for k, v in W.items()}}),
    "integers": ({"w": torch.ones(2), 0: torch.ones(5)}, {"w": torch.ones(2), "0": torch.ones(5)}),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_read(tmp_path, kind):
    file, expected = READ[kind]
    torch.save(file, tmp_path / "m.pt")
    succeeds("convert", tmp_path / "m.pt", "-o", tmp_path / "o.safetensors")
    ours = load_file(tmp_path / "o.safetensors")
    assert set(ours) == set(expected)
    assert all(same_bits(ours[name], tensor) for name, tensor in expected.items())
    assert succeeds("diff", tmp_path / "m.pt", tmp_path / "o.safetensors").out.startswith("Equal")


def test_changed_where_they_stand(tmp_path):
    torch.save({"model": {"embed": torch.ones(3), "encoder": W, 0: torch.ones(1)}}, tmp_path / "m.pt")
    succeeds("convert", tmp_path / "m.pt", "-o", tmp_path / "o.pt", "--dtype", "float16")
    model = load(tmp_path / "o.pt")["model"]
    assert list(model) == ["embed", "encoder", 0]
    assert same_bits(model["encoder"]["a.bias"], W["a.bias"].half()) and model[0].dtype == torch.float16


def test_what_is_left_out_is_named(tmp_path):
    torch.save({**W, "a._extra_state": b"abc", "scale": 0.07}, tmp_path / "m.pt")
    for command in ("convert", "strip"):
        result = succeeds(command, tmp_path / "m.pt", "-o", tmp_path / f"{command}.safetensors")
        assert "2 entries" in result.err and "'a._extra_state', 'scale'" in result.err


def test_quantized_and_frozen_are_refused(tmp_path):
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 8)), {nn.Linear})
    torch.save(quantized.state_dict(), tmp_path / "state.pt")
    torch.save(quantized, tmp_path / "whole.pt")
    script = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3)).eval())
    torch.jit.save(torch.jit.freeze(script), tmp_path / "frozen.pt")
    for name in ("state", "whole", "frozen"):
        fails("convert", tmp_path / f"{name}.pt", "-o", tmp_path / "o.safetensors", naming="lost")


def test_two_forms_of_one_name(tmp_path):
    torch.save({"\u00e9.weight": torch.ones(2), "e\u0301.weight": torch.zeros(3)}, tmp_path / "m.pt")
    fails("convert", tmp_path / "m.pt", "-o", tmp_path / "o.pt", naming="Unicode form")
