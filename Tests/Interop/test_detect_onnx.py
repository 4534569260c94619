"""detect and classify on ONNX models, as their originals' programs use those."""

import cv2
import numpy as np
import onnx
import pytest
import torch
from detecting import CONFIDENCE, IOU, PIXELS, SCORES, compare, compare_masks, pictures, ultralytics
from helpers import fails, report, succeeds

from test_detect import yolov5

NAMES = ["yolo11n", "yolov8n-seg", "yolo26n", "yolov8n-pose", "yolo11n-obb", "yolov10n"]


def found(path, files, *options):
    images = report("detect", path, *files, *options, timeout=300)["images"]
    return [image["detections"] for image in images]


def exported(model, folder, *options):
    torch.save({"model": model, "epoch": -1}, folder / "in.pt")
    succeeds("convert", folder / "in.pt", "-o", folder / "best.onnx", *options)
    return folder / "best.onnx"


def check(path, files, *options, size=320):
    from ultralytics import YOLO

    theirs, count = YOLO(str(path)), 0
    for file, detections in zip(files, found(path, files, *options)):
        result = theirs.predict(str(file), imgsz=size, conf=CONFIDENCE, iou=IOU, verbose=False)[0]
        boxes = result.obb if result.obb is not None else result.boxes
        pairs = compare(detections, boxes.xyxy, boxes.conf, boxes.cls, result.names)
        if detections and result.masks is not None:
            compare_masks(detections, pairs, result.masks.data, result.masks.data.shape[1:], result.orig_shape)
        for detection, index in zip(detections, pairs):
            if result.keypoints is not None:
                actual, expected = np.array(detection["keypoints"]), result.keypoints.data[index].numpy()
                assert np.abs(actual[:, :2] - expected[:, :2]).max() < PIXELS
                assert np.abs(actual[:, 2] - expected[:, 2]).max() < SCORES
        count += len(detections)
    assert count > 0


@pytest.mark.parametrize("name", NAMES)
def test_ultralytics(name, tmp_path):
    """As YOLO("best.onnx") predicts."""
    _, model = ultralytics(name)
    model.names = {i: f"it's {i}" for i in range(model.model[-1].nc)}
    check(exported(model, tmp_path, "--image-size", "320"), pictures(tmp_path)[:3])


