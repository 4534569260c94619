"""FLOPs and shapes of Ultralytics' models: every judge's figure, to the last operation."""

import pytest
import torch
import ultralytics.nn.modules
from helpers import load, report
from torch import nn
from ultralytics.nn import tasks
from ultralytics.nn.modules import block, conv, transformer
from yolo_judges import check_flops

TASKS = {
    "-cls": tasks.ClassificationModel,
    "-seg": tasks.SegmentationModel,
    "-pose": tasks.PoseModel,
    "-obb": tasks.OBBModel,
    "-sem": tasks.SemanticSegmentationModel,
    "-depth": tasks.DepthModel,
    "rtdetr": tasks.RTDETRDetectionModel,
}


def build(name):
    model = next((task for part, task in TASKS.items() if part in name), tasks.DetectionModel)
    return model(f"{name}.yaml", verbose=False).eval()


FIVE = ("", "-seg", "-pose", "-obb", "-cls")
SMALL = [
    *(f"{family}{task}" for family in ("yolov8n", "yolov8s", "yolo11n", "yolo11s") for task in FIVE),
    *("yolov3-tiny", "yolov5n", "yolov5s", "yolov5n-p6", "yolov6n", "yolov6s"),
    *(f"yolov8n-{form}" for form in ("p2", "p6", "ghost", "ghost-p2", "ghost-p6", "seg-p6", "pose-p6")),
    *("yolov9t", "yolov9s", "yolov10n", "yolov10s", "yolo12n", "yolo12s"),
    *(f"yolo12n{task}" for task in FIVE[1:]),
    *(f"yolo26n{task}" for task in (*FIVE, "-p2", "-p6", "-sem", "-depth")),
]
LARGE = [
    *(f"{family}{scale}" for family in ("yolov8", "yolo11", "yolov10", "yolo12", "yolo26") for scale in "mlx"),
    *("yolov3", "yolov3-spp", "yolov5m", "yolov5l", "yolov5x", "yolov6m", "yolov10b"),
    *(f"yolov9{form}" for form in ("m", "c", "e", "c-seg", "e-seg")),
]


def size_of(name):
    return (224, 224) if "-cls" in name else (640, 640)


@pytest.mark.parametrize("name", SMALL)
def test_small(name, tmp_path):
    """Every judge's figure, and the one that Ultralytics prints itself."""
    result, gflops = check_flops(build(name), size_of(name), tmp_path / "in.pt")
    assert round(gflops * 1e9) == round(result["gflops"]["ultralytics"] * 1e9)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large(name, tmp_path):
    check_flops(build(name), (192, 256), tmp_path / "in.pt")


@pytest.mark.parametrize(
    "name, size",
    [
        ("yolov8n-rtdetr", (192, 256)),
        ("yolov8n-rtdetr", (640, 640)),
        pytest.param("rtdetr-resnet50", (192, 256), marks=pytest.mark.slow),
        pytest.param("rtdetr-resnet101", (192, 256), marks=pytest.mark.slow),
        pytest.param("rtdetr-l", (192, 256), marks=pytest.mark.slow),
        pytest.param("rtdetr-x", (192, 256), marks=pytest.mark.slow),
    ],
)
def test_detection_transformers(name, size, tmp_path):
    """Also where the picture has fewer positions than the decoder has queries."""
    check_flops(build(name), size, tmp_path / "in.pt", device="cpu", calling=".decoder")


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (64, 352)])
@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolov9t", "yolov10n", "yolo12n", "yolo26n-seg"])
def test_sizes(name, size, tmp_path):
    if name == "yolo12n" and size[0] * size[1] // 1024 % 4:
        pytest.skip("its areas do not divide such a picture")
    check_flops(build(name), size, tmp_path / "in.pt")


FUSED = ["yolov8n-seg", "yolo11n-obb", "yolov9t", "yolov10n", "yolo12n-pose", "yolo26n", "yolo26n-pose", "yolo26n-seg"]


@pytest.mark.parametrize("name", FUSED)
def test_fused(name, tmp_path):
    """As Ultralytics fuses them: bound methods, merged branches, heads that lost a branch."""
    check_flops(build(name).fuse(verbose=False), (320, 320), tmp_path / "in.pt")


