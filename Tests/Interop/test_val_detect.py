"""val of detectors against what YOLOv5's, YOLOv6's, YOLOv9's and Ultralytics' own validations find on the same files, and pycocotools.

Networks are random ones whose scores are spread; what a set says is there is what they find, moved, left out and renamed by chance, so that
every figure lies somewhere in the middle."""

import copy
import json
import re
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torchvision
from detecting import ASSETS, awake, score_layers, ultralytics
from helpers import fails, mutils, report, succeeds
from originals import YOLOV6, YOLOV9
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from test_detect import yolov5 as build_yolov5

SIZE = 256
SIZES = [(97, 333), (310, 240), (155, 141), (256, 256), (60, 41), (240, 320), (333, 100), (480, 360), (13, 11), (301, 299), (200, 256)]
FIGURES = ["ap", "ap50", "ap75", "apSmall", "apMedium", "apLarge", "ar1", "ar10", "ar100", "arSmall", "arMedium", "arLarge"]


def suppressed(boxes, scores, threshold, limit=300):
    """torchvision's nms up to the number of boxes that all validations keep."""
    order = scores.argsort(descending=True, stable=True).numpy()
    boxes = boxes.numpy()[order]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for index, box in enumerate(boxes):
        others = boxes[kept]
        size = (np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])).clip(0)
        shared = size[:, 0] * size[:, 1]
        if not (shared / (areas[kept] + areas[index] - shared) > threshold).any():
            kept.append(index)
            if len(kept) == limit:
                break
    return torch.from_numpy(order[kept].copy())


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Suppression that ends when it is done: torchvision's may be missing, and the originals give up after some seconds, by the clock."""
    import ultralytics.utils.nms
    import yolov5.utils.general

    clock = SimpleNamespace(time=lambda: 0.0, perf_counter=time.perf_counter, sleep=time.sleep, strftime=time.strftime)
    for name, kind in (("int", int), ("float", float), ("bool", bool), ("trapz", np.trapezoid)):  # which NumPy has removed
        monkeypatch.setattr(np, name, kind, raising=False)
    monkeypatch.setattr(torchvision.ops, "nms", suppressed)
    monkeypatch.setattr(ultralytics.utils.nms, "time", clock)
    monkeypatch.setattr(yolov5.utils.general, "time", clock)
    monkeypatch.setattr(yolov5.utils.general, "check_font", lambda *_, **__: None)  # which it would download


def save(model, path):
    torch.save({"model": copy.deepcopy(model), "epoch": -1}, path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Parts of photographs, one that is all grey, numbered as COCO's are."""
    folder = tmp_path_factory.mktemp("photos")
    sources = [cv2.imread(str(ASSETS / name)) for name in ("bus.jpg", "zidane.jpg")]
    for index, (height, width) in enumerate(SIZES):
        source = sources[index % 2]
        part = source[40 * index : 40 * index + 500, 30 * index : 30 * index + 450]
        cv2.imwrite(str(folder / f"{index + 1}.png"), cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(folder / "20.png"), np.full((90, 120, 3), 114, np.uint8))
    return folder


def judged_set(model, names, photos, folder, seed=0, *options):
    """The model's file and a data.yaml whose objects are what the model finds, more or less."""
    rng = np.random.default_rng(seed)
    (folder / "images/val").mkdir(parents=True)
    (folder / "labels/val").mkdir(parents=True)
    save(model, folder / "in.pt")
    files = sorted(photos.iterdir())
    found = report("detect", folder / "in.pt", *files, "--image-size", SIZE, "--confidence", 0.05, "--max-detections", 24, *options, timeout=120)
    for file, image in zip(files, found["images"]):
        (folder / "images/val" / file.name).symlink_to(file)
        height, width = cv2.imread(str(file)).shape[:2]
        rows = []
        for detection in image["detections"]:
            if rng.random() < 0.1:
                continue
            x1, y1, x2, y2 = np.array(detection["box"]) / [width, height, width, height]
            w, h = (x2 - x1) * rng.uniform(0.85, 1.15), (y2 - y1) * rng.uniform(0.85, 1.15)
            x, y = (x1 + x2) / 2 + w * rng.normal(0, 0.03), (y1 + y2) / 2 + h * rng.normal(0, 0.03)
            left, top, right, bottom = (np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])).clip(0.0005, 0.9995)
            if right - left < 0.01 or bottom - top < 0.01:
                continue
            kind = detection["class"] if rng.random() < 0.9 else int(rng.integers(len(names)))
            rows.append(f"{kind} {(left + right) / 2:.6f} {(top + bottom) / 2:.6f} {right - left:.6f} {bottom - top:.6f}")
        if file.stem == "3":
            rows = []  # an empty file
        if file.stem != "4":  # no file at all
            (folder / "labels/val" / f"{file.stem}.txt").write_text("\n".join(rows))
    assert sum(len(path.read_text().splitlines()) for path in (folder / "labels/val").iterdir()) > 20
    lines = [f"path: {folder}", "train: images/val", "val: images/val", f"nc: {len(names)}", "names:", *(f"  {i}: {json.dumps(n)}" for i, n in enumerate(names))]
    (folder / "data.yaml").write_text("\n".join(lines) + "\n")
    return folder / "in.pt", folder / "data.yaml"


