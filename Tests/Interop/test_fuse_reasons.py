"""Why a batch norm stays: the reason is a true one."""

import custom_nets
import pytest
import torch
from helpers import report
from torch import nn


@pytest.mark.parametrize(
    "model, reason",
    [
        (custom_nets.Unknown(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), "what the forward of custom_nets.Unknown does with it is not known"),
        (custom_nets.Unknown(nn.ReLU(), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())), "what the forward of custom_nets.Unknown does with it is not known"),
        (custom_nets.Unknown(nn.ModuleList([nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)])), "what the forward of custom_nets.Unknown does with it is not known"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), "nothing comes before it"),
        (nn.Sequential(nn.Bilinear(2, 2, 3), nn.BatchNorm1d(3)), "the forward of torch.nn.modules.container.Sequential could not be followed: takes 2 tensors, not 1"),
    ],
    ids=range(5),
)  # fmt: skip
def test_reasons_are_true(model, reason, tmp_path):
    torch.save(model.eval(), tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert [refusal["reason"] for refusal in result["refused"]] == [reason]
