"""YOLOv5: the fused file is what its own fuse() leaves, and its own loader takes it."""

import copy
from pathlib import Path

import helpers
import nets
import numpy as np
import pytest
import torch
from helpers import assert_same_outputs, check_fused_file, load, outputs, report, same_bits
from torch import nn

yolov5 = nets.import_yolov5()
common, yolo = yolov5.models.common, yolov5.models.yolo
YAMLS = Path(yolo.__file__).parent
PACKAGE, REPOSITORY = "package", "repository"


def build(kind):
    torch.manual_seed(4)
    common.Conv.default_act = nn.SiLU()  # a yaml with another activation changes it for good
    if kind.endswith("-cls"):
        model = yolo.ClassificationModel(model=build(kind.removesuffix("-cls")), nc=10)
        model.names = {i: str(i) for i in range(10)}
    elif kind.endswith("-seg"):
        model = yolo.SegmentationModel(YAMLS / "segment" / f"{kind}.yaml")
    else:
        folder = YAMLS if (YAMLS / f"{kind}.yaml").exists() else YAMLS / "hub"
        model = yolo.DetectionModel(folder / f"{kind}.yaml")
    return nets.lively(model, 4).eval()


def save(value, path, style=PACKAGE, **options):
    if style == REPOSITORY:
        with nets.RepositoryNames():
            torch.save(value, path, **options)
    else:
        torch.save(value, path, **options)


def training_checkpoint(model):
    """What train.py writes, with some things it has never heard of."""
    model.hyp = {"lr0": 0.01, "anchors": None}
    model.class_weights = torch.ones(80)
    model.marker = {"nested": [1, (2.5, "three"), {4}], "path": Path("runs/exp"), "bytes": b"\x00\xff"}
    average = copy.deepcopy(model).eval()
    for p in average.parameters():
        p.requires_grad_(False)
        p.mul_(0.99)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {
        "epoch": 7,
        "best_fitness": np.array([0.5]),
        "model": copy.deepcopy(model).half(),
        "ema": average.half(),
        "updates": 1234,
        "optimizer": optimizer.state_dict(),
        "opt": {"cfg": "x.yaml", "save_dir": Path("runs/exp")},
        "date": "2022-11-22T12:00:00",
    }


@pytest.mark.parametrize("style", [PACKAGE, REPOSITORY])
@pytest.mark.parametrize("kind", ["yolov5n", "yolov5s"])
def test_fuse(kind, style, tmp_path):
    model = build(kind)
    pairs = set(nets.conv_bn_pairs(model))
    save(model, tmp_path / "in.pt", style)
    loaded, _ = check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 64, 64), must=pairs, may=pairs)
    theirs = nets.yolov5_fused(model)
    assert list(loaded.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=1e-5, atol=1e-6)
    for (name, a), (_, b) in zip(loaded.named_modules(), theirs.named_modules(), strict=True):
        assert type(a) is type(b) and set(vars(a)) == set(vars(b)), name
    assert len(list(loaded.modules())) == 157


@pytest.mark.parametrize(
    "kind",
    ["yolov5n-seg", "yolov5n-cls", "yolov5s-ghost", "yolov5s-transformer", "yolov3-tiny", "yolov5s-LeakyReLU"],
)
def test_other_heads_and_blocks(kind, tmp_path):
    model = build(kind)
    pairs = set(nets.conv_bn_pairs(model))
    save(model, tmp_path / "in.pt", REPOSITORY)
    check_fused_file(model, tmp_path / "in.pt", torch.rand(1, 3, 64, 64), must=pairs, may=pairs)


def test_blocks_whose_norm_follows_a_concatenation(tmp_path):
    """BottleneckCSP and MixConv2d hold a `bn` behind a cat, next to convs: only their inner Convs are fused."""
    torch.manual_seed(5)
    net = nn.Sequential(
        common.Focus(3, 8),
        common.BottleneckCSP(8, 8, 2),
        yolov5.models.experimental.MixConv2d(8, 8),
        common.CrossConv(8, 8),
        common.SPP(8, 8),
        common.SPPF(8, 8),
        common.GhostBottleneck(8, 8),
        common.C3TR(8, 8),
    )
    nets.lively(net, 5).eval()
    pairs = set(nets.conv_bn_pairs(net))
    assert len(pairs) == sum(isinstance(m, common.Conv) for m in net.modules())
    save(net, tmp_path / "in.pt")
    check_fused_file(net, tmp_path / "in.pt", torch.rand(1, 3, 32, 32), must=pairs, may=pairs)