def ours(model, data, *options):
    result = report("val", model, data, "--image-size", SIZE, *options, timeout=200)
    assert result["task"] == "detect" and result["count"] == len(SIZES) + 1
    return result


def agree(result, precision, recall, map50, map5095, tolerance=1e-3):
    found = [result["metrics"][key] for key in ("precision", "recall", "map50", "map5095")]
    assert found == pytest.approx([precision, recall, map50, map5095], abs=tolerance)
    assert 0.01 < found[2] < 0.98, found


def check_classes(result, numbers, figures, tolerance=1e-3):
    """By class: precision, recall, mAP50, mAP50-95. With few objects a class jumps where two scores are as good as equal."""
    assert [item["class"] for item in result["classes"]] == list(numbers)
    found = np.array([[item[key] for key in ("precision", "recall", "map50", "map5095")] for item in result["classes"]])
    assert np.mean(np.abs(found - np.array(figures)) > tolerance) < 0.05


# --- YOLOv5, YOLOv9 ---------------------------------------------------------------------------------------------


def theirs_of_yolov5(run, data, model, batch):
    (mp, mr, map50, map5095, *_), maps, *_ = run(
        data=str(data), weights=str(model), batch_size=batch, imgsz=SIZE, device="cpu", workers=0, half=False, plots=False, project=str(data.parent / "runs"),
    )  # fmt: skip
    return mp, mr, map50, map5095, maps


@pytest.mark.parametrize("batch", [5, pytest.param(32, marks=pytest.mark.slow)])
def test_yolov5(batch, photos, tmp_path):
    import yolov5.val

    model = build_yolov5()
    model.nc = 80  # as training leaves it
    file, data = judged_set(model, list(model.names.values()), photos, tmp_path)
    result = ours(file, data, "--batch-size", batch)
    *expected, maps = theirs_of_yolov5(yolov5.val.run, data, file, batch)
    agree(result, *expected)
    ap = {item["class"]: item["map5095"] for item in result["classes"]}
    assert np.mean([abs(value - maps[index]) > 1e-3 for index, value in ap.items()]) < 0.05
    assert result["rules"] == "yolov5"


@pytest.mark.parametrize("name", ["gelan", "yolov9"])
def test_yolov9(name, photos, tmp_path):
    with YOLOV9:
        import test_yolov9
        import utils.general
        import val
        import val_dual

        utils.general.check_font = lambda *_, **__: None
        utils.general.time = SimpleNamespace(time=lambda: 0.0)

        model = test_yolov9.build(name)
        head = model.model[-1]
        awake(model, [branch[-1] for branch in getattr(head, {"gelan": "cv3", "yolov9": "cv5"}[name])])
        model.names = dict(enumerate(f"kind {i}" for i in range(head.nc)))
        model.nc = head.nc
        file, data = judged_set(model, list(model.names.values()), photos, tmp_path)
        result = ours(file, data)
        module = val if name == "gelan" else val_dual
        module.opt = SimpleNamespace(min_items=0)
        (mp, mr, map50, map5095, *_), maps, _ = module.run(
            data=str(data), weights=str(file), batch_size=32, imgsz=SIZE, device="cpu", workers=0, half=False, plots=False, project=tmp_path / "runs",
        )  # fmt: skip
    agree(result, mp, mr, map50, map5095)