@pytest.mark.parametrize("name", ["yolo11n", "yolov9t", "yolov10n"])
def test_fused_by_us(name, tmp_path):
    model = build(name)
    torch.save(model, tmp_path / "in.pt")
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    check_flops(load(tmp_path / "out.pt"), (320, 320), tmp_path / "again.pt")


@pytest.mark.parametrize("name", ["yolov10n", "yolo26n", "yolo26n-pose", "yolo26n-obb"])
@pytest.mark.parametrize("most", [300, 7])
def test_heads_without_suppression(name, most, tmp_path):
    model = build(name)
    model.end2end = True
    model.model[-1].max_det = most
    check_flops(model, (64, 96), tmp_path / "in.pt")


def test_a_branch_of_identities(tmp_path):
    """What releases before 8.4 left of the branch that a fused YOLOv10 does not need: one Identity for all levels."""
    model = build("yolov10n")
    model.end2end = True
    model.fuse(verbose=False)
    torch.save(model, tmp_path / "none.pt")
    head = model.model[-1]
    head.cv2 = head.cv3 = nn.ModuleList([nn.Identity()] * head.nl)
    torch.save(model, tmp_path / "identities.pt")
    none, identities = (report("info", tmp_path / f"{name}.pt") for name in ("none", "identities"))
    assert none["gflops"] == identities["gflops"]


@pytest.fixture
def single_file():
    """The classes under the path that they had in early 8.0, when all modules stood in one file."""
    classes = [c for c in vars(ultralytics.nn.modules).values() if isinstance(c, type) and issubclass(c, nn.Module)]
    paths = {c: c.__module__ for c in classes if c.__module__.startswith("ultralytics.nn.modules.")}
    for c in paths:
        c.__module__ = "ultralytics.nn.modules"
    yield
    for c, path in paths.items():
        c.__module__ = path


@pytest.mark.parametrize("name", ["yolov8n", "yolov8n-seg", "yolov8n-cls", "yolov5n"])
def test_one_file_of_modules(name, single_file, tmp_path):
    check_flops(build(name), (64, 64), tmp_path / "in.pt")
    assert b"ultralytics.nn.modules\nConv\n" in (tmp_path / "in.pt").read_bytes()


