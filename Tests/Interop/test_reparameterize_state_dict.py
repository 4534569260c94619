"""RepVGG's kind of branches in bare state dicts: what comes of them loads into the originals' deployed models."""

import copy

import nets
import pytest
import rep_nets
import repvgg_nets as r
import timm
import torch
from helpers import assert_same_outputs, fails, outputs, report
from timm.utils.model import reparameterize_model
from torch import nn

BUILDS = {
    "repvgg": lambda merged: r.RepVGG(deploy=merged),
    "repvgg grouped": lambda merged: r.RepVGG(deploy=merged, groups=2),
    "repvgg se": lambda merged: r.RepVGG(deploy=merged, se=True),
    "mobileone": lambda merged: r.MobileOne(merged=merged, se=True, **({} if merged else {"n": 3})),
}
# What becomes of a file's names: those of a safetensors file are sorted.
ORDERS = {"constructor": lambda state: state, "sorted": lambda state: dict(sorted(state.items())), "reversed": lambda state: dict(reversed(state.items()))}
TIMM = ["repvgg_a0", "mobileone_s0", "mobileone_s4", "fastvit_t8", "fastvit_sa12"]


def build(make, *arguments, eps=1e-5):
    torch.manual_seed(7)
    model = nets.lively(make(*arguments), 7).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
    return model


def merged(state, tmp_path, eps, *arguments):
    torch.save(state, tmp_path / "in.pth")
    result = report("fuse", tmp_path / "in.pth", "--reparameterize", "--eps", eps, "-o", tmp_path / "out.pth", *arguments)
    return torch.load(tmp_path / "out.pth", weights_only=True), result


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("eps", ["1e-5", "1e-3"])
@pytest.mark.parametrize("name", BUILDS)
def test_loads_into_the_deployed_model(name, eps, order, tmp_path):
    model, x = build(BUILDS[name], False, eps=float(eps)), torch.rand(2, 3, 96, 64 if "se" not in name else 96)
    state, result = merged(ORDERS[order](model.state_dict()), tmp_path, eps)
    blocks = [n for n, m in model.named_modules() if isinstance(m, (r.Branches, r.MobileOneBlock))]
    assert sorted(result["reparameterized"]["merged"]) == sorted(blocks) and result["reparameterized"]["refused"] == []
    assert order != "constructor" or result["reparameterized"]["merged"] == blocks
    deployed = BUILDS[name](True).eval()
    deployed.load_state_dict(state)
    assert_same_outputs(outputs(model, x), outputs(deployed, x))
    assert result["parametersBefore"] == sum(p.numel() for p in model.parameters())
    assert result["parametersAfter"] == sum(p.numel() for p in deployed.parameters())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", TIMM)
def test_timm(name, order, tmp_path):
    model = build(timm.create_model, name)
    state, result = merged(ORDERS[order](model.state_dict()), tmp_path, "1e-5")
    theirs = reparameterize_model(copy.deepcopy(model)).state_dict()
    assert set(state) == set(theirs) and result["reparameterized"]["refused"] == []
    for key, value in theirs.items():
        torch.testing.assert_close(state[key], value, rtol=1e-5, atol=1e-5 * value.abs().max().item())


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.stage."])
def test_yolov7_names_and_prefixes(prefix, tmp_path):
    """Branches that are numbered, of float16, beside what is fused by name."""
    model = build(lambda: nn.Sequential(rep_nets.RepConv(8, 8, groups=2), nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4))).half()
    state = {prefix + k: v for k, v in model.state_dict().items()}
    kept = "" if prefix == "module." else prefix
    state, result = merged(state, tmp_path, "1e-5", "--pair", f"{kept}1={kept}2")
    assert result["reparameterized"]["merged"] == [f"{kept}0"] and result["fused"] == [{"conv": f"{kept}1", "bn": f"{kept}2"}]
    assert list(state) == [kept + n for n in ("0.rbr_reparam.weight", "0.rbr_reparam.bias", "1.weight", "1.bias")]
    torch.save(model, tmp_path / "whole.pt")
    report("fuse", tmp_path / "whole.pt", "--reparameterize", "-o", tmp_path / "merged.pt")
    whole = torch.load(tmp_path / "merged.pt", weights_only=False).state_dict()
    assert all(torch.equal(state[kept + n], whole[n]) for n in whole) and state[f"{kept}0.rbr_reparam.weight"].dtype == torch.float16


def test_a_block_alone(tmp_path):
    block = build(lambda: rep_nets.RepVGGBlock(4, 4))
    state, result = merged(block.state_dict(), tmp_path, "1e-5")
    assert result["reparameterized"]["merged"] == [""] and result["isOrderGiven"] is False and list(state) == ["rbr_reparam.weight", "rbr_reparam.bias"]


def test_what_is_not_understood(tmp_path):
    block = build(lambda: rep_nets.RepVGGBlock(4, 4)).state_dict()
    qa = build(lambda: rep_nets.QARepVGGBlock(4, 4)).state_dict()
    kinds = {
        "qa": qa,
        "twice": block | {"rbr_reparam.weight": torch.ones(4, 4, 3, 3)},
        "half": {k: v for k, v in block.items() if "1x1" not in k},
        "mixer": {"mixer.conv_kxk.0.conv.weight": torch.ones(4, 1, 3, 3)},
        "even": block | {"rbr_dense.conv.weight": torch.ones(4, 4, 2, 2)},
        "wide": block | {"rbr_1x1.conv.weight": torch.ones(4, 2, 1, 1)},
        "deep": block | {"rbr_dense.a.b.c.weight": torch.ones(4)},
    }
    state = {f"{name}.{k}": v for name, entries in kinds.items() for k, v in entries.items()}
    after, result = merged(state, tmp_path, "1e-5")
    assert result["reparameterized"]["merged"] == [] and [x["name"] for x in result["reparameterized"]["refused"]] == list(kinds)
    assert list(after) == list(state) and all(torch.equal(after[k], state[k]) for k in state)


def test_refusals(tmp_path):
    torch.save(nn.Conv2d(3, 3, 3).state_dict(), tmp_path / "in.pth")
    command = ("fuse", tmp_path / "in.pth", "--reparameterize", "-o", tmp_path / "out.pth")
    fails(*command, naming="names tell of no branches")
    fails(*command, "--eps", "1e-5", naming="names tell of no branches")
    torch.save({"a.reparam_conv.weight": torch.ones(4, 4, 3, 3)}, tmp_path / "in.pth")
    fails(*command, naming="merged already (a.reparam_conv.weight): nothing is left to do")
    torch.save(rep_nets.RepVGGBlock(4, 4).state_dict(), tmp_path / "in.pth")
    assert "--eps" in fails(*command).err
