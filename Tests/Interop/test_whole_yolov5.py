"""--whole-module: YOLOv5's own objects, as its constructors make them and its tools load them."""

import nets
import pytest
import torch
from helpers import fails, report, succeeds
from test_init import LAYERS, YAMLS, assert_same_values, description, yolov5

experimental = nets.import_yolov5().models.experimental
common = nets.import_yolov5().models.common
HUB = ["yolov3-tiny", "yolov5-bifpn", "yolov5-p2", "yolov5s-LeakyReLU", "yolov5s-ghost", "yolov5s-transformer"]


def whole(name, make, folder, seed=3):
    """What we write and load again, and the original of the same seed, both in training mode."""
    result = report("init", name, "--seed", seed, "--whole-module", "-o", folder / "whole.pt")
    torch.manual_seed(seed)
    with nets.RepositoryNames():  # the names of classes are among the attributes
        model = make()
    file = torch.load(folder / "whole.pt", weights_only=False)
    assert list(file) == ["model"]
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    return file["model"], model


def same(a, b):
    """Equal in class and value."""
    if isinstance(a, torch.Tensor):
        return type(a) is type(b) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def assert_same_attributes(ours, theirs):
    assert [(n, type(m)) for n, m in ours.named_modules()] == [(n, type(m)) for n, m in theirs.named_modules()]
    for (path, a), b in zip(ours.named_modules(), theirs.modules(), strict=True):
        a, b = vars(a), vars(b)
        for part in ("_parameters", "_buffers", "_modules"):
            # Where None stands nobody sees.
            assert set(a[part]) == set(b[part]) and [k for k in a[part] if a[part][k] is not None] == [
                k for k in b[part] if b[part][k] is not None
            ], path
        for key in {*a, *b} - {"_parameters", "_buffers", "_modules"}:
            assert key in a and key in b and same(a[key], b[key]), (path, key, a.get(key), b.get(key))


def tensors(outputs):
    return [outputs] if isinstance(outputs, torch.Tensor) else [t for part in outputs for t in tensors(part)]


