"""detect against YOLOv5, YOLOv6, YOLOv7 and YOLOv9's repository, picture by picture; what it writes and refuses."""

import copy
import json
from pathlib import Path

import cv2
import nets
import numpy as np
import pytest
import torch
import yolov7_blocks as v7
from detecting import ASSETS, CONFIDENCE, IOU, awake, compare, compare_masks, ours, pictures, settled, ultralytics
from helpers import fails, mutils, succeeds
from originals import YOLOV6, YOLOV9

# --- YOLOv5 -----------------------------------------------------------------------------------------------------


def yolov5(name="yolov5n", kind="DetectionModel"):
    yolo = nets.import_yolov5().models.yolo
    torch.manual_seed(5)
    path = Path(yolo.__file__).parent / ("segment" if "seg" in name else "") / f"{name}.yaml"
    model = nets.lively(getattr(yolo, kind)(str(path)), 5).eval()
    model.names = {index: f"kind {index}" for index in range(80)}
    head = model.model[-1]
    awake_anchors(model, head)
    return model


@torch.no_grad()
def awake_anchors(model, head, share=0.002):
    """The same for heads with anchors, where a confidence and a class multiply. Few candidates: of thousands some pairs overlap by as good as the threshold."""
    x = settled(model)
    for layer in head.m:
        kept = []
        handle = layer.register_forward_hook(lambda m, i, o: kept.append(o.detach()))
        model(x)
        layer.weight *= 0.6 / kept[0].std()
        model(x)
        handle.remove()
        outputs = kept[1].unflatten(1, (head.na, head.no)).permute(1, 2, 0, 3, 4).flatten(2)
        bias = layer.bias.view(head.na, -1)
        bias[:, 4] += 0.5 - torch.quantile(outputs[:, 4], 1 - share)
        bias[:, 5:5 + head.nc] += 1 - torch.quantile(outputs[:, 5:5 + head.nc].amax(1), 0.5)


def detect_yolov5(model, file, size=320, augment=False, limit=1000, classes=None, wide=7680):
    """What detect.py does, without the rounding of boxes to whole pixels that it ends with."""
    from yolov5.utils.augmentations import letterbox
    from yolov5.utils.general import non_max_suppression, scale_boxes

    picture = cv2.imread(str(file))
    stride = max(32, int(model.stride.max()))
    x = letterbox(picture, (size, size), stride=stride, auto=True)[0].transpose((2, 0, 1))[::-1]
    x = torch.from_numpy(np.ascontiguousarray(x)).float()[None] / 255
    with torch.no_grad():
        y = model(x, augment=augment) if augment else model(x)
    masks = model.model[-1].nm if hasattr(model.model[-1], "nm") else 0
    found = non_max_suppression(y, CONFIDENCE, IOU, classes, max_det=limit, nm=masks)[0]
    inside = found[:, :4].clone()
    scale_boxes(x.shape[2:], found[:, :4], picture.shape)
    return found, y, inside, x.shape[2:], picture.shape[:2]


@pytest.mark.parametrize("name, augment", [("yolov5n", False), ("yolov5n", True), ("hub/yolov5n6", False)])
def test_yolov5(name, augment, tmp_path):
    model, files = yolov5(name), pictures(tmp_path)
    found = ours(model, files, tmp_path, "--max-detections", 60, *["--augment"] * augment)
    for file, detections in zip(files, found):
        theirs = detect_yolov5(model, file, augment=augment, limit=60)[0]
        compare(detections, theirs[:, :4], theirs[:, 4], theirs[:, 5], model.names)
    assert sum(map(len, found)) > 20


def test_yolov5_chosen_classes(tmp_path):
    model, files = yolov5(), pictures(tmp_path)[:1]
    everything = ours(model, files, tmp_path)[0]
    wanted = sorted({d["class"] for d in everything})[:2]
    found = ours(model, files, tmp_path, "--classes", wanted[0], f"kind {wanted[1]}", "--max-detections", 7)
    theirs = detect_yolov5(model, files[0], classes=wanted, limit=7)[0]
    compare(found[0], theirs[:, :4], theirs[:, 4], theirs[:, 5], model.names)


def test_yolov5_segment(tmp_path):
    from yolov5.utils.segment.general import process_mask

    model, files = yolov5("yolov5n-seg", "SegmentationModel"), pictures(tmp_path)[:3]
    # Of a thousand, some have two classes whose scores are as good as equal.
    found = ours(model, files, tmp_path, "--max-detections", 60)
    for file, detections in zip(files, found):
        theirs, y, boxes, inside, original = detect_yolov5(model, file, limit=60)
        pairs = compare(detections, theirs[:, :4], theirs[:, 4], theirs[:, 5], model.names)
        masks = process_mask(y[1][0], theirs[:, 6:], boxes, inside, upsample=True)
        compare_masks(detections, pairs, masks, inside, original, cell=8)  # cut on the prototypes' grid, then enlarged
    assert sum(map(len, found)) > 20