# --- YOLOv6, and COCO's figures ---------------------------------------------------------------------------------


def coco_figures(instances, results):
    """The twelve of pycocotools."""
    truth = COCO(str(instances))
    evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


def narrow_first(monkeypatch):
    """0.4.0 sorts by width over height, where the package sorts by its inverse, and gives batches the same shapes."""
    from yolov6.data.datasets import TrainValDataset

    sort = TrainValDataset.sort_files_shapes

    def by_width(self):
        self.shapes = self.shapes[:, ::-1]
        sort(self)
        self.batch_shapes = self.batch_shapes[:, ::-1]

    monkeypatch.setattr(TrainValDataset, "sort_files_shapes", by_width)


@pytest.mark.parametrize("batch", [5, pytest.param(32, marks=pytest.mark.slow)])
def test_yolov6(batch, photos, tmp_path, monkeypatch):
    with YOLOV6:
        import test_yolov6
        import yolov6.core.evaler
        from yolov6.core.evaler import Evaler

        model = test_yolov6.build("n")
        awake(model, list(model.detect.cls_preds))
        names = [f"kind {i}" for i in range(model.detect.nc)]
        model.names, model.nc = names, len(names)
        file, data = judged_set(model, names, photos, tmp_path)
        result = ours(file, data, "--batch-size", batch, "--coco", tmp_path / "ours.json")
        lines = []
        monkeypatch.setattr(yolov6.core.evaler, "LOGGER", SimpleNamespace(info=lines.append, warning=lines.append))
        narrow_first(monkeypatch)
        # What it is given beside the description are absolute paths.
        settings = {"train": str(tmp_path / "images/val"), "val": str(tmp_path / "images/val"), "nc": len(names), "names": names}
        evaler = Evaler(settings, batch, SIZE, device=torch.device("cpu"), half=False, test_load_size=SIZE, save_dir=str(tmp_path), do_pr_metric=True, plot_curve=False)
        model = model.float().eval()
        evaler.stride = int(max(model.stride))
        loader = evaler.init_data(None, "val")
        with torch.no_grad():
            found, _, _ = evaler.predict_model(model, loader, "val")
    # Its annotations count from 0, which pycocotools takes for none: the first would always be missed.
    instances = json.loads(next(tmp_path.rglob("instances_val.json")).read_text())
    for annotation in instances["annotations"]:
        annotation["id"] += 1
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    (tmp_path / "theirs.json").write_text(json.dumps(found))
    expected = coco_figures(tmp_path / "instances.json", tmp_path / "theirs.json")
    agreed = [result["metrics"][key] for key in FIGURES]
    assert agreed == pytest.approx(list(expected), abs=1e-3)
    assert [result["metrics"][key] for key in ("map50", "map5095")] == [agreed[1], agreed[0]]
    assert 0.05 < agreed[1] < 0.95
    row = next(line.split() for line in lines if line.startswith("all "))
    assert int(row[2]) == result["instances"]
    assert [result["metrics"][key] for key in ("precision", "recall", "f1")] == pytest.approx([float(value) for value in row[3:6]], abs=1.5e-3)
    assert result["rules"] == "yolov6"
    compare_results(json.loads((tmp_path / "ours.json").read_text()), found)


