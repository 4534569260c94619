"""`mutils init`: architectures as torchvision and YOLOv5 build them, tensor for tensor; YOLO's initialize_weights."""

from pathlib import Path

import helpers
import nets
import pytest
import torch
import torchvision
from helpers import assert_same_tensors, fails, load, report, succeeds
from safetensors.torch import load_file
from torch import nn
from torchvision.models.regnet import BlockParams

nets.import_yolov5()
from yolov5.models import common, yolo  # noqa: E402
from yolov5.utils.torch_utils import initialize_weights  # noqa: E402

YAMLS = Path(yolo.__file__).parent
SMALL = """alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_b5 efficientnet_v2_s googlenet inception_v3 mnasnet0_5 mnasnet0_75
    mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_x_1_6gf regnet_y_400mf
    regnet_y_800mf resnet18 resnet34 resnet50 resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t""".split()
LARGE = """convnext_base convnext_large convnext_small densenet161 densenet169 densenet201 efficientnet_b1 efficientnet_b2
    efficientnet_b3 efficientnet_b4 efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m maxvit_t regnet_x_16gf
    regnet_x_32gf regnet_x_3_2gf regnet_x_800mf regnet_x_8gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf
    regnet_y_8gf resnet101 resnet152 resnext101_32x8d resnext101_64x4d swin_b swin_s swin_v2_b swin_v2_s vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19
    vgg19_bn vit_b_16 vit_b_32 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2""".split()

LARGEST = ["regnet_y_128gf", "vit_h_14"]


def torchvision_model(name, classes=1000):
    return torchvision.models.get_model(name, weights=None, num_classes=classes)


def yolov5(name, classes=None):
    """A model by a built-in name, or of a description."""
    common.Conv.default_act = nn.SiLU()  # a description with another activation changes it for good
    if name.endswith("-cls"):
        return yolo.ClassificationModel(model=yolov5(name.removesuffix("-cls")), nc=classes or 1000)
    if not name.endswith(".yaml"):
        folder = "segment" if name.endswith("-seg") else "hub" if name.endswith("6") else ""
        name = YAMLS / folder / f"{name}.yaml"
    kind = yolo.SegmentationModel if "Segment" in Path(name).read_text() else yolo.DetectionModel
    return kind(name, nc=classes)


def agrees(name, make, folder, seed=0, *arguments):
    """The same names, in the same order, shapes, types and bits; the same counts."""
    result = report("init", name, "--seed", seed, "-o", folder / "out.pt", *arguments)
    torch.manual_seed(seed)
    model = make()
    state = load(folder / "out.pt")
    assert list(state) == list(model.state_dict())
    versions = model.state_dict()._metadata
    assert all(versions[path] == version for path, version in state._metadata.items())
    model.load_state_dict(state)
    assert_same_values(state, model.state_dict())
    parameters = sum(p.numel() for p in model.parameters())
    assert (result["parameters"], result["seed"], result["output"]) == (parameters, seed, str(folder / "out.pt"))
    return model


