"""convert to .onnx: the file is valid, says what its users read, and ONNX Runtime, OpenCV, YOLOv5 and Ultralytics compute with it what torch computes with the model."""

import ast
import copy

import cv2
import nets
import numpy as np
import onnx
import onnxslim
import pytest
import torch
import torchvision
from detecting import CONFIDENCE, IOU, compare, pictures, ultralytics
from export_judges import TOLERANCE, check_export, checked, expected, exported, ran
from helpers import assert_same_outputs, fails, load, mutils, report, succeeds
from output_judges import error
from test_detect import yolov5
from test_outputs_torchvision import build as build_torchvision
from test_outputs_torchvision import picture
from test_outputs_ultralytics import build as build_ultralytics
from test_outputs_ultralytics import by_columns, count_of
from test_outputs_yolov5 import YOLOV6, build, classifier, layers, v7
from torch import nn

# --- outputs ----------------------------------------------------------------------------------------------------

TORCHVISION = [
    "resnet18", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0",
    "shufflenet_v2_x0_5", "googlenet", "alexnet",
]  # fmt: skip
SLOW_TORCHVISION = [
    "densenet121", "regnet_y_400mf", "inception_v3", "convnext_tiny", "vgg11_bn", "vit_b_16", "maxvit_t", "swin_t",
    "swin_v2_t",
]  # fmt: skip
SEGMENTATION = ["fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"]
BARE = dict(weights=None, weights_backbone=None, num_classes=5)


