"""torchvision's quantizable models before they are converted: what they compute, what it costs, and fusing."""

import nets
import pytest
import torch
from flops_judges import check_flops
from helpers import report, reported_pairs
from output_judges import check_outputs, check_training
from torch import nn
from torchvision.models import quantization

NAMES = ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x0_5", "googlenet", "inception_v3"]


def build(name, **options):
    if name in ("googlenet", "inception_v3"):
        options.setdefault("init_weights", False)
    torch.manual_seed(4)
    return nets.lively(getattr(quantization, name)(quantize=False, num_classes=7, **options), 4).eval()


@pytest.mark.parametrize("name", NAMES)
def test_outputs(name, tmp_path):
    size = 80 if name == "inception_v3" else 40
    check_outputs(build(name), torch.rand(1, 3, size, size), tmp_path)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5"])
def test_training(name, tmp_path):
    check_training(build(name), torch.rand(2, 3, 40, 40), tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_operations(name, tmp_path):
    check_flops(build(name).to("meta"), (97, 130), tmp_path / "in.pt")


@pytest.mark.parametrize("name", NAMES)
def test_fuse(name, tmp_path):
    """As many pairs as torchvision's own fuse_model leaves no batch norm of."""
    model = build(name)
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    norms = [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert sorted(bn for _, bn in reported_pairs(result)) == sorted(norms)
    fused, x = torch.load(tmp_path / "out.pt", weights_only=False), torch.rand(1, 3, 80, 80)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_after_their_own_fusion(name, tmp_path):
    model = build(name)
    model.fuse_model(is_qat=False)
    check_outputs(model, torch.rand(1, 3, 40, 40), tmp_path)


def test_what_is_watched_is_not_known(tmp_path):
    model = build("resnet18")
    model.layer1[0].add_relu.activation_post_process = torch.ao.quantization.MinMaxObserver()
    torch.save(model, tmp_path / "in.pt")
    result = report("info", tmp_path / "in.pt")
    assert result["gflops"] is None and "watched or quantized" in result["gflopsReason"], result["gflopsReason"]