BLOCKS = {
    "Conv2": lambda: conv.Conv2(3, 8, 3, 2),
    "ConvTranspose": lambda: nn.Sequential(conv.ConvTranspose(3, 8), conv.ConvTranspose(8, 4, bn=False, act=False)),
    "LightConv": lambda: conv.LightConv(3, 8, 3),
    "DWConvTranspose2d": lambda: conv.DWConvTranspose2d(3, 9, 3, 2, 1, 1),
    "Focus": lambda: conv.Focus(3, 8, 3),
    "GhostConv": lambda: conv.GhostConv(3, 8, 3, 2),
    "RepConv": lambda: nn.Sequential(conv.RepConv(3, 8), conv.RepConv(8, 8, bn=True)),
    "CBAM": lambda: conv.CBAM(3),
    "HGStem": lambda: block.HGStem(3, 4, 8),
    "HGBlock": lambda: nn.Sequential(block.HGBlock(3, 4, 8, n=2), block.HGBlock(8, 4, 8, 5, 3, True, True)),
    "SPP": lambda: nn.Sequential(nn.Conv2d(3, 8, 1), block.SPP(8, 8)),
    "SPPF": lambda: nn.Sequential(nn.Conv2d(3, 8, 1), block.SPPF(8, 8, n=2, shortcut=True), old_sppf()),
    "C1": lambda: block.C1(3, 8, 2),
    "C2": lambda: block.C2(3, 8, 2),
    "C3f": lambda: block.C3f(3, 8, 2),
    "C3x": lambda: block.C3x(3, 8, 2),
    "C3TR": lambda: block.C3TR(3, 16, 2),
    "C3Ghost": lambda: block.C3Ghost(3, 16, 2),
    "RepC3": lambda: nn.Sequential(block.RepC3(3, 8, 2), block.RepC3(8, 8, 1, 0.5)),
    "BottleneckCSP": lambda: block.BottleneckCSP(3, 8, 2),
    "ResNetLayer": lambda: nn.Sequential(block.ResNetLayer(3, 8, is_first=True), block.ResNetLayer(8, 8, 2, n=2)),
    "RepNCSPELAN4": lambda: block.RepNCSPELAN4(3, 8, 8, 4, 2),
    "ELAN1": lambda: block.ELAN1(3, 8, 8, 4),
    "AConv": lambda: block.AConv(3, 8),
    "ADown": lambda: nn.Sequential(nn.Conv2d(3, 6, 1), block.ADown(6, 8)),
    "SPPELAN": lambda: block.SPPELAN(3, 8, 4),
    "CIB": lambda: nn.Sequential(block.CIB(3, 8, lk=True), block.CIB(8, 8)),
    "C2fPSA": lambda: nn.Sequential(nn.Conv2d(3, 128, 1), block.C2fPSA(128, 128, 2)),
    "PSA": lambda: nn.Sequential(nn.Conv2d(3, 256, 1), block.PSA(256, 256)),
    "PSABlock": lambda: nn.Sequential(
        nn.Conv2d(3, 16, 1), block.PSABlock(16, 0.25, 2), block.PSABlock(16, 0.5, 2, False)
    ),
    "A2C2f": lambda: nn.Sequential(
        block.A2C2f(3, 64, 1, True, 2), block.A2C2f(64, 64, 1, True, 4, True), block.A2C2f(64, 64, 2, False)
    ),
    "TorchVision": lambda: block.TorchVision("resnet18", None),
    "TorchVision, split": lambda: nn.Sequential(
        block.TorchVision("resnet18", None, truncate=3, split=True), conv.Index(-2)
    ),
    "TorchVision, whole": lambda: block.TorchVision("resnet18", None, unwrap=False),
    "AIFI": lambda: nn.Sequential(
        nn.Conv2d(3, 16, 1), transformer.AIFI(16, 32, 4), transformer.AIFI(16, 8, 2, normalize_before=True)
    ),
    "LayerNorm2d": lambda: nn.Sequential(nn.Conv2d(3, 16, 1), transformer.LayerNorm2d(16)),
    "MLP": lambda: nn.Sequential(
        nn.AdaptiveAvgPool2d((3, 4)),
        nn.Flatten(2),
        transformer.MLPBlock(12, 24),
        transformer.MLP(12, 6, 12, 3, residual=True, sigmoid=True, out_norm=nn.LayerNorm(12)),
    ),
}


def old_sppf():
    """Without the attributes that came later."""
    module = block.SPPF(8, 8)
    del module.n, module.add
    return module


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name, tmp_path):
    check_flops(BLOCKS[name](), (64, 96), tmp_path / "in.pt", own=False)


TEXTS = [
    ("yolov8s-world", "WorldModel"),
    ("yolov8s-worldv2", "WorldModel"),
    ("yoloe-11s", "YOLOEModel"),
    ("yoloe-v8s-seg", "YOLOESegModel"),
    ("yoloe-26n-seg", "YOLOESegModel"),
]


@pytest.mark.parametrize("name, task", TEXTS)
def test_models_that_take_texts(name, task, tmp_path):
    check_flops(getattr(tasks, task)(f"{name}.yaml", verbose=False), (64, 96), tmp_path / "in.pt")


class OwnModel(tasks.DetectionModel):
    """Nobody knows what it computes."""


def test_unknown_classes_are_named(tmp_path):
    torch.save(OwnModel("yolov8n.yaml", verbose=False), tmp_path / "in.pt")
    result = report("info", tmp_path / "in.pt")
    assert result["gflops"] is None and "OwnModel" in result["gflopsReason"]


def test_a_picture_that_does_not_fit(tmp_path):
    """The module at which it fails is named."""
    torch.save(build("yolov8n"), tmp_path / "in.pt")
    result = report("info", tmp_path / "in.pt", "--image-size", "650")
    assert result["gflops"] is None and result["gflopsReason"].startswith("model.11: ")