def slowly(names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", [*TORCHVISION, *slowly(SLOW_TORCHVISION)])
def test_torchvision(name, tmp_path):
    swin = "swin" in name
    model = nets.lively(getattr(torchvision.models, name)(num_classes=10), 1) if swin else build_torchvision(name)
    check_export(model, torch.rand(1, 3, 224, 224) if swin else picture(name), tmp_path)


@pytest.mark.parametrize("name", SEGMENTATION)
def test_torchvision_segmentation(name, tmp_path):
    model = nets.lively(getattr(torchvision.models.segmentation, name)(**BARE), 3)
    check_export(model, torch.rand(1, 3, 64, 97), tmp_path)


def scoring(model):
    """The model with scores that are no rounding beside its boxes."""
    head = model.model[-1]
    for name in ("cv3", "one2one_cv3"):
        for branch in getattr(head, name, None) or []:
            branch[-1].weight.data *= 8
            branch[-1].bias.data.normal_()
    return model


DENSE = [
    "yolov3-tiny", "yolo12n", "yolo26n-depth",
    *(f"{family}{task}" for family in ("yolov8n", "yolo11n") for task in ("", "-seg", "-pose", "-obb", "-cls")),
]  # fmt: skip
SLOW_DENSE = ["yolov5n", "yolov6n", "yolov9t", "yolov8n-p2", "yolo26n-cls", "yolo26n-sem"]
CHOOSING = ["yolov10n", "yolo26n-seg"]
SLOW_CHOOSING = ["yolo26n", "yolo26n-pose", "yolo26n-obb"]


@pytest.mark.parametrize("name", [*DENSE, *slowly(SLOW_DENSE)])
def test_ultralytics(name, tmp_path):
    x = torch.rand(2, 3, 64, 96) if "12" not in name else torch.rand(1, 3, 128, 128)
    model = build_ultralytics(name)
    model = model if any(part in name for part in ("-cls", "-sem", "-depth")) else scoring(model)
    result = check_export(model, x, tmp_path, count=count_of(name))
    assert [i.name for i in result.graph.input] == ["images"]
    assert [o.name for o in result.graph.output] == ["output0", "output1"][: count_of(name)]


def choosing(name):
    model = scoring(build_ultralytics(name))
    model.end2end, model.model[-1].max_det = True, 20
    return model


@pytest.mark.parametrize("name", [*CHOOSING, *slowly(SLOW_CHOOSING)])
def test_heads_that_choose(name, tmp_path):
    check_export(choosing(name), torch.rand(1, 3, 64, 64), tmp_path, count=count_of(name), arrange=by_columns)


@pytest.mark.parametrize("name", ["yolov8n-rtdetr", *slowly(["rtdetr-l"])])
def test_rtdetr(name, tmp_path):
    check_export(
        build_ultralytics(name), torch.rand(1, 3, 64, 64), tmp_path, count=1, arrange=by_columns, in_double=True)


def yolov7(fused):
    head = v7.IDetect((8, 8))
    if fused:
        head.forward = head.fuseforward
        del head.ia, head.im
    return nets.lively(v7.model(head, *layers()), 8)


YOLO = {
    "detect": lambda: build("yolov5n"),
    "segment": lambda: build("yolov5n-seg", "segment"),
    "classify": classifier,
    "fused": lambda: nets.yolov5_fused(build("yolov5n").eval()),
    "p6": lambda: build("yolov5n6", "hub"),
    "transformer": lambda: build("yolov5s-transformer", "hub"),
    "ghost": lambda: build("yolov5s-ghost", "hub"),
    **{f"yolov6 {name}": lambda name=name: nets.lively(YOLOV6[name](), 7) for name in ("rep", "bifusion", "csp", "distributions")},
    "yolov7": lambda: yolov7(False),
    "yolov7 fused": lambda: yolov7(True),
}  # fmt: skip


@pytest.mark.parametrize("name", YOLO)
def test_yolo(name, tmp_path):
    x = torch.rand(1, 3, 128 if name == "p6" else 64, 64)
    check_export(YOLO[name](), x, tmp_path, count={"segment": 2, "classify": None}.get(name, 1))


# --- forms ------------------------------------------------------------------------------------------------------

FORMS = {
    "resnet18": lambda: (build_torchvision("resnet18"), torch.rand(1, 3, 64, 64)),
    "mobilenet_v3_small": lambda: (build_torchvision("mobilenet_v3_small"), torch.rand(1, 3, 64, 64)),
    "convnext_tiny": lambda: (build_torchvision("convnext_tiny"), torch.rand(1, 3, 64, 64)),
    "yolov5n-seg": lambda: (build("yolov5n-seg", "segment"), torch.rand(1, 3, 64, 64)),
    "yolo11n": lambda: (scoring(build_ultralytics("yolo11n")), torch.rand(1, 3, 64, 64)),
}


@pytest.mark.parametrize(
    "name, opset",
    [(name, 12) for name in FORMS] + [("convnext_tiny", 20), ("mobilenet_v3_small", 13), ("yolo11n", 18), ("yolov5n-seg", 22)],
)
def test_opsets(name, opset, tmp_path):
    model, x = FORMS[name]()
    result = check_export(model, x, tmp_path, "--opset", opset, count=2 if "seg" in name else 1)
    assert [o.version for o in result.opset_import] == [opset]


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny", "yolov5n-seg", "yolo11n"])
def test_half(name, tmp_path):
    model, x = FORMS[name]()
    result = check_export(
        model, x, tmp_path, "--dtype", "float16", count=2 if "seg" in name else 1, tolerance=2e-2)
    types = {i.type.tensor_type.elem_type for i in [*result.graph.input, *result.graph.output]}
    assert types == {onnx.TensorProto.FLOAT}
    large = [i for i in result.graph.initializer if np.prod(i.dims) > 64]
    assert {i.data_type for i in large} <= {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}


def test_half_checkpoint(tmp_path):
    model = build_torchvision("resnet18").half()
    path = exported(model, torch.rand(1, 3, 64, 64), tmp_path, "--dtype", "float16")
    x = torch.rand(1, 3, 64, 64)
    assert error(expected(model.float(), x)[0], ran(path, x)[0]) < 2e-2


DYNAMIC = ["yolov8n", "yolo11n-seg", *slowly(["yolov8n-pose", "yolov8n-obb", "yolo26n-cls", "yolov10n"])]


def sizes(x):
    return [torch.rand(3, *x.shape[1:]), torch.rand(2, 3, x.shape[2] + 32, x.shape[3] + 64)]


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic(name, tmp_path):
    x = torch.rand(1, 3, 64, 96)
    model = build_ultralytics(name)
    if "cls" not in name:
        model = choosing(name) if name == "yolov10n" else scoring(model)
    result = check_export(
        model, x, tmp_path, "--dynamic", count=count_of(name), others=sizes(x), arrange=by_columns)
    shape = [d.dim_param for d in result.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", "", "height", "width"]


@pytest.mark.parametrize("name", ["detect", "segment", "yolov6 distributions", "yolov7"])
def test_dynamic_yolo(name, tmp_path):
    x = torch.rand(1, 3, 64, 96)
    check_export(YOLO[name](), x, tmp_path, "--dynamic", count=2 if name == "segment" else 1, others=sizes(x))


def odd_sizes():
    return [torch.rand(3, 3, 64, 64), torch.rand(1, 3, 71, 102), torch.rand(2, 3, 97, 65)]


@pytest.mark.parametrize("name", ["resnet18", "googlenet", *slowly(["densenet121", "shufflenet_v2_x0_5", "convnext_tiny"])])
def test_dynamic_classifiers(name, tmp_path):
    check_export(build_torchvision(name), torch.rand(1, 3, 64, 64), tmp_path, "--dynamic", others=odd_sizes())


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", *slowly(["fcn_resnet50"])])
def test_dynamic_segmentation(name, tmp_path):
    model = nets.lively(getattr(torchvision.models.segmentation, name)(**BARE), 3)
    check_export(model, torch.rand(1, 3, 64, 64), tmp_path, "--dynamic", others=odd_sizes())


def test_only_the_batch_is_dynamic(tmp_path):
    x = torch.rand(1, 3, 64, 64)
    model = build_torchvision("alexnet")
    result = check_export(model, x, tmp_path, "--dynamic", others=[torch.rand(3, 3, 64, 64)])
    shape = result.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param == "batch" and shape[2].dim_value == 64
    note = succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "other.onnx", "--dynamic", "--image-size", 64).err
    assert "only the batch is dynamic" in note


# --- heads as their convolutions leave them ---------------------------------------------------------------------


def test_raw_head_of_anchors(tmp_path):
    model = build("yolov5n")
    x = torch.rand(1, 3, 64, 64)
    actual = ran(exported(model, x, tmp_path, "--raw-head"), x)
    levels = expected(model, x)[1:]  # [batch, anchors, height, width, outputs]
    assert_same_outputs([t.permute(0, 1, 4, 2, 3).flatten(1, 2) for t in levels], actual, TOLERANCE)


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n-seg", "yolov10n"])
def test_raw_head(name, tmp_path):
    model = choosing(name) if name == "yolov10n" else build_ultralytics(name)
    head = model.model[-1]
    x = torch.rand(1, 3, 64, 64)
    path = exported(model, x, tmp_path, "--raw-head")
    checked(path)
    kept = []
    names = ("one2one_cv2", "one2one_cv3") if name == "yolov10n" else ("cv2", "cv3")
    lists = [getattr(head, n) for n in names] + ([head.cv4] if "seg" in name else [])
    for module in [m for convolutions in lists for m in convolutions] + ([head.proto] if "seg" in name else []):
        module.register_forward_hook(lambda m, i, o: kept.append((m, o)))
    expected(model, x)
    maps = dict(kept)
    levels = [torch.cat([maps[a], maps[b]], 1) for a, b in zip(lists[0], lists[1])]
    others = [maps[m] for m in head.cv4] + [maps[head.proto]] if "seg" in name else []
    assert_same_outputs([*levels, *others], ran(path, x), TOLERANCE)


# --- names ------------------------------------------------------------------------------------------------------


def test_names(tmp_path):
    """Weights bear the names of the fused model's state dict, and have its values; nodes bear modules' paths."""
    model = build("yolov5n")
    path = exported(model, torch.rand(1, 3, 64, 64), tmp_path)
    report("fuse", tmp_path / "in.pt", "-o", tmp_path / "fused.pt")
    state = load(tmp_path / "fused.pt").state_dict()
    graph = onnx.load(path).graph
    tensors = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in graph.initializer}
    weights = {name: t for name, t in state.items() if name != "model.24.anchors"}
    assert set(weights) <= set(tensors)
    assert all(torch.equal(tensors[name], t) for name, t in weights.items())
    assert all(name.startswith("model.") for name in tensors)
    nodes = {node.name: node for node in graph.node}
    assert nodes["/model.0/conv/Conv"].input[1:] == ["model.0.conv.weight", "model.0.conv.bias"]
    assert not {node.op_type for node in graph.node} & {"Identity", "Constant", "Shape", "Gather", "BatchNormalization"}