# --- YOLOv6, YOLOv7, YOLOv9 -------------------------------------------------------------------------------------


def test_yolov6(tmp_path):
    with YOLOV6:
        import test_yolov6
        from yolov6.core.inferer import Inferer
        from yolov6.data.data_augment import letterbox
        from yolov6.utils.nms import non_max_suppression

        model = test_yolov6.build("n")
        awake(model, list(model.detect.cls_preds))
        files = pictures(tmp_path)
        found = ours(copy.deepcopy(model), files, tmp_path)
        for file, detections in zip(files, found):
            picture = cv2.imread(str(file))
            x = letterbox(picture, [320, 320], stride=int(max(model.stride)))[0].transpose((2, 0, 1))[::-1]
            x = torch.from_numpy(np.ascontiguousarray(x)).float() / 255
            with torch.no_grad():
                y = model(x[None])[0]
            theirs = non_max_suppression(y, CONFIDENCE, IOU, None, False, max_det=1000)[0]
            theirs[:, :4] = Inferer.rescale(x.shape[1:], theirs[:, :4], picture.shape)
            compare(detections, theirs[:, :4], theirs[:, 4], theirs[:, 5], [f"class {i}" for i in range(3)])
        assert sum(map(len, found)) > 10


@pytest.mark.parametrize("classes", [1, 3])
def test_yolov7(classes, tmp_path):
    """Re-created blocks. Its suppression is YOLOv5's of then, but that one class has no score of its own."""
    torch.manual_seed(7)
    head = v7.IDetect((8, 8), nc=classes)
    model = nets.lively(v7.model(head, v7.ReOrg(), v7.RepConv(12, 12), v7.DownC(12, 16), v7.SPPCSPC(16, 8), v7.RepConv(8, 8, 2)), 7).eval()
    files = pictures(tmp_path)
    awake_anchors(model, head)
    found = ours(copy.deepcopy(model), files, tmp_path)
    stride = int(max(head.stride))
    for file, detections in zip(files, found):
        from yolov5.utils.augmentations import letterbox
        from yolov5.utils.general import non_max_suppression, scale_boxes

        picture = cv2.imread(str(file))
        x = letterbox(picture, (320, 320), stride=stride, auto=True)[0].transpose((2, 0, 1))[::-1]
        x = torch.from_numpy(np.ascontiguousarray(x)).float()[None] / 255
        with torch.no_grad():
            y = model(x)
        y = (y[0] if isinstance(y, (tuple, list)) else y).clone()
        if classes == 1:
            y[..., 5] = 1
        theirs = non_max_suppression(y, CONFIDENCE, IOU, max_det=300)[0]
        scale_boxes(x.shape[2:], theirs[:, :4], picture.shape)
        compare(detections, theirs[:, :4], theirs[:, 4], theirs[:, 5], [f"class {i}" for i in range(3)])
    assert sum(map(len, found)) > 10


@pytest.mark.parametrize("name", ["gelan", "yolov9", "triple"])
def test_yolov9(name, tmp_path):
    with YOLOV9:
        import test_yolov9
        from utils.augmentations import letterbox
        from utils.general import non_max_suppression, scale_boxes

        model = test_yolov9.build(name)
        head = model.model[-1]
        scores = {"gelan": "cv3", "yolov9": "cv5", "triple": "cv7"}[name]
        awake(model, [branch[-1] for branch in getattr(head, scores)])
        files = pictures(tmp_path)
        found = ours(copy.deepcopy(model), files, tmp_path)
        for file, detections in zip(files, found):
            picture = cv2.imread(str(file))
            x = letterbox(picture, (320, 320), stride=32, auto=True)[0].transpose((2, 0, 1))[::-1]
            x = torch.from_numpy(np.ascontiguousarray(x)).float()[None] / 255
            with torch.no_grad():
                y = model(x)[0]
            y = y[{"yolov9": 1, "triple": 2}[name]] if isinstance(y, list) else y
            theirs = non_max_suppression(y, CONFIDENCE, IOU, max_det=1000)[0]
            scale_boxes(x.shape[2:], theirs[:, :4], picture.shape)
            compare(detections, theirs[:, :4], theirs[:, 4], theirs[:, 5], model.names)
        assert sum(map(len, found)) > 10


# --- What is written --------------------------------------------------------------------------------------------