def assert_same_values(a, b):
    """Bits, but for the sign of a zero: a mean of zeros may be -0."""
    assert_same_tensors({k: v + 0 for k, v in a.items()}, {k: v + 0 for k, v in b.items()})


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 7, -1])
@pytest.mark.parametrize("name", SMALL)
def test_torchvision(name, seed, tmp_path):
    agrees(name, lambda: torchvision_model(name), tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_torchvision(name, tmp_path):
    agrees(name, lambda: torchvision_model(name), tmp_path, 5)


@pytest.mark.parametrize("name", [*SMALL, "maxvit_t", "vit_b_32"])
def test_whole_torchvision(name, tmp_path):
    """As torch.save(model) writes it: the modules' own attributes, and the same outputs."""
    succeeds("init", name, "--seed", 2, "--whole-module", "-o", tmp_path / "whole.pt")
    torch.manual_seed(2)
    model = torchvision_model(name)
    whole = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert [(n, type(m)) for n, m in whole.named_modules()] == [(n, type(m)) for n, m in model.named_modules()]
    for (path, ours), theirs in zip(whole.named_modules(), model.modules(), strict=True):
        parts = ("_parameters", "_buffers", "_modules")
        assert all(set(getattr(ours, part)) == set(getattr(theirs, part)) for part in parts), path
        # What a constructor alone needs.
        missing = set(vars(theirs)) - set(vars(ours)) - {"_norm_layer", "norm_layer"}
        assert not missing, (path, missing)
    assert_same_values(whole.state_dict(), model.state_dict())
    size = {"inception_v3": 96, "maxvit_t": 224, "vit_b_32": 224}.get(name, 64)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.equal(whole.eval()(x), model.eval()(x))


def test_every_name_is_judged():
    """All that torchvision classifies pictures with; of the two largest the counts alone are judged."""
    names = torchvision.models.list_models(module=torchvision.models)
    assert sorted(names) == sorted(SMALL + LARGE + LARGEST)


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_are_counted(name, monkeypatch):
    params = BlockParams.from_init_params

    def on_the_cpu(*arguments, **keywords):
        with torch.device("cpu"):
            return params(*arguments, **keywords)

    monkeypatch.setattr(BlockParams, "from_init_params", on_the_cpu)
    with torch.device("meta"):
        model = torchvision_model(name)
    result = report("info", name, "--image-size", "224")
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    assert result["layers"] == len(list(model.modules()))
    assert result["gflops"]


@pytest.mark.parametrize("size", "nsmlx")
@pytest.mark.parametrize("kind", ["", "6", "-seg", "-cls"])
def test_yolov5(size, kind, tmp_path):
    name = f"yolov5{size}{kind}"
    model = agrees(name, lambda: yolov5(name), tmp_path, 3)
    first = f"Model Summary: {len(list(model.modules()))} layers, "
    assert succeeds("info", name).out.startswith(first)


def descriptions():
    found = sorted(YAMLS.glob("hub/*.yaml")) + sorted(YAMLS.glob("*.yaml")) + sorted(YAMLS.glob("segment/*.yaml"))
    return [p for p in found if p.name not in ("anchors.yaml", "yolov5s-transformer.yaml")]


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=pytest.mark.slow if "5x" in p.stem or "5l" in p.stem else ()) for p in descriptions()], ids=lambda p: p.stem)
def test_published_descriptions(path, tmp_path):
    agrees(path, lambda: yolov5(str(path)), tmp_path, 1)


