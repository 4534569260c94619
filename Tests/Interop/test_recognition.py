"""Bare state dicts of known architectures: recognised, counted and fused as the whole modules are, eps included."""

import re
from pathlib import Path

import nets
import pytest
import torch
import torchvision
from helpers import assert_same_outputs, fails, load, mutils, outputs, report
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

yolov5 = nets.import_yolov5()
yolo = yolov5.models.yolo
YAMLS = Path(yolo.__file__).parent
TORCHVISION = [
    "resnet18", "wide_resnet50_2", "resnext50_32x4d", "vgg11_bn", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
    "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5", "googlenet",
    "inception_v3",
]  # fmt: skip
# The blocks that only run in training.
AUXILIARY = {"googlenet": ["aux1.conv", "aux2.conv"], "inception_v3": ["AuxLogits.conv0", "AuxLogits.conv1"]}


def classifier(name, classes):
    torch.manual_seed(2)
    more = {"init_weights": False, "aux_logits": True} if name in AUXILIARY else {}
    return nets.lively(torchvision.models.get_model(name, num_classes=classes, **more), 2).eval()


def fx_pairs(model):
    """The pairs that torch.fx's fusion finds: a batch norm whose only input is a convolution with no other user."""
    traced = torch.fx.symbolic_trace(model)
    modules = dict(traced.named_modules())
    pairs = set()
    for node in traced.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        source = node.args[0]
        if source.op == "call_module" and isinstance(modules[source.target], nn.Conv2d) and len(source.users) == 1:
            pairs.add((source.target, node.target))
    return pairs


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("form", ["pth", "safetensors", "old"])
def test_torchvision(name, form, tmp_path):
    model = classifier(name, 11)
    state = model.state_dict()
    path = tmp_path / ("in.safetensors" if form == "safetensors" else "in.pth")
    if form == "safetensors":
        save_file(state, path)
    else:
        # Before 0.4.1 batch norms did not count their batches.
        torch.save({k: v for k, v in state.items() if form == "pth" or "num_batches" not in k}, path)
    info = report("info", path, "--image-size", "224")
    torch.save(model, tmp_path / "whole.pt")
    whole = report("info", tmp_path / "whole.pt", "--image-size", "224")
    assert info["architecture"] == name
    for key in ("layers", "parameters", "gradients", "gflops", "modules"):
        assert info[key] == whole[key], key
    result = report("fuse", path, "-o", tmp_path / "out.pt")
    pairs = {(p["conv"], p["bn"]) for p in result["fused"]}
    # Auxiliary heads run in training alone; a trace in evaluation does not see them.
    auxiliary = {(f"{block}.conv", f"{block}.bn") for block in AUXILIARY.get(name, [])}
    assert pairs == fx_pairs(model) | auxiliary
    for conv, bn in pairs:
        parent, _, child = conv.rpartition(".")
        fused = fuse_conv_bn_eval(model.get_submodule(conv), model.get_submodule(bn))
        setattr(model.get_submodule(parent), child, fused)
        parent, _, child = bn.rpartition(".")
        setattr(model.get_submodule(parent), child, nn.Identity())
    ours = torch.load(tmp_path / "out.pt", weights_only=True)
    expected = model.state_dict()
    assert set(ours) == {k for k in expected if form != "old" or "num_batches" not in k}
    for key, value in ours.items():
        # The original scales by rsqrt and ours by a quotient of a square root: two roundings apart.
        torch.testing.assert_close(value, expected[key], rtol=1e-6, atol=1e-6 * (1 + expected[key].abs().max().item()))


@pytest.mark.parametrize("name, classes", [("yolov5n", 80), ("yolov5s", 3), ("yolov5n6", 80), ("yolov5n-seg", 5), ("yolov5n-cls", 10)])
@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_yolov5(name, classes, prefix, tmp_path):
    """eps is 1e-3: outputs stay only with the right one."""
    torch.manual_seed(2)
    yolov5.models.common.Conv.default_act = nn.SiLU()
    if name.endswith("-cls"):
        model = yolo.ClassificationModel(model=yolo.DetectionModel(YAMLS / "yolov5n.yaml"), nc=classes)
    elif name.endswith("-seg"):
        model = yolo.SegmentationModel(YAMLS / "segment" / f"{name}.yaml", nc=classes)
    else:
        folder = YAMLS if (YAMLS / f"{name}.yaml").exists() else YAMLS / "hub"
        model = yolo.DetectionModel(folder / f"{name}.yaml", nc=classes)
    nets.lively(model, 2).eval()
    save_file({prefix + k: v for k, v in model.state_dict().items()}, tmp_path / "in.safetensors")
    assert report("info", tmp_path / "in.safetensors")["architecture"] == name
    keep = [] if prefix != "model." else ["--keep-prefix"]
    report("fuse", tmp_path / "in.safetensors", "-o", tmp_path / "out.pt", *keep)
    x = torch.rand(1, 3, 128, 128)
    expected = outputs(model, x)
    fused = torch.load(tmp_path / "out.pt", weights_only=True)
    model.fuse()
    taken = prefix if prefix == "model." else ""
    model.load_state_dict({k.removeprefix(taken): v for k, v in fused.items()})
    assert_same_outputs(expected, outputs(model, x))


def test_older_names(tmp_path):
    """DenseNets of torchvision's first years are recognised, and keep their names."""
    model = torchvision.models.densenet121(num_classes=5).eval()
    renamed = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])")
    state = {renamed.sub(r"\1.\2", name): tensor for name, tensor in model.state_dict().items()}
    torch.save(state, tmp_path / "old.pth")
    torch.save(model, tmp_path / "whole.pt")
    assert report("info", tmp_path / "old.pth")["gflops"] == report("info", tmp_path / "whole.pt")["gflops"] is not None
    fused = report("fuse", tmp_path / "old.pth", "-o", tmp_path / "fused.pth")
    assert len(fused["fused"]) == len(report("fuse", tmp_path / "whole.pt", "-o", tmp_path / "f.pt")["fused"]) > 0
    kept = [name for name in load(tmp_path / "fused.pth") if name in state]
    assert any("norm.1" in name for name in kept) and any("conv.1" in name for name in kept)


def test_what_is_not_known(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    state["fc2.weight"] = torch.zeros(2, 2)
    torch.save(state, tmp_path / "in.pth")
    assert "architecture" not in report("info", tmp_path / "in.pth")
    fails("fuse", tmp_path / "in.pth", "-o", tmp_path / "out.pth", naming="--pair")


def test_it_says_what_it_recognised(tmp_path):
    torch.save(torchvision.models.resnet18(num_classes=3).state_dict(), tmp_path / "in.pth")
    result = mutils("fuse", tmp_path / "in.pth", "-o", tmp_path / "out.pth")
    assert "resnet18" in result.err and "3 classes" in result.err
    assert load(tmp_path / "out.pth")["fc.weight"].shape == (3, 512)
