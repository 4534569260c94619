"""detect against Ultralytics: boxes, masks, poses, turned boxes, picture by picture."""

import copy

import nets
import numpy as np
import pytest
import torch
from detecting import CONFIDENCE, IOU, PIXELS, SCORES, awake, compare, compare_masks, ours, pictures, score_layers, ultralytics



def check_ultralytics(name, folder, *options, task=None, size=320, least=2, count=5, **arguments):
    yolo, model = ultralytics(name, task)
    files = pictures(folder)[:count]
    found = ours(copy.deepcopy(model), files, folder, *options, size=size)
    results = []
    for file, detections in zip(files, found):
        result = yolo.predict(str(file), imgsz=size, conf=CONFIDENCE, iou=IOU, verbose=False, **arguments)[0]
        boxes = result.obb if result.obb is not None else result.boxes
        pairs = compare(detections, boxes.xyxy, boxes.conf, boxes.cls, result.names)
        results.append((result, detections, pairs))
    assert sum(map(len, found)) > least
    return results


@pytest.mark.parametrize(
    "name", ["yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov8n-p6", "yolov9t", "yolo11n", "yolo12n", "yolov10n", "yolo26n"]
)
def test_ultralytics(name, tmp_path):
    check_ultralytics(name, tmp_path)


def test_ultralytics_augment(tmp_path):
    check_ultralytics("yolov8n", tmp_path, "--augment", augment=True)


def test_rtdetr(tmp_path):
    from ultralytics import RTDETR

    torch.manual_seed(8)
    yolo = RTDETR("rtdetr-l.yaml")
    model = nets.lively(yolo.model, 8).eval()
    # Twice: what the decoder scores follows from what the encoder has chosen.
    awake(model, score_layers(model.model[-1]))
    awake(model, score_layers(model.model[-1]), share=0.05)
    files = pictures(tmp_path)[:2]
    found = ours(copy.deepcopy(model), files, tmp_path)
    for file, detections in zip(files, found):
        result = yolo.predict(str(file), imgsz=320, conf=CONFIDENCE, verbose=False)[0]
        compare(detections, result.boxes.xyxy, result.boxes.conf, result.boxes.cls, result.names)
    assert sum(map(len, found)) > 2


@pytest.mark.parametrize("name", ["yolov8n-seg", "yolo11n-seg", "yolo26n-seg"])
def test_segment(name, tmp_path):
    for result, detections, pairs in check_ultralytics(name, tmp_path, least=6, count=3):
        if detections:
            compare_masks(detections, pairs, result.masks.data, result.masks.data.shape[1:], result.orig_shape)


@pytest.mark.parametrize("name", ["yolov8n-pose", "yolo11n-pose", "yolo26n-pose"])
def test_pose(name, tmp_path):
    for result, detections, pairs in check_ultralytics(name, tmp_path, least=2, count=3):
        for detection, index in zip(detections, pairs):
            actual, expected = np.array(detection["keypoints"]), result.keypoints.data[index].numpy()
            assert actual.shape == expected.shape
            assert np.abs(actual[:, :2] - expected[:, :2]).max() < PIXELS
            assert np.abs(actual[:, 2] - expected[:, 2]).max() < SCORES


@pytest.mark.parametrize("name", ["yolov8n-obb", "yolo11n-obb", "yolo26n-obb"])
def test_turned_boxes(name, tmp_path):
    for result, detections, pairs in check_ultralytics(name, tmp_path, least=6, count=3):
        for detection, index in zip(detections, pairs):
            actual, expected = np.array(detection["corners"]), result.obb.xyxyxyxy[index].numpy()
            assert np.abs(actual - expected).max() < PIXELS