@pytest.mark.parametrize("name, most", [("yolov5n", 4), ("yolov8n", 4), ("yolo11n", 4), ("resnet18", 0)])
def test_nothing_is_left_to_simplify(name, most, tmp_path):
    x = torch.rand(1, 3, 64, 64)
    model = {"yolov5n": build, "resnet18": build_torchvision}.get(name, build_ultralytics)(name)
    path = exported(model, x, tmp_path)
    before, after = onnx.load(path), onnxslim.slim(str(path))
    assert len(before.graph.node) - len(after.graph.node) <= most


# --- those who read them ----------------------------------------------------------------------------------------


def opened(path):
    return cv2.dnn.readNetFromONNX(str(path))


@pytest.mark.parametrize(
    "name, opset, size", [("yolov5n", 12, 64), ("yolov8n", 17, 64), ("resnet18", 17, 64), ("mobilenet_v3_small", 12, 64)]
)
def test_opencv(name, opset, size, tmp_path):
    x = torch.rand(1, 3, size, size)
    model = {"yolov5n": build, "yolov8n": lambda n: scoring(build_ultralytics(n))}.get(name, build_torchvision)(name)
    net = opened(exported(model, x, tmp_path, "--opset", opset))
    net.setInput(x.numpy())
    assert error(expected(model, x, 1)[0], torch.from_numpy(net.forward())) < TOLERANCE


