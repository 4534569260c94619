"""Detection data is YOLOv6's own, batch for batch: order, draws, boxes and pixels; and pycocotools reads what is written.

The judge is the package yolov6detect, which is asked and never imported by the product."""

import json
import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import REHEARSE, mutils, succeeds
from originals import YOLOV6
from PIL import Image
from safetensors.torch import load_file

CLASSES = ["circle", "square", "cross"]

PLAIN = dict(hsv_h=0, hsv_s=0, hsv_v=0, degrees=0, translate=0, scale=0, shear=0, flipud=0, fliplr=0, mosaic=0, mixup=0)
NANO = dict(PLAIN, translate=0.1, scale=0.5, fliplr=0.5, mosaic=1.0)
COLOURS = dict(hsv_h=0.015, hsv_s=0.7, hsv_v=0.4)
FINETUNE = dict(degrees=0.373, translate=0.245, scale=0.898, shear=0.602, flipud=0.00856, fliplr=0.5, mosaic=1.0, mixup=0.243)
WILD = dict(degrees=33.3, translate=0.3, scale=0.6, shear=7.7, flipud=0.5, fliplr=0.5, mosaic=0.6, mixup=0.5)


@pytest.fixture(scope="module")
def judge():
    """yolov6.data, with NumPy's removed names back."""
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if name not in np.__dict__:
            setattr(np, name, kind)
    with YOLOV6:
        import yolov6.data.data_load as data_load

        yield data_load


def draw(rng, width, height, objects):
    """A smooth picture with some shapes, and their rows."""
    small = rng.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    rows = []
    for _ in range(objects):
        w, h = rng.uniform(0.08, 0.6, 2)
        x, y = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
        kind = int(rng.integers(3))
        left, top, right, bottom = int((x - w / 2) * width), int((y - h / 2) * height), int((x + w / 2) * width), int((y + h / 2) * height)
        image[top:bottom, left:right] = image[top:bottom, left:right] // 2 + rng.integers(0, 128, 3).astype(np.uint8)
        rows.append(f"{kind} {x:.6f} {y:.6f} {w:.6f} {h:.6f}")
    return image, rows


SIZES = {
    "equal": [(96, 96)] * 11,
    "odd": [(61, 40), (150, 233), (64, 64), (300, 33), (34, 301), (375, 500), (10, 97), (211, 210), (640, 427), (77, 131), (96, 55), (13, 11)],
}