def test_records(tmp_path):
    from pycocotools.coco import COCO

    yolo, model = ultralytics("yolov8n-seg")
    files = pictures(tmp_path)[:3]
    out = tmp_path / "out"
    found = ours(model, files, tmp_path, "-o", out, "--txt", "--coco", out / "found.json", "--csv", out / "found.csv")
    for file, detections in zip(files, found):
        drawn, original = cv2.imread(str(out / file.name)), cv2.imread(str(file))
        assert drawn.shape == original.shape
        height, width = original.shape[:2]
        rows = [list(map(float, line.split())) for line in (out / "labels" / f"{file.stem}.txt").read_text().splitlines()]
        assert len(rows) == len(detections)
        for row, detection in zip(rows, detections):
            x1, y1, x2, y2 = detection["box"]
            assert row[0] == detection["class"]
            assert row[1:] == pytest.approx([(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height], abs=1e-5)  # fmt: skip
    table = (out / "found.csv").read_text().splitlines()
    assert table[0] == "file,class,name,score,x1,y1,x2,y2" and len(table) == 1 + sum(map(len, found))
    results = json.loads((out / "found.json").read_text())
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 0 if file.stem == "0" else file.stem} for file in files],
        "categories": [{"id": i} for i in range(80)], "annotations": [],
    }  # fmt: skip
    truth.createIndex()
    loaded = truth.loadRes(results)
    assert len(loaded.anns) == sum(map(len, found))
    assert fails("detect", tmp_path / "in.pt", *files, "-o", out, naming=out / files[0].name)


def test_some_pictures_cannot_be_read(tmp_path):
    model, files = yolov5(), pictures(tmp_path)[:2]
    torch.save(model, tmp_path / "in.pt")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    result = mutils("detect", tmp_path / "in.pt", files[0], tmp_path / "bad.png", tmp_path / "gone.jpg", files[1], "--image-size", 96)
    assert result.code == 1
    lines = result.err.splitlines()
    assert len(lines) == 2 and "bad.png" in lines[0] and "gone.jpg" in lines[1]
    assert [line.split(":")[0] for line in result.out.splitlines()] == [f"image 1/4 {files[0]}", f"image 4/4 {files[1]}"]
    fails("detect", tmp_path / "in.pt", tmp_path / "bad.png", naming="bad.png")


def test_as_detect_py_prints(tmp_path):
    model, files = yolov5(), pictures(tmp_path)[:2]
    torch.save(model, tmp_path / "in.pt")
    lines = succeeds("detect", tmp_path / "in.pt", *files, "--image-size", 320).out.splitlines()
    for index, (line, file) in enumerate(zip(lines, files)):
        found, _, _, size, _ = detect_yolov5(model, file)
        text = f"image {index + 1}/2 {file}: {size[0]}x{size[1]} "
        for c in found[:, 5].unique():
            count = int((found[:, 5] == c).sum())
            text += f"{count} {model.names[int(c)]}{'s' * (count > 1)}, "
        assert line.startswith(text) and line.endswith("ms")


def test_nothing_is_lost(tmp_path):
    """A picture is not replaced by its own drawing, nor one record by the other."""
    _, model = ultralytics("yolov8n")
    torch.save({"model": model, "epoch": -1}, tmp_path / "in.pt")
    (tmp_path / "pictures").mkdir()
    photo = tmp_path / "pictures/bus.jpg"
    photo.write_bytes((ASSETS / "bus.jpg").read_bytes())
    before = photo.read_bytes()
    result = fails("detect", tmp_path / "in.pt", tmp_path / "pictures", "-o", tmp_path / "pictures", "--force")
    assert "would take the place of the picture" in result.err and photo.read_bytes() == before
    same = ("--csv", tmp_path / "found", "--coco", tmp_path / "pictures/../found")
    assert mutils("detect", tmp_path / "in.pt", photo, *same).code == 64


def test_the_models_fault_is_told_once(tmp_path):
    _, model = ultralytics("yolov8n")
    files = pictures(tmp_path)[:3]
    for options, reason in ((("--classes", 80), "classes are numbers from 0 to 79"), (("--classes", "zebra crossing"), "no class of this name")):
        torch.save({"model": model, "epoch": -1}, tmp_path / "in.pt")
        assert reason in fails("detect", tmp_path / "in.pt", *files, *options).err
    model.model[0].conv.stride = (0, 0)
    torch.save({"model": model, "epoch": -1}, tmp_path / "in.pt")
    fails("detect", tmp_path / "in.pt", *files, naming=tmp_path / "in.pt")
    fails("classify", tmp_path / "in.pt", *files, naming=tmp_path / "in.pt")