def test_yolov5_reads_it(tmp_path):
    """YOLOv5's own reader of exported models gives the boxes of the .pt on a photograph."""
    model = yolov5()
    model.names[0] = "a 'kind'"
    path = exported(model, torch.rand(1, 3, 320, 320), tmp_path)
    from models.common import DetectMultiBackend
    from utils.augmentations import letterbox
    from utils.general import non_max_suppression

    backend = DetectMultiBackend(str(path))
    assert backend.stride == 32 and backend.names == model.names
    photo = cv2.imread(str(pictures(tmp_path)[0]))
    x = letterbox(photo, 320, auto=False)[0][:, :, ::-1].transpose(2, 0, 1)
    x = torch.from_numpy(np.ascontiguousarray(x)).float()[None] / 255
    theirs = backend(x)
    theirs = theirs[0] if isinstance(theirs, list) else theirs
    assert error(expected(model, x, 1)[0], theirs) < TOLERANCE
    a, b = (non_max_suppression(t, CONFIDENCE, IOU)[0] for t in (expected(model, x, 1)[0], theirs))
    assert len(a) == len(b) > 0


@pytest.mark.parametrize("name, task", [("yolo11n", "detect"), ("yolov8n-seg", "segment"), ("yolo26n", "detect"), pytest.param("yolov8n-pose", "pose", marks=pytest.mark.slow), pytest.param("yolo11n-obb", "obb", marks=pytest.mark.slow)])
def test_ultralytics_reads_it(name, task, tmp_path):
    """YOLO(...).predict finds in a photograph what the .pt finds."""
    from ultralytics import YOLO

    yolo, model = ultralytics(name)
    model.names = {i: f"it's {i}" for i in range(model.model[-1].nc)}
    path = exported(copy.deepcopy(model), torch.rand(1, 3, 320, 320), tmp_path)
    metadata = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert metadata["task"] == task and metadata["stride"] == "32" and metadata["batch"] == "1"
    assert ast.literal_eval(metadata["imgsz"]) == [320, 320]
    assert ast.literal_eval(metadata["names"]) == model.names
    other = YOLO(str(path))
    files = pictures(tmp_path)[:2]
    options = dict(imgsz=320, conf=CONFIDENCE, iou=IOU, verbose=False, rect=False)
    found = 0
    for file in files:
        a, b = (y.predict(str(file), **options)[0] for y in (yolo, other))
        a, b = (r.obb if r.obb is not None else r.boxes for r in (a, b))
        detections = [
            {"box": box.tolist(), "score": float(score), "class": int(c), "name": model.names[int(c)]}
            for box, score, c in zip(b.xyxy, b.conf, b.cls)
        ]
        compare(detections, a.xyxy, a.conf, a.cls, model.names)
        found += len(detections)
    assert found > 0


# --- refusals ---------------------------------------------------------------------------------------------------


def saved(model, folder):
    torch.save(model, folder / "in.pt")
    return folder / "in.pt"


def test_opset_without_grid_sample(tmp_path):
    path = saved(build_ultralytics("yolov8n-rtdetr"), tmp_path)
    fails("convert", path, "-o", tmp_path / "out.onnx", "--opset", 15, "--image-size", 64, naming="GridSample")


def test_unknown_class(tmp_path):
    path = saved(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.MaxUnpool2d(2)), tmp_path)
    fails("convert", path, "-o", tmp_path / "out.onnx", naming="MaxUnpool2d")


def test_detectors_of_torchvision(tmp_path):
    from detection_nets import build as build_detector

    fails("convert", saved(build_detector("ssdlite"), tmp_path), "-o", tmp_path / "out.onnx", naming="transform")


def test_no_head(tmp_path):
    path = saved(build_torchvision("resnet18"), tmp_path)
    fails("convert", path, "-o", tmp_path / "out.onnx", "--raw-head", naming="head")


def test_existing_file(tmp_path):
    path = saved(build_torchvision("resnet18"), tmp_path)
    (tmp_path / "out.onnx").write_bytes(b"old")
    fails("convert", path, "-o", tmp_path / "out.onnx", naming="--force")
    assert (tmp_path / "out.onnx").read_bytes() == b"old"


@pytest.mark.parametrize(
    "options", [("--opset", 11), ("--opset", 23), ("--batch-size", 0), ("--verify", "--raw-head"), ("--dtype", "bfloat16"), ("--state-dict",)]
)
def test_options(options, tmp_path):
    assert mutils("convert", "resnet18", "-o", tmp_path / "out.onnx", *options).code == 64
    assert not (tmp_path / "out.onnx").exists()


def test_options_of_export_alone(tmp_path):
    assert mutils("convert", "resnet18", "-o", tmp_path / "out.pt", "--opset", 17).code == 64