def compare_results(actual, expected):
    """The same boxes, but for those whose scores or overlaps are as good as a limit."""
    assert abs(len(actual) - len(expected)) <= 0.01 * len(expected) + 1
    of_picture = {}
    for item in expected:
        of_picture.setdefault((int(item["image_id"]), item["category_id"]), []).append(item)
    missing = 0
    for item in actual:
        near = [
            other for other in of_picture.get((int(item["image_id"]), item["category_id"]), [])
            if abs(other["score"] - item["score"]) < 1e-3 and np.abs(np.subtract(other["bbox"], item["bbox"])).max() < 0.5
        ]  # fmt: skip
        missing += not near
    assert missing <= 0.01 * len(actual) + 1


# --- Ultralytics ------------------------------------------------------------------------------------------------


def theirs_of_ultralytics(yolo, data, batch, **options):
    metrics = yolo.val(data=str(data), imgsz=SIZE, batch=batch, device="cpu", workers=0, plots=True, verbose=False, project=str(data.parent / "runs"), **options)
    return metrics


def check_ultralytics(yolo, model, photos, folder, batch=16, names=None):
    names = names or list(model.names.values())
    file, data = judged_set(model, names, photos, folder)
    result = ours(file, data, "--batch-size", batch)
    metrics = theirs_of_ultralytics(type(yolo)(str(file)), data, batch)
    agree(result, metrics.box.mp, metrics.box.mr, metrics.box.map50, metrics.box.map)
    check_classes(result, metrics.box.ap_class_index, [metrics.box.class_result(i) for i in range(len(metrics.box.ap_class_index))])
    expected = metrics.confusion_matrix.matrix
    assert np.abs(np.array(result["confusion"]) - expected).sum() <= 0.02 * expected.sum() + 2
    assert [item["pictures"] for item in result["classes"]] == [int(metrics.nt_per_image[c]) for c in metrics.box.ap_class_index]
    return result


@pytest.mark.parametrize("name, batch", [("yolov8n", 3), pytest.param("yolov8n", 16, marks=pytest.mark.slow), ("yolo11n", 16), ("yolov10n", 16), ("yolo26n", 5), ("yolov3-tiny", 16)])
def test_ultralytics(name, batch, photos, tmp_path):
    yolo, model = ultralytics(name)
    assert check_ultralytics(yolo, model, photos, tmp_path, batch)["rules"] == "ultralytics"


@pytest.mark.slow
def test_rtdetr(photos, tmp_path):
    import nets
    from ultralytics import RTDETR

    torch.manual_seed(8)
    yolo = RTDETR("rtdetr-l.yaml")
    model = nets.lively(yolo.model, 8).eval()
    awake(model, score_layers(model.model[-1]))
    awake(model, score_layers(model.model[-1]), share=0.05)
    assert check_ultralytics(yolo, model, photos, tmp_path)["rules"] == "rtdetr"


# --- What is written and refused --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    _, model = ultralytics("yolov8n")
    return judged_set(model, list(model.names.values()), photos, folder)