@pytest.fixture(scope="module", params=["equal", "odd"])
def data(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(len(request.param))
    for part, count in (("train", 99), ("val", 7)):
        (root / "images" / part).mkdir(parents=True)
        (root / "labels" / part).mkdir(parents=True)
        for index, (width, height) in enumerate(SIZES[request.param][:count]):
            image, rows = draw(rng, width, height, index % 4)
            cv2.imwrite(str(root / "images" / part / f"p{index * 37 % 100}.png"), image)
            if index % 5 == 3:
                continue
            text = "\n".join(rows + rows[:1]) if index % 4 == 2 else "\n".join(rows)
            (root / "labels" / part / f"p{index * 37 % 100}.txt").write_text(text + "\n\n")
    (root / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\nnc: 3\nnames: {CLASSES}\n")
    return root


def theirs(judge, root, part, size, batch, epochs, seed, hyp, **options):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    loader, dataset = judge.create_dataloader(
        str(root / "images" / part), size, batch, 32, hyp=hyp, workers=0, check_images=True, check_labels=True,
        data_dict={"names": CLASSES, "nc": 3}, task=part, **options)
    return [entry for _ in range(epochs) for entry in loader], dataset


def ours(tmp_path, root, part, **options):
    succeeds("boxes", root / "data.yaml", part, tmp_path / "out.safetensors", *(f"{key}={value}" for key, value in options.items()),
             program=REHEARSE)
    return load_file(tmp_path / "out.safetensors")


def compare(expected, results, size, amplified=False):
    assert len(expected) == len([name for name in results if name.endswith(".inputs")])
    for number, (images, labels, _, _) in enumerate(expected):
        found = results[f"{number}.inputs"]
        assert found.dtype == torch.uint8 and found.shape == images.shape
        difference = (found.int() - images.int()).abs()
        if amplified:
            # Where a pixel differed by 1 before, a colour that is stretched may differ by more.
            assert (difference > 1).double().mean() < 1e-4
        else:
            assert difference.max() <= 1
        assert (difference > 0).double().mean() < 2e-3
        targets = results[f"{number}.targets"]
        assert targets.dtype == torch.float32 and targets.shape == labels.shape
        assert torch.equal(targets[:, :2], labels[:, :2])
        assert ((targets[:, 2:] - labels[:, 2:]).abs() * size <= 1e-4).all()


@pytest.mark.parametrize("hyp", [PLAIN, NANO, dict(NANO, **COLOURS), dict(FINETUNE, **PLAIN | FINETUNE), dict(WILD, hsv_h=0, hsv_s=0, hsv_v=0),
                                 dict(WILD, **COLOURS)], ids=["plain", "nano", "colours", "finetune", "wild", "wild-colours"])
@pytest.mark.parametrize("size, batch, seed", [(96, 4, 0), (160, 100, 7)])
def test_training_batches(tmp_path, judge, data, hyp, size, batch, seed):
    expected, dataset = theirs(judge, data, "train", size, batch, 3, seed, hyp, augment=True, shuffle=True)
    results = ours(tmp_path, data, "train", size=size, batch=batch, epochs=3, seed=seed, sampling="original", threads=3, **hyp)
    compare(expected, results, size, amplified=hyp["hsv_s"] > 0)
    # All that was drawn: the next numbers are the same.
    words = torch.randint(-1 << 62, 1 << 62, (1,))
    assert results["next"][:2].tolist() == [random.random(), np.random.uniform()] and words is not None
    order = [dataset.img_paths.index(path) for _, _, paths, _ in expected for path in paths]
    assert order == [index for number in range(len(expected)) for index in results[f"{number}.indices"].tolist()]


@pytest.mark.parametrize("size, batch", [(64, 3), (320, 50)])
@pytest.mark.parametrize("rect, pad", [(False, 0.0), (True, 0.5), (True, 0.0)])
def test_validation_batches(tmp_path, judge, data, monkeypatch, size, batch, rect, pad):
    from yolov6.data.datasets import TrainValDataset

    sort = TrainValDataset.sort_files_shapes

    def by_width(self):
        """0.4.0 sorts by width over height, where the package sorts by its inverse, and gives batches the same shapes."""
        self.shapes = self.shapes[:, ::-1]
        count = len(self.shapes)
        sort(self)
        self.batch_indices = np.arange(count) // self.batch_size
        self.batch_shapes = self.batch_shapes[:, ::-1]

    monkeypatch.setattr(TrainValDataset, "sort_files_shapes", by_width)
    expected, dataset = theirs(judge, data, "val", size, batch, 1, 0, dict(PLAIN), rect=rect, pad=pad)
    results = ours(tmp_path, data, "val", size=size, batch=batch, sampling="rectangles" if rect else "none", pad=pad)
    for number, (_, _, paths, _) in enumerate(expected):
        names = sorted(dataset.img_paths)
        assert [names[index] for index in results[f"{number}.indices"].tolist()] == list(paths)
    compare(expected, results, size)
    for number, (_, _, _, shapes) in enumerate(expected):
        rows = [[*map(float, original), *map(float, ratio), float(pad[1]), float(pad[0])] for original, (ratio, pad) in shapes]
        np.testing.assert_allclose(results[f"{number}.placements"].numpy(), rows, rtol=1e-12)


def test_own_generators(tmp_path, data):
    """Neither threads nor the size of batches matter, and epochs differ."""
    hyp = dict(WILD, **COLOURS)
    one = ours(tmp_path, data, "train", size=64, batch=2, epochs=2, sampling="own", threads=1, **hyp)
    many = ours(tmp_path, data, "train", size=64, batch=5, epochs=2, sampling="own", threads=5, **hyp)

    def pictures(results):
        return torch.cat([results[f"{n}.inputs"] for n in range(len([k for k in results if k.endswith(".inputs")]))])

    assert torch.equal(pictures(one), pictures(many))
    count = len(pictures(one)) // 2
    assert not torch.equal(pictures(one)[:count], pictures(one)[count:])


def test_coco(tmp_path, data):
    from pycocotools.coco import COCO

    succeeds("coco", data / "data.yaml", "val", tmp_path / "annotations" / "instances.json", program=REHEARSE)
    coco = COCO(str(tmp_path / "annotations" / "instances.json"))
    assert sorted(coco.getAnnIds())[:1] == [1] and [c["name"] for c in coco.loadCats(coco.getCatIds())] == CLASSES
    boxes = 0
    for image in coco.loadImgs(coco.getImgIds()):
        with Image.open(data / "images" / "val" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        label = data / "labels" / "val" / f"{Path(image['file_name']).stem}.txt"
        rows = np.loadtxt(label, ndmin=2) if label.exists() and label.read_text().strip() else np.zeros((0, 5))
        rows = np.unique(rows, axis=0) if len(np.unique(rows, axis=0)) < len(rows) else rows
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert [a["category_id"] for a in found] == rows[:, 0].astype(int).tolist()
        for annotation, (_, x, y, w, h) in zip(found, rows):
            expected = [(x - w / 2) * image["width"], (y - h / 2) * image["height"], w * image["width"], h * image["height"]]
            np.testing.assert_allclose(annotation["bbox"], expected, atol=1e-4)
            assert annotation["area"] == pytest.approx(annotation["bbox"][2] * annotation["bbox"][3]) and annotation["iscrowd"] == 0
        boxes += len(found)
    assert boxes == len(coco.anns) > 0
    # And back again.
    succeeds("recoco", tmp_path / "annotations" / "instances.json", data / "images" / "val", tmp_path / "again.json", program=REHEARSE)
    first, again = (json.loads((tmp_path / name).read_text()) for name in ("annotations/instances.json", "again.json"))
    assert first["images"] == again["images"] and first["categories"] == again["categories"]
    for a, b in zip(first["annotations"], again["annotations"]):
        np.testing.assert_allclose(a.pop("bbox"), b.pop("bbox"), atol=1e-4)
        assert a.pop("area") == pytest.approx(b.pop("area"), rel=1e-5)
        assert a == b


def small(root, rows="0 0.5 0.5 0.2 0.2\n", names="[a, b]"):
    (root / "images").mkdir()
    (root / "labels").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(root / "images" / "a.png")
    if rows is not None:
        (root / "labels" / "a.txt").write_text(rows)
    (root / "data.yaml").write_text(f"train: images\nnames: {names}\n")


def one_line(result, words):
    assert result.code == 1 and not result.timed_out, result.err
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("rehearse: error: "), result.err
    assert all(word in lines[0] for word in words), lines[0]


def is_refused(root, *words, arguments=()):
    one_line(mutils("boxes", root / "data.yaml", "train", root / "out.safetensors", "size=64", *arguments, program=REHEARSE,
                    address_space=4 << 30, timeout=20), words)


@pytest.mark.parametrize("rows, words", [
    ("2 0.5 0.5 0.2 0.2\n", ["a.txt: line 1: has the class 2, where there are 2"]),
    ("0 .5 .5 .2 .2\n\n-1 .5 .5 .2 .2\n", ["a.txt: line 3: has the class -1"]),
    ("0 .5 .5 .2\n", ["line 1: has 4 columns where 5 are expected"]),
    ("0 .5 .5 .2 .2 .9\n", ["line 1: has 6 columns"]),
    ("0 .5 .5 nan .2\n", ["line 1: has 'nan' where a finite number"]),
    ("0 .5 .5 1e999 .2\n", ["line 1: has '1e999' where a finite number"]),
    ("0 .5 1.5 .2 .2\n", ["line 1: has 1.5 where shares"]),
    ("1e300 .5 .5 .2 .2\n", ["line 1: has the class 1e300"]),
    ("0.5 .5 .5 .2 .2\n", ["line 1: has the class 0.5"]),
    ("a b c d e\n" * 50, ["has 20 faults", "a.txt: line 1: has 'a'", "17 more"]),
])
def test_bad_labels(tmp_path, rows, words):
    small(tmp_path, rows)
    is_refused(tmp_path, *words)


@pytest.mark.parametrize("rows", ["", "\n \n", None])
def test_a_picture_without_objects_alone(tmp_path, rows):
    small(tmp_path, rows)
    results = ours(tmp_path, tmp_path, "train", size=64, batch=16, sampling="original", mosaic=1, mixup=1, scale=0.5)
    assert results["0.inputs"].shape == (1, 3, 64, 64) and results["0.targets"].shape == (0, 6)


def test_polygons(tmp_path):
    small(tmp_path, "1 0.1 0.2 0.5 0.3 0.4 0.8 0.2 0.9\n")
    results = ours(tmp_path, tmp_path, "train", size=64, sampling="none")
    # 50 pixels of width stand in 64, 40 of height between 6 and 58 of them.
    assert results["0.targets"][0, :2].tolist() == [0, 1]
    expected = torch.tensor([0.3, (0.55 * 51 + 6.5) / 64, 0.4, 0.7 * 51 / 64])
    assert torch.allclose(results["0.targets"][0, 2:], expected, atol=1e-4)


def test_bad_pictures(tmp_path):
    small(tmp_path)
    whole = (tmp_path / "images" / "a.png").read_bytes()
    (tmp_path / "images" / "a.png").write_bytes(whole[: len(whole) // 2])
    is_refused(tmp_path, "a.png: batch 0: ")
    assert "a.png" in succeeds("check", tmp_path / "data.yaml", "train", program=REHEARSE).out
    (tmp_path / "images" / "a.png").write_bytes(whole[:20])
    is_refused(tmp_path, "a.png: does not tell the size")
    (tmp_path / "images" / "a.png").write_bytes(b"no picture")
    is_refused(tmp_path, "a.png: is neither a PNG nor a JPEG")
    huge = bytearray(whole)
    huge[16:24] = b"\x7f\xff\xff\xff\x7f\xff\xff\xff"
    (tmp_path / "images" / "a.png").write_bytes(huge)
    is_refused(tmp_path, "a.png")
    Image.new("RGB", (200, 9)).save(tmp_path / "images" / "a.png")
    is_refused(tmp_path, "a.png: is 200x9 pixels, where sides have at least 10")
    (tmp_path / "images" / "a.png").write_bytes(whole)
    (tmp_path / "images" / "b.webp").write_bytes(whole)
    is_refused(tmp_path, "b.webp: is a picture in a format that is not read")


def test_bad_places(tmp_path):
    small(tmp_path)
    os.symlink(tmp_path / "images", tmp_path / "images" / "again")
    is_refused(tmp_path, "again: is a link that leads back")
    os.remove(tmp_path / "images" / "again")
    (tmp_path / "list.txt").write_text("./images/a.png\n\nimages/missing.png\n")
    (tmp_path / "data.yaml").write_text("train: list.txt\nnc: 1\n")
    is_refused(tmp_path, "list.txt: line 3: names a picture that is not there", "missing.png")
    (tmp_path / "list.txt").write_text("./images/a.png\nimages/a.png\n")
    assert ours(tmp_path, tmp_path, "train", size=64, sampling="none")["0.inputs"].shape[0] in (1, 2)
    for text, words in [
        ("train: nowhere\nnc: 1\n", ["data.yaml: line 1: 'train' names a place that is not there: nowhere"]),
        ("train: images\n", ["has neither 'names' nor 'nc'"]),
        ("train: images\nnc: 3\nnames: [a]\n", ["line 3: has 1 names where 'nc' is 3"]),
        ("train: images\nnc: 99999999999999999999\n", ["line 2: 'nc' must be"]),
        ("train: images\nnames: {0: a, 2: b}\n", ["line 2: 'names' must be"]),
        ("val: images\nnames: [a]\n", ["names nothing for 'train'"]),
        ("- 1\n", ["is no mapping"]),
    ]:
        (tmp_path / "data.yaml").write_text(text)
        is_refused(tmp_path, *words)


def test_absurd_numbers(tmp_path):
    small(tmp_path)
    for arguments in (["size=0"], ["size=99999999"], ["batch=0"], ["threads=0"], ["mosaic=2"], ["scale=nan"], ["shear=90"], ["hsv_v=-1"]):
        is_refused(tmp_path, arguments=arguments)


@pytest.mark.parametrize("text, words", [
    ("{", ["JSON"]), ("[]", ["JSON"]), ("{}", ["0 categories"]),
    ('{"images": [{"id": 1, "file_name": "a.png", "width": 50}], "categories": [{"id": 1, "name": "a"}]}', ["lacks its"]),
    ('{"images": [{"id": 1, "file_name": "../../a.png", "width": 50, "height": 40}], "categories": [{"id": 1, "name": "a"}]}', ["outside of its folder"]),
    ('{"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 50}], "categories": [{"id": 1, "name": "a"}]}', ["is 50x40 pixels upright"]),
    ('{"images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}], "categories": [{"id": 1, "name": "a"}], '
     '"annotations": [{"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]}]}', ["image that is not there, 2"]),
    ('{"images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}], "categories": [{"id": 1, "name": "a"}], '
     '"annotations": [{"image_id": 1, "category_id": 1, "bbox": [60, 2, 3, 4]}]}', ["of which nothing lies"]),
])
def test_bad_coco(tmp_path, text, words):
    small(tmp_path)
    (tmp_path / "instances.json").write_text(text)
    one_line(mutils("recoco", tmp_path / "instances.json", tmp_path / "images", tmp_path / "out.json", program=REHEARSE), words)