def test_attempt_load_takes_the_fused_file(tmp_path):
    """attempt_load fuses again and counts 157 layers; the predictions are those of the unfused file."""
    model = build("yolov5n")
    save({"model": model}, tmp_path / "in.pt", REPOSITORY)
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    x = torch.rand(1, 3, 64, 64)
    loaded = yolov5.models.experimental.attempt_load(str(tmp_path / "out.pt"), device="cpu")
    assert len(list(loaded.modules())) == 157
    assert not any(isinstance(m, nn.BatchNorm2d) for m in loaded.modules())
    assert sum(p.numel() for p in loaded.parameters()) == 1867405
    assert_same_outputs(outputs(model, x), outputs(loaded, x))


@pytest.mark.parametrize("style", ["zip", "legacy", 4])
def test_training_checkpoint(style, tmp_path):
    """Both models are fused, the optimizer goes, and everything else is as it was."""
    options = {"zip": {}, "legacy": dict(_use_new_zipfile_serialization=False), 4: dict(pickle_protocol=4)}[style]
    model = build("yolov5n").train()
    with torch.no_grad():
        checkpoint = training_checkpoint(model)
    save(checkpoint, tmp_path / "in.pt", REPOSITORY, **options)
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert len(result["fused"]) == 57
    assert (result["parametersBefore"], result["parametersAfter"]) == (1872157, 1867405)

    before, after = load(tmp_path / "in.pt"), load(tmp_path / "out.pt")
    assert list(after) == list(before)
    assert after["optimizer"] is None
    assert (after["epoch"], after["updates"], after["date"]) == (7, 1234, "2022-11-22T12:00:00")
    assert after["best_fitness"] == before["best_fitness"] and type(after["best_fitness"]) is np.ndarray
    assert after["opt"] == before["opt"]
    x = torch.rand(1, 3, 64, 64)
    for key in ("model", "ema"):
        a, b = before[key], after[key]
        assert type(a) is type(b) and a.training == b.training
        assert not any(isinstance(m, nn.BatchNorm2d) for m in b.modules())
        assert len(list(b.modules())) == 157
        assert (a.names, a.yaml, a.hyp, a.marker, a.yaml_file, a.save) == (
            b.names,
            b.yaml,
            b.hyp,
            b.marker,
            b.yaml_file,
            b.save,
        )
        for x_, y_ in (
            (a.stride, b.stride),
            (a.class_weights, b.class_weights),
            (a.model[-1].stride, b.model[-1].stride),
        ):
            assert same_bits(x_, y_)
        assert all(p.dtype == torch.float16 for p in b.parameters())
        assert all((m.i, m.f, m.type, m.np) == (n.i, n.f, n.type, n.np) for m, n in zip(a.model, b.model))
        expected = nets.yolov5_fused(copy.deepcopy(a).float())
        for name, value in expected.state_dict().items():
            ours = b.state_dict()[name].float()
            assert (ours - value).abs().max() <= 2**-10 * value.abs().max() + 1e-6, name
        fused = {f"{c}.{w}" for c, _ in nets.conv_bn_pairs(a) for w in ("weight", "bias")}
        for name, p in b.named_parameters():
            assert p.requires_grad == (name not in fused and a.get_parameter(name).requires_grad), name
        assert_same_outputs(outputs(copy.deepcopy(a).float(), x)[:1], outputs(b.float(), x)[:1], 3e-2)


def test_activation_stays_one_object(tmp_path):
    """YOLOv5 7.0 shares one SiLU among all its blocks: one object before, one after."""
    save(build("yolov5n"), tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert len({id(m) for m in load(tmp_path / "out.pt").modules() if isinstance(m, nn.SiLU)}) == 1


def test_fusing_a_fused_file_changes_nothing(tmp_path):
    save(nets.yolov5_fused(build("yolov5n")), tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert result["fused"] == [] and result["parametersBefore"] == result["parametersAfter"]
    a, b = load(tmp_path / "in.pt"), load(tmp_path / "out.pt")
    assert all(same_bits(v, b.state_dict()[k]) for k, v in a.state_dict().items())
    x = torch.rand(1, 3, 64, 64)
    assert_same_outputs(outputs(a, x), outputs(b, x), 0)


def test_default_model(tmp_path):
    """YOLOv5n, which stands in where there is no MODEL, as torch.manual_seed(0) initialises it, fused as its own fuse() does."""
    assert report("fuse")["output"] is None
    result = report("fuse", "yolov5n", "-o", tmp_path / "out.pt")
    assert len(result["fused"]) == 57
    torch.manual_seed(0)
    common.Conv.default_act = nn.SiLU()
    fused = nets.yolov5_fused(yolo.DetectionModel(YAMLS / "yolov5n.yaml")).state_dict()
    after = load(tmp_path / "out.pt")
    assert list(after) == list(fused)
    for name, tensor in fused.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-5, atol=1e-7)