LAYERS = {
    "conv": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 2, Conv, [16, [3, 1], 1, [1, 0], 2, 1, False]]", "[-1, 1, Conv, [16, 3, 1, None, 1, 2]]"],
    "own activations": ["[-1, 1, Conv, [16, 3, 2, 1, 1, 1, nn.ReLU()]]", "[-1, 2, GhostConv, [16, 3, 1, 1, nn.Hardswish()]]"],
    "dwconv": ["[-1, 1, Conv, [24, 3, 2]]", "[-1, 3, DWConv, [24, 5, 1]]", "[-1, 1, DWConv, [36, 3, 2, 2]]"],
    "ghost": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 1, GhostConv, [32, 3, 2]]", "[-1, 1, GhostBottleneck, [48, 5, 2]]",
              "[-1, 3, C3Ghost, [48]]", "[-1, 2, GhostBottleneck, [48]]"],
    "csp": ["[-1, 1, Focus, [16, 3]]", "[-1, 3, BottleneckCSP, [32]]", "[-1, 3, BottleneckCSP, [32, False, 2, 0.25]]"],
    "c3": ["[-1, 1, Conv, [16, 6, 2, 2]]", "[-1, 7, C3, [32, True, 4, 0.75]]", "[-1, 3, C3x, [32]]", "[-1, 3, C3SPP, [32, [3, 5], 2]]"],
    "pyramids": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 1, SPP, [32, [3, 7]]]", "[-1, 1, SPPF, [24, 3]]", "[-1, 1, SPP, [32]]"],
    "mixed": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 1, MixConv2d, [30, [1, 3, 5], 2]]", "[-1, 1, MixConv2d, [32]]"],
    "cross": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 2, CrossConv, [16, 3, 1, 1, 1.0, True]]", "[-1, 1, CrossConv, [32, 5, 2, 2, 0.5]]"],
    "bottlenecks": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 4, Bottleneck, [16]]", "[-1, 1, Bottleneck, [24, False, 1, 0.3]]"],
    "reshaping": ["[-1, 1, Contract, [2]]", "[-1, 1, Conv, [16]]", "[-1, 1, Expand, [2]]", "[-1, 1, Conv, [16, 3, 2]]",
                  "[-1, 2, nn.BatchNorm2d, []]", "[-1, 1, nn.MaxPool2d, [3, 2, 1]]", "[-1, 1, nn.AvgPool2d, [2]]",
                  "[-1, 1, nn.Upsample, [None, 2, bilinear]]", "[-1, 1, nn.ZeroPad2d, [[1, 1, 1, 1]]]", "[-1, 1, Conv, [16, 3, 1, 0]]",
                  "[-1, 1, nn.Identity, []]", "[-1, 1, nn.Dropout, [0.1]]", "[-1, 1, nn.ReLU, []]"],
    "routes": ["[-1, 1, Conv, [16, 3, 2]]", "[-1, 1, Conv, [8, 3]]", "[-2, 1, Conv, [24]]", "[[-1, 1, -3], 1, Concat, [1]]"],
}


def test_transformer(tmp_path):
    """Behind its biases the constructor's zeros are numbers; rounding leaves about 1e-8 of them behind the next batch norm."""
    path = YAMLS / "hub/yolov5s-transformer.yaml"
    report("init", path, "--seed", 4, "-o", tmp_path / "out.pt")
    torch.manual_seed(4)
    state, out = yolov5(str(path)).state_dict(), load(tmp_path / "out.pt")
    assert list(state) == list(out)
    for name in state:
        if name.endswith("running_mean"):
            torch.testing.assert_close(out[name], state[name], rtol=1e-5, atol=1e-7)
        else:
            assert helpers.same_bits(out[name], state[name]), name
    assert state["model.8.cv3.bn.running_mean"].abs().max() > 1e-3


def description(layers, head="[nc, anchors]", last="Detect", **settings):
    settings = {"nc": 3, "depth_multiple": 0.67, "width_multiple": 0.5, "anchors": 2} | settings
    rows = "\n".join(f"  - {row}" for row in layers)
    return (
        "\n".join(f"{k}: {v}" for k, v in settings.items())
        + f"\nbackbone:\n{rows}\nhead:\n  [[[-1], 1, {last}, {head}]]  # the end\n"
    )


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, tmp_path):
    (tmp_path / "net.yaml").write_text(description(LAYERS[name]))
    agrees(tmp_path / "net.yaml", lambda: yolov5(str(tmp_path / "net.yaml")), tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"nc": 1},
        {"nc": 91, "ch": 1},
        {"activation": "nn.LeakyReLU(0.1)"},
        {"activation": "nn.ReLU()", "inplace": False},
        {"activation": "nn.Identity()"},
        {"anchors": [[10, 13, 16, 30.5]]},
        {"width_multiple": 1.1, "depth_multiple": 1},
        {"width_multiple": 0.01, "depth_multiple": 0.01},
        {"last": "Segment", "head": "[nc, anchors, 8, 24]"},
        {"head": "[7, [[1, 2, 3, 4, 5, 6]]]"},
    ],
    ids=str,
)
def test_settings(settings, tmp_path):
    rows = ["[-1, 1, Conv, [24, 3, 2]]", "[-1, 3, C3, [40]]"]
    (tmp_path / "net.yaml").write_text(description(rows, **settings))
    agrees(tmp_path / "net.yaml", lambda: yolov5(str(tmp_path / "net.yaml")), tmp_path, 9)


