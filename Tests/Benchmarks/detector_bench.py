"""Measures YOLOv6's training and evaluation against ours, in turns in one run, and prints a table.

    python detector_bench.py [--mutils FILE] [--rounds N] [--threads N] [--size N] [--batch N]

A step is a batch made of pictures on disk (mosaic, affine, colours), forward, loss, backward and update of a YOLOv6n. The original is PyPI's
yolov6detect on eager PyTorch, with its data loader: its best of no workers and one for each thread. Of each the median step of all rounds counts,
behind two that make plans and caches. An evaluation is all pictures of a set, from files to COCO's figures.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / ".build/release"
QUIET = {"OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "ignore"}
STEPS, SKIPPED = 8, 2
# What PyTorch must take at least, in ours.
WANTED = {"step": 1.3, "evaluation": 3}


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


HYP = dict(hsv_h=0.015, hsv_s=0.7, hsv_v=0.4, degrees=0, translate=0.1, scale=0.5, shear=0, flipud=0, fliplr=0.5, mosaic=1.0, mixup=0)


def peer_steps(data, size, batch, threads, workers):
    """Prints the seconds of each step."""
    torch, description = original()
    import yolov6.data.data_load as data_load
    from yolov6.models.losses.loss import ComputeLoss
    from yolov6.models.yolo import Model
    from yolov6.utils.ema import ModelEMA

    torch.set_num_threads(threads)
    random.seed(0)
    names = ["circle", "square", "triangle", "star", "cross", "ring"]
    loader, _ = data_load.create_dataloader(
        str(Path(data) / "images/train"), size, batch, 32, hyp=HYP, augment=True, shuffle=True, workers=workers,
        data_dict={"names": names, "nc": 6}, task="train")  # fmt: skip
    torch.manual_seed(0)
    model = Model(description, num_classes=6).train()
    loss = ComputeLoss(num_classes=6, ori_img_size=size, warmup_epoch=0, use_dfl=False, reg_max=0, iou_type="siou")
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.937, nesterov=True)
    average = ModelEMA(model)
    batches = iter(loader)
    for number in range(STEPS):
        start = time.perf_counter()
        images, targets, _, _ = next(batches)
        outputs, _ = model(images.float() / 255)
        total, _ = loss(outputs, targets, 0, number)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        average.update(model)
        print(time.perf_counter() - start)


def peer_evaluation(data, weights, size, batch, threads):
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
    names = ["circle", "square", "triangle", "star", "cross", "ring"]
    loader, dataset = data_load.create_dataloader(
        str(Path(data) / "images/val"), size, batch, 32, hyp=HYP, rect=True, pad=0.5, workers=threads,
        data_dict={"names": names, "nc": 6}, task="val")  # fmt: skip
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


def seconds(*command):
    output = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True, env=os.environ | QUIET).stdout
    return [float(line) for line in output.splitlines() if line[:1].isdigit()]


def our_steps(mutils, data, size, batch, threads, folder):
    """When each step is told of, one behind the other."""
    command = [mutils, "train", data / "data.yaml", "--model", "yolov6n", "--image-size", size, "--batch-size", batch, "--epochs", "1",
               "--set", "nbs=1", "--stop-aug-last-n-epoch", "0", "--json", "--quiet", "--threads", threads, "-o", folder]  # fmt: skip
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    times = []
    for line in process.stdout:
        if "step" in json.loads(line):
            times.append(time.perf_counter())
        if len(times) == STEPS:
            process.kill()
            break
    process.wait()
    return [b - a for a, b in zip(times, times[1:])]


def measure(arguments):
    root = Path(tempfile.mkdtemp())
    data, size, batch, threads = root / "set", arguments.size, arguments.batch, arguments.threads
    count = str(batch * (STEPS + 1))
    subprocess.run([arguments.mutils, "dataset", "shapes", data, "--train", count, "--val", "64", "--size", str(size), "--quiet"], check=True)
    run = [arguments.mutils, "train", data / "data.yaml", "--model", "yolov6n", "--image-size", "64", "--batch-size", count, "--epochs", "1",
           "--eval-final-only", "--quiet", "-o", root / "weights"]  # fmt: skip
    subprocess.run([str(c) for c in run], check=True, stdout=subprocess.DEVNULL)
    weights = root / "weights/best.pt"
    ours, theirs = {"step": [], "evaluation": []}, {"step": [], "workers": [], "evaluation": []}
    for number in range(arguments.rounds):
        ours["step"] += our_steps(arguments.mutils, data, size, batch, threads, root / f"run{number}")[SKIPPED:]
        for name, workers in (("step", 0), ("workers", threads)):
            theirs[name] += seconds(sys.executable, __file__, "--peer-steps", data, "--size", size, "--batch", batch, "--threads", threads,
                                    "--workers", workers)[SKIPPED:]  # fmt: skip
        start = time.perf_counter()
        command = [arguments.mutils, "val", weights, data / "data.yaml", "--image-size", size, "--batch-size", batch, "--threads", threads, "--json"]
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        ours["evaluation"].append(time.perf_counter() - start)
        theirs["evaluation"] += seconds(sys.executable, __file__, "--peer-evaluation", data, "--weights", weights, "--size", size, "--batch", batch,
                                        "--threads", threads)  # fmt: skip
    print(f"YOLOv6n at {size}, batch {batch}, {threads} threads; medians in milliseconds")
    for name in ("step", "evaluation"):
        own = statistics.median(ours[name])
        other = statistics.median(theirs[name])
        if name == "step":
            other = min(other, statistics.median(theirs["workers"]))
        print(f"{name:12} ours {own * 1000:8.0f}   YOLOv6 {other * 1000:8.0f}   {other / own:5.2f} times (wanted {WANTED[name]})", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutils", default=BUILD / "mutils")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--weights")
    parser.add_argument("--peer-steps")
    parser.add_argument("--peer-evaluation")
    arguments = parser.parse_args()
    if arguments.peer_steps:
        peer_steps(arguments.peer_steps, arguments.size, arguments.batch, arguments.threads, arguments.workers)
    elif arguments.peer_evaluation:
        peer_evaluation(arguments.peer_evaluation, arguments.weights, arguments.size, arguments.batch, arguments.threads)
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