@torch.no_grad()
def assert_same_outputs(ours, theirs, size=(128, 192)):
    """Bit for bit: the same code runs with the same weights."""
    x = torch.rand(2, theirs.yaml["ch"] if hasattr(theirs, "yaml") else 3, *size)
    for mode in (False, True):
        outputs = []
        for model in (ours, theirs):
            torch.manual_seed(1)  # for dropout
            outputs.append(tensors(model.train(mode)(x.clone())))
        a, b = outputs
        assert len(a) == len(b) and all(map(torch.equal, a, b))
    assert_same_values(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("size", "ns")
@pytest.mark.parametrize("kind", ["", "6", "-seg", "-cls"])
def test_every_kind(size, kind, tmp_path):
    name = f"yolov5{size}{kind}"
    ours, theirs = whole(name, lambda: yolov5(name), tmp_path)
    assert_same_attributes(ours, theirs)
    assert_same_values(ours.state_dict(), theirs.state_dict())
    assert all(p.requires_grad for p in ours.parameters())
    assert_same_outputs(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("size", "mlx")
@pytest.mark.parametrize("kind", ["", "6", "-seg", "-cls"])
def test_larger_ones(size, kind, tmp_path):
    name = f"yolov5{size}{kind}"
    ours, theirs = whole(name, lambda: yolov5(name), tmp_path)
    assert_same_attributes(ours, theirs)
    assert_same_values(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("name", HUB)
def test_published_descriptions(name, tmp_path):
    path = YAMLS / f"hub/{name}.yaml"
    ours, theirs = whole(path, lambda: yolov5(str(path)), tmp_path)
    assert_same_attributes(ours, theirs)
    # The transformer's running means are equal but for rounding, which test_init looks at.
    theirs.load_state_dict(ours.state_dict())
    assert_same_outputs(ours, theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, tmp_path):
    (tmp_path / "net.yaml").write_text(description(LAYERS[name]))
    ours, theirs = whole(tmp_path / "net.yaml", lambda: yolov5(str(tmp_path / "net.yaml")), tmp_path)
    assert_same_attributes(ours, theirs)
    assert_same_outputs(ours, theirs)


@pytest.mark.parametrize(
    "settings",
    [
        {"nc": 91, "ch": 1},
        {"activation": "nn.LeakyReLU(0.1)", "inplace": False},
        {"anchors": [[10, 13, 16, 30.5]], "width_multiple": 1.1, "depth_multiple": 1},
        {"last": "Segment", "head": "[nc, anchors, 8, 24]"},
        {"own": "{a: [1.5, ~, None, 'off', off], b: {c: -3, d: '7'}}", "download": "https://example.org/x.zip"},
    ],
    ids=str,
)
def test_settings(settings, tmp_path):
    text = description(["[-1, 1, Conv, [24, 3, 2]]", "[-1, 3, C3, [40]]"], **settings)
    (tmp_path / "net.yaml").write_text(text)
    ours, theirs = whole(tmp_path / "net.yaml", lambda: yolov5(str(tmp_path / "net.yaml")), tmp_path)
    assert_same_attributes(ours, theirs)
    assert_same_outputs(ours, theirs)


@pytest.mark.parametrize("name", ["yolov5n", "yolov5n-seg", "yolov5n-cls"])
@torch.no_grad()
def test_its_tools_load_it(name, tmp_path):
    """attempt_load fuses what it loads; stripping, averaging and pickling it once more work as well."""
    ours, theirs = whole(name, lambda: yolov5(name), tmp_path)
    with nets.RepositoryNames():
        torch.save({"model": theirs}, tmp_path / "theirs.pt")
    loaded = [experimental.attempt_load(str(tmp_path / f), device="cpu") for f in ("whole.pt", "theirs.pt")]
    assert not any(isinstance(m, common.Conv) and hasattr(m, "bn") for m in loaded[0].modules())
    assert vars(loaded[0]).get("names") == vars(loaded[1]).get("names")
    x = torch.rand(1, 3, 96, 64)
    assert all(map(torch.equal, *(tensors(model(x.clone())) for model in loaded)))
    if name != "yolov5n-cls":
        augmented = [tensors(model.eval()(x.clone(), augment=True)[0]) for model in (ours, theirs)]
        assert all(map(torch.equal, *augmented))
    utils = nets.import_yolov5().utils
    utils.general.strip_optimizer(str(tmp_path / "whole.pt"), str(tmp_path / "stripped.pt"))
    stripped = torch.load(tmp_path / "stripped.pt", weights_only=False)["model"]
    assert all(p.dtype == torch.float16 for p in stripped.parameters())
    ema = utils.torch_utils.ModelEMA(ours)
    ema.update(ours)
    torch.testing.assert_close(ema.ema.state_dict(), ours.state_dict())


@pytest.mark.parametrize("name", ["yolov5n", "yolov5n-seg", "yolov5n-cls"])
@torch.no_grad()
def test_ours_read_it_again(name, tmp_path):
    """info, fuse and prune of what init wrote."""
    ours, theirs = whole(name, lambda: yolov5(name), tmp_path)
    assert succeeds("info", tmp_path / "whole.pt").out == succeeds("info", name).out
    report("fuse", tmp_path / "whole.pt", "-o", tmp_path / "fused.pt")
    fused = torch.load(tmp_path / "fused.pt", weights_only=False)["model"].eval()
    x = torch.rand(1, 3, 64, 96)
    theirs.eval()
    for block in theirs.modules():
        if isinstance(block, common.Conv):
            block.conv = nets.import_yolov5().utils.torch_utils.fuse_conv_and_bn(block.conv, block.bn)
            del block.bn
            block.forward = block.forward_fuse
    for a, b in zip(tensors(fused(x.clone())), tensors(theirs(x.clone())), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    report("prune", tmp_path / "whole.pt", "--amount", "0.3", "-o", tmp_path / "pruned.pt")
    pruned = torch.load(tmp_path / "pruned.pt", weights_only=False)["model"]
    assert all(
        (m.weight == 0).sum() == round(0.3 * m.weight.numel()) for m in pruned.modules() if isinstance(m, torch.nn.Conv2d)
    )
    assert_same_attributes(pruned, ours)


def test_what_yaml_leaves_open_is_refused(tmp_path):
    """A date in a description is an object of Python's."""
    text = description(["[-1, 1, Conv, [24, 3, 2]]"], released="2020-06-25")
    (tmp_path / "net.yaml").write_text(text)
    assert "its attribute 'yaml' holds what was not understood" in fails(
        "init", tmp_path / "net.yaml", "--whole-module", "-o", tmp_path / "out.pt"
    ).err
    assert not (tmp_path / "out.pt").exists()