@pytest.mark.parametrize("name", ["yolo11n", "yolov8n-seg"])
def test_exported_by_ultralytics(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yolo, _ = ultralytics(name)
    path = yolo.export(format="onnx", imgsz=320, opset=17, simplify=False, verbose=False)
    check(tmp_path / path, pictures(tmp_path)[:2])


def test_dynamic(tmp_path):
    _, model = ultralytics("yolo11n")
    path = exported(model, tmp_path, "--image-size", "320", "--dynamic")
    check(path, pictures(tmp_path)[:3], "--image-size", "320")


def test_float16(tmp_path):
    """As YOLO("best.onnx") predicts. ONNX Runtime rounds what each node gives to float16, a random network makes more of that, and of two boxes that
    overlap either may stay: nine of ten have their counterpart, a hundredth of the picture and 0.03 of the score apart at most."""
    from ultralytics import YOLO

    _, model = ultralytics("yolo11n")
    path = exported(model, tmp_path, "--image-size", "320", "--dtype", "float16")
    files, count, matched = pictures(tmp_path)[:2], 0, 0
    for file, detections in zip(files, found(path, files)):
        boxes = YOLO(str(path)).predict(str(file), imgsz=320, conf=CONFIDENCE, iou=IOU, verbose=False)[0].boxes
        assert abs(len(boxes) - len(detections)) <= 1 + len(boxes) // 10
        for detection in detections:
            near = (boxes.cls == detection["class"]) & ((boxes.conf - detection["score"]).abs() < 0.03)
            apart = (boxes.xyxy[near] - torch.tensor(detection["box"])).abs().amax(1)
            matched += len(apart) > 0 and float(apart.min()) < 0.01 * max(boxes.orig_shape)
        count += len(detections)
    assert count > 20 and matched > 0.9 * count


@pytest.mark.parametrize("options", [[], ["--dynamic"]])
@pytest.mark.parametrize("kind", ["DetectionModel", "SegmentationModel"])
def test_yolov5(kind, options, tmp_path):
    """As detect.py does with DetectMultiBackend, which fills up the whole size."""
    from models.common import DetectMultiBackend
    from utils.augmentations import letterbox
    from utils.general import non_max_suppression, scale_boxes

    model = yolov5("yolov5n-seg" if kind == "SegmentationModel" else "yolov5n", kind)
    path = exported(model, tmp_path, "--image-size", "320", *options)
    backend, files, count = DetectMultiBackend(str(path)), pictures(tmp_path)[:3], 0
    masks = model.model[-1].nm if kind == "SegmentationModel" else 0
    for file, detections in zip(files, found(path, files, "--image-size", "320", "--max-detections", "60")):
        picture = cv2.imread(str(file))
        x = letterbox(picture, 320, auto=False)[0][:, :, ::-1].transpose(2, 0, 1)
        y = backend(torch.from_numpy(np.ascontiguousarray(x)).float()[None] / 255)
        y = y[0] if isinstance(y, list) else y
        theirs = non_max_suppression(y, CONFIDENCE, IOU, max_det=60, nm=masks)[0]
        scale_boxes(x.shape[1:], theirs[:, :4], picture.shape)
        compare(detections, theirs[:, :4], theirs[:, 4], theirs[:, 5], model.names)
        count += len(detections)
    assert count > 0


@pytest.mark.parametrize("kind", ["yolov6", "yolov7", "yolov9"])
def test_whose_rules(kind, tmp_path):
    """What is exported finds in a picture of its size, to which nothing is added, what the .pt finds, which its original has judged."""
    import test_detect

    arguments = {"yolov6": (), "yolov7": (3,), "yolov9": ("gelan",)}[kind]
    getattr(test_detect, f"test_{kind}")(*arguments, tmp_path)
    succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "best.onnx", "--image-size", "320")
    file = tmp_path / "square.png"
    cv2.imwrite(str(file), cv2.resize(cv2.imread(str(pictures(tmp_path)[0])), (320, 320)))
    ours = found(tmp_path / "in.pt", [file], "--image-size", "320")[0]
    theirs = found(tmp_path / "best.onnx", [file])[0]
    assert len(ours) == len(theirs) > 0
    names = {d["class"]: d["name"] for d in theirs}
    boxes, scores, classes = ([d[key] for d in ours] for key in ("box", "score", "class"))
    compare(theirs, boxes, scores, classes, names)


def test_classify(tmp_path):
    from ultralytics import YOLO

    torch.manual_seed(3)
    yolo = YOLO("yolo11n-cls.yaml")
    model = yolo.model.eval()
    model.names = {i: f"kind {i}" for i in range(1000)}
    path = exported(model, tmp_path, "--image-size", "224")
    files = pictures(tmp_path)[:3]
    images = report("classify", path, *files)["images"]
    for file, image in zip(files, images):
        result = YOLO(str(path), task="classify").predict(str(file), imgsz=224, verbose=False)[0]
        for guess, index, probability in zip(image["classes"], result.probs.top5, result.probs.top5conf.tolist()):
            assert guess["probability"] == pytest.approx(probability, abs=1e-4)
            assert guess["name"] == f"kind {guess['class']}"
        assert image["classes"][0]["class"] in result.probs.top5[:2]


def test_refusals(tmp_path):
    _, model = ultralytics("yolo11n")
    path = exported(model, tmp_path, "--image-size", "320")
    file = pictures(tmp_path)[0]
    fails("detect", path, file, "--image-size", "640", naming="takes pictures of 320x320 alone")
    fails("detect", path, file, "--augment", naming="test-time augmentation is not defined")
    fails("classify", path, file, naming="has no metadata that say how pictures are prepared")
    graph = onnx.load(path)
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "bare.onnx")
    fails("detect", tmp_path / "bare.onnx", file, naming="has no names of classes in its metadata")
    for text in ["{0: ", "[1, 2]", "{'a': 'b'}", "", "{0: 'a', 0 'b'}"]:
        graph = onnx.load(path)
        for entry in graph.metadata_props:
            if entry.key == "names":
                entry.value = text
        onnx.save(graph, tmp_path / "names.onnx")
        fails("detect", tmp_path / "names.onnx", file, naming="has no names of classes in its metadata")