def test_anchors_in_the_order_of_the_strides(tmp_path):
    text = description(["[-1, 1, Conv, [16, 3, 2]]", "[-1, 1, Conv, [16, 3, 2]]"], anchors=[[40, 20], [2, 4]])
    (tmp_path / "net.yaml").write_text(text.replace("[[-1], 1", "[[0, 1], 1"))
    agrees(tmp_path / "net.yaml", lambda: yolov5(str(tmp_path / "net.yaml")), tmp_path)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0", "googlenet", "convnext_tiny", "mnasnet0_5"])
def test_classes_of_torchvision(name, tmp_path):
    agrees(name, lambda: torchvision_model(name, 11), tmp_path, 2, "--classes", 11)


@pytest.mark.parametrize("name", ["yolov5n", "yolov5n-seg", "yolov5n-cls", "yolov5n6"])
def test_classes_of_yolov5(name, tmp_path):
    agrees(name, lambda: yolov5(name, 11), tmp_path, 2, "--classes", 11)


def test_safetensors(tmp_path):
    report("init", "mobilenet_v3_small", "-o", tmp_path / "out.safetensors")
    torch.manual_seed(0)
    assert_same_tensors(load_file(tmp_path / "out.safetensors"), torchvision_model("mobilenet_v3_small").state_dict())


def test_shards(tmp_path):
    report("init", "resnet18", "-o", tmp_path / "out.safetensors", "--max-shard-size", "10MB")
    assert len(list(tmp_path.glob("out-*-of-*.safetensors"))) > 4
    torch.manual_seed(0)
    tensors = {}
    for shard in tmp_path.glob("out-*.safetensors"):
        tensors |= load_file(shard)
    assert_same_tensors(tensors, torchvision_model("resnet18").state_dict())


def test_nothing_is_written_without_output(tmp_path):
    for arguments in ([], ["resnet18"], ["yolov5n-cls"]):
        assert report("init", *arguments, cwd=tmp_path)["output"] is None
    assert not list(tmp_path.iterdir())


def test_a_file_wins_over_a_name(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "resnet18")
    assert report("info", "resnet18", cwd=tmp_path)["parameters"] == 3


def test_initialize_weights(tmp_path):
    """Whole modules: only what YOLO's function changes is changed."""

    class_ = nets.import_yolov5().models.common.Conv
    class_.default_act = nn.SiLU()
    model = nn.Sequential(
        class_(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Hardswish(), nn.LeakyReLU(), nn.ReLU6(), nn.GELU(), nn.BatchNorm2d(4)
    )
    torch.save({"model": model, "epoch": 3}, tmp_path / "in.pt")
    succeeds("init", tmp_path / "in.pt")
    out = load(tmp_path / "in-initialised.pt")
    assert out["epoch"] == 3
    initialize_weights(model)
    assert_same_tensors(out["model"].state_dict(), model.state_dict())
    for a, b in zip(out["model"].modules(), model.modules()):
        for name in ("eps", "momentum", "inplace"):
            assert getattr(a, name, None) == getattr(b, name, None)


def test_refusals(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "in.pt")
    fails("init", tmp_path / "in.pt", naming="in.pt")
    fails("init", tmp_path / "in.pt", "--classes", 3, naming="--classes")
    fails("init", "resnet18", "--classes", 0, naming="resnet18")
    fails("info", tmp_path / "resnet18", naming="resnet18")
    fails("info", "resnet51", naming="resnet50")
    (tmp_path / "net.yaml").write_text(description(["[-1, 1, Conv, [open('x', 'w')]]"]))
    fails("info", tmp_path / "net.yaml", naming="line 6", cwd=tmp_path)
    assert not (tmp_path / "x").exists()
