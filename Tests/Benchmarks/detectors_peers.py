"""YOLOv6's steps of training and its evaluation, by its own code.

    python detectors_peers.py steps SET SIZE BATCH THREADS WORKERS STEPS
    python detectors_peers.py evaluation SET SIZE BATCH THREADS WEIGHTS

Prints the seconds of each.
"""

import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ["circle", "square", "triangle", "star", "cross", "ring"]
HYP = dict(hsv_h=0.015, hsv_s=0.7, hsv_v=0.4, degrees=0, translate=0.1, scale=0.5, shear=0, flipud=0, fliplr=0.5, mosaic=1.0, mixup=0)


def original():
    """Its modules, on a processor."""
    sys.path.insert(0, str(HERE.parent / "Interop"))
    import numpy as np
    import torch
    from originals import YOLOV6

    YOLOV6.__enter__()
    torch.nn.Module.cuda = lambda self, *_: self
    torch.Tensor.cuda = lambda self, *_, **__: self
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if name not in np.__dict__:
            setattr(np, name, kind)
    from test_train_detect import nano

    return torch, nano()


def steps(data, size, batch, threads, workers, count):
    """Prints the seconds of each step."""
    torch, description = original()
    import yolov6.data.data_load as data_load
    from yolov6.models.losses.loss import ComputeLoss
    from yolov6.models.yolo import Model
    from yolov6.utils.ema import ModelEMA

    torch.set_num_threads(threads)
    random.seed(0)
    loader, _ = data_load.create_dataloader(
        str(Path(data) / "images/train"), size, batch, 32, hyp=HYP, augment=True, shuffle=True, workers=workers,
        data_dict={"names": NAMES, "nc": 6}, task="train")  # fmt: skip
    torch.manual_seed(0)
    model = Model(description, num_classes=6).train()
    loss = ComputeLoss(num_classes=6, ori_img_size=size, warmup_epoch=0, use_dfl=False, reg_max=0, iou_type="siou")
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.937, nesterov=True)
    average = ModelEMA(model)
    batches = iter(loader)
    for number in range(count):
        start = time.perf_counter()
        images, targets, _, _ = next(batches)
        outputs, _ = model(images.float() / 255)
        total, _ = loss(outputs, targets, 0, number)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        average.update(model)
        print(time.perf_counter() - start)


def evaluation(data, size, batch, threads, weights):
    """Prints the seconds from files to figures."""
    torch, description = original()
    import contextlib
    import io

    import torchvision
    import yolov6.data.data_load as data_load
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    from test_train_detect import load_whole
    from ultralytics.utils.nms import TorchNMS
    from yolov6.layers.common import RepVGGBlock
    from yolov6.models.yolo import Model
    from yolov6.utils.nms import non_max_suppression
    from yolov6.utils.torch_utils import fuse_model

    torchvision.ops.nms = TorchNMS.nms
    torch.set_num_threads(threads)
    model = Model(description, num_classes=6)
    # The package's blocks are plain where release 0.4.0's hold another.
    state = load_whole(weights)["model"].float().state_dict()
    plain = {".block.conv.": ".conv.", ".block.bn.": ".bn.", "cspsppf.": ""}
    for name, shorter in plain.items():
        state = {key.replace(name, shorter): value for key, value in state.items()}
    model.load_state_dict(state)
    # As its own validation does.
    model = fuse_model(model.eval()).eval()
    for block in model.modules():
        if isinstance(block, RepVGGBlock):
            block.switch_to_deploy()
    start = time.perf_counter()
    loader, dataset = data_load.create_dataloader(
        str(Path(data) / "images/val"), size, batch, 32, hyp=HYP, rect=True, pad=0.5, workers=threads,
        data_dict={"names": NAMES, "nc": 6}, task="val")  # fmt: skip
    found, truths, images = [], [], []
    with torch.no_grad():
        for pictures, targets, paths, shapes in loader:
            outputs = non_max_suppression(model(pictures.float() / 255)[0], 0.03, 0.65, multi_label=True)
            for index, output in enumerate(outputs):
                number = len(images) + 1
                images.append({"id": number, "width": size, "height": size})
                for x1, y1, x2, y2, score, kind in output.tolist():
                    found.append({"image_id": number, "category_id": int(kind), "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score})
                for _, kind, x, y, w, h in targets[targets[:, 0] == index].tolist():
                    box = [(x - w / 2) * size, (y - h / 2) * size, w * size, h * size]
                    truths.append({"id": len(truths) + 1, "image_id": number, "category_id": int(kind), "bbox": box, "area": box[2] * box[3],
                                   "iscrowd": 0})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": truths, "categories": [{"id": kind} for kind in range(6)]}
        coco.createIndex()
        if found:
            evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    what, data, size, batch, threads, *rest = sys.argv[1:]
    if what == "steps":
        steps(data, int(size), int(batch), int(threads), *map(int, rest))
    else:
        evaluation(data, int(size), int(batch), int(threads), *rest)