def test_what_is_written(judged, tmp_path):
    model, data = judged
    result = ours(model, data, "-o", tmp_path / "judged", "--coco", tmp_path / "found.json")
    names = {"PR_curve.svg", "F1_curve.svg", "P_curve.svg", "R_curve.svg", "confusion_matrix.svg", "report.html"}
    assert {path.name for path in (tmp_path / "judged").iterdir()} == names
    page = (tmp_path / "judged/report.html").read_text()
    assert page.count("<svg") == 5 and "mAP50-95" in page and "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    images = {int(path.stem): path for path in (data.parent / "images/val").iterdir()}
    instances = {"images": [], "annotations": [], "categories": [{"id": i, "name": str(i)} for i in range(80)]}
    for number, path in sorted(images.items()):
        height, width = cv2.imread(str(path)).shape[:2]
        instances["images"].append({"id": number, "file_name": path.name, "width": width, "height": height})
        label = data.parent / "labels/val" / f"{number}.txt"
        for line in label.read_text().splitlines() if label.exists() else []:
            kind, x, y, w, h = map(float, line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            instances["annotations"].append(
                {"id": len(instances["annotations"]) + 1, "image_id": number, "category_id": int(kind), "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            )
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    expected = coco_figures(tmp_path / "instances.json", tmp_path / "found.json")
    assert [result["metrics"][key] for key in FIGURES] == pytest.approx(list(expected), abs=1e-4)
    fails("val", model, data, "-o", tmp_path / "judged", naming="exists already")
    succeeds("val", model, data, "--image-size", SIZE, "-o", tmp_path / "judged", "--force")
    # COCO's own file says the same, and other numbers come back.
    for shift in (instances["images"], instances["annotations"]):
        for item in shift:
            item["id" if "file_name" in item else "image_id"] += 1000
    for item in instances["categories"]:
        item["id"] = 3 * item["id"] + 1
    for item in instances["annotations"]:
        item["category_id"] = 3 * item["category_id"] + 1
    (tmp_path / "coco.json").write_text(json.dumps(instances))
    again = report("val", model, tmp_path / "coco.json", "--pictures", data.parent / "images/val", "--image-size", SIZE, "--coco", tmp_path / "again.json")
    assert again["metrics"] == pytest.approx(result["metrics"], abs=1e-5)
    assert list(coco_figures(tmp_path / "coco.json", tmp_path / "again.json")) == pytest.approx(list(expected), abs=1e-4)


def test_the_table(judged):
    model, data = judged
    lines = succeeds("val", model, data, "--image-size", SIZE).out.splitlines()
    assert lines[0].split() == ["Class", "Images", "Instances", "P", "R", "mAP50", "mAP50-95"]
    assert lines[1].split()[:2] == ["all", str(len(SIZES) + 1)]
    assert all(re.fullmatch(r" *\S.*( +\d+){2}( +\S+){4}", line) for line in lines[1:])
    one = report("val", model, data, "--image-size", SIZE, "--threads", 1)
    assert one == report("val", model, data, "--image-size", SIZE, "--threads", 3)


def test_other_rules_and_settings(judged):
    model, data = judged
    usual = ours(model, data)
    for options in (["--rules", "yolov5"], ["--rules", "yolov6"], ["--rules", "yolov7"], ["--no-rectangles"], ["--iou", 0.3], ["--confidence", 0.2]):
        assert ours(model, data, *options)["metrics"] != usual["metrics"]
    few = report("val", model, data, "--image-size", SIZE, "--max-detections", 1)
    assert few["metrics"]["ar1"] == few["metrics"]["ar100"] < usual["metrics"]["ar100"]


def test_refusals(judged, tmp_path):
    model, data = judged
    (tmp_path / "images").mkdir()
    other = tmp_path / "data.yaml"
    names = "".join(f"  {i}: thing {i}\n" for i in range(80))
    other.write_text(f"val: {data.parent / 'images/val'}\nnames:\n{names}")
    assert "called" in mutils("val", model, other, "--image-size", 64).err, "the names differ"
    other.write_text(f"val: {data.parent / 'images/val'}\nnames: [a, b]\n")
    fails("val", model, other)
    other.write_text("val: images\nnc: 80\n")
    fails("val", model, other, naming="images")
    fails("val", model, data, "--split", "test", naming="test")
    fails("val", model, data, "--image-size", "64x96", naming="one number")
    fails("val", model, tmp_path / "nothing.yaml")
    broken = torch.load(model, weights_only=False)
    for weight in broken["model"].parameters():
        weight.data.fill_(float("nan"))
    torch.save(broken, tmp_path / "nan.pt")
    fails("val", tmp_path / "nan.pt", data, "--image-size", 64, naming="NaN")
    cv2.imwrite(str(tmp_path / "images/1.png"), np.zeros((40, 50, 3), np.uint8))
    result = mutils("val", model, other, "--image-size", 64, "--json")
    assert result.code == 0 and "nothing to find" in result.err
    assert json.loads(result.out)["metrics"]["map50"] == 0
    (tmp_path / "images/1.png").write_bytes((tmp_path / "images/1.png").read_bytes()[:60])
    fails("val", model, other, "--image-size", 64, naming="1.png")
