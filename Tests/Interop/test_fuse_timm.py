"""timm: every batch norm that a trace of the forward proves to be foldable is folded, and the file works in timm."""

import nets
import pytest
import timm
import timm_nets
import torch
from helpers import assert_same_outputs, check_fused_file, load, outputs, report, reported_pairs
from timm.models.byobnet import MobileOneBlock, RepVggBlock
from timm.utils.model import reparameterize_model

# Their branches are left to re-parameterisation.
BRANCHED = (RepVggBlock, MobileOneBlock)


def foldable(model):
    inside = tuple(f"{name}." for name, m in model.named_modules() if isinstance(m, BRANCHED))
    return {pair for pair in timm_nets.provable_pairs(model) if not pair[0].startswith(inside or ("\0",))}


NAMES = (
    "resnet", "resnet-d", "resnext blur", "se", "sknet", "res2net", "resnest", "resnetv2", "resnetv2 basic", "tf efficientnet",
    "efficientnet gn", "s2d", "mixnet", "mobilenetv3", "mobilenetv4 hybrid", "regnety", "regnetv", "byobnet", "byobnet last", "repvgg se",
    "mobileone", "cspnet", "cs3", "darknet", "dpn", "sync",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_proved_pair(name, tmp_path):
    model = timm_nets.build(name).eval()
    torch.save(model, tmp_path / "in.pt")
    pairs = foldable(model)
    _, result = check_fused_file(model, tmp_path / "in.pt", timm_nets.picture(name), must=pairs)
    assert reported_pairs(result) == pairs


@pytest.mark.parametrize(
    "name, count", [("mobilenetv3_small_050", 34), ("tf_efficientnet_lite0", 49), ("hardcorenas_a", 34), ("regnetx_002", 44)]
)
def test_timms_own(name, count, tmp_path):
    torch.manual_seed(2)
    model = nets.lively(timm.create_model(name, pretrained=False, num_classes=10), 2).eval()
    torch.save(model, tmp_path / "in.pt")
    pairs = foldable(model)
    _, result = check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, 64, 64), must=pairs, may=pairs)
    assert len(result["fused"]) == count and not result["refused"]


def test_normalised_weights_are_left(tmp_path):
    """A factor in the weights of a StdConv2d would be normalised away."""
    model = timm_nets.resnetv2(norm_layer="batchnorm").eval()
    torch.save(nets.lively(model, 2), tmp_path / "in.pt")
    x = torch.rand(1, 3, 48, 64)
    _, result = check_fused_file(model, tmp_path / "in.pt", x, may=())
    reasons = {refusal["reason"] for refusal in result["refused"]}
    assert "the weights of a StdConv2d are normalised when it runs, so a factor would be lost" in reasons


def test_dropout_behind_a_norm_stays(tmp_path):
    model = timm_nets.build("layers").eval()
    torch.save(model, tmp_path / "in.pt")
    loaded, result = check_fused_file(model, tmp_path / "in.pt", timm_nets.picture("layers"), must={("0", "1")})
    assert [type(m).__name__ for m in loaded[1]] == ["DropBlock2d", "SiLU"] and len(result["fused"]) == 1


@pytest.mark.parametrize("name", ["repvgg", "repvgg se", "mobileone"])
def test_reparameterize(name, tmp_path):
    """The tensors of timm's own reparameterize(), and its own classes run them."""
    model = timm_nets.build(name).eval()
    torch.save(model, tmp_path / "in.pt")
    x = timm_nets.picture(name)
    expected = outputs(model, x)
    result = report("fuse", tmp_path / "in.pt", "--reparameterize", "-o", tmp_path / "out.pt")
    blocks = [n for n, m in model.named_modules() if isinstance(m, BRANCHED)]
    assert result["reparameterized"] == {"merged": blocks, "refused": []} and not result["refused"]
    loaded = load(tmp_path / "out.pt")
    assert_same_outputs(expected, outputs(loaded, x))
    assert [n for n, _ in loaded.named_modules()] == [n for n, _ in reparameterize_model(model).named_modules()]
    theirs = reparameterize_model(model).state_dict()
    for key, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, theirs[key], rtol=2e-6, atol=2e-6 * theirs[key].abs().max().item())
    assert report("info", tmp_path / "out.pt", "--image-size", "48x64")["gflops"]


# Classes that are not known: whatever is fused, the output must be the same.
UNKNOWN = ["dla46x_c", "hrnet_w18_small", "fastvit_t8", "levit_128s", "ghostnet_050", "convmixer"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_output_is_kept(name, tmp_path):
    torch.manual_seed(2)
    size = 224 if name.startswith("levit") else 64
    if name == "convmixer":  # Sequentials of conv, activation, norm
        model = timm.models.convmixer.ConvMixer(dim=16, depth=2, kernel_size=5, patch_size=4, num_classes=10)
    else:
        model = timm.create_model(name, pretrained=False, num_classes=10)
    nets.lively(model, 2).eval()
    torch.save(model, tmp_path / "in.pt")
    check_fused_file(model, tmp_path / "in.pt", torch.randn(1, 3, size, size))
