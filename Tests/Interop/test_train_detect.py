"""mutils train of a detector: the same steps as YOLOv6's own network, loss, groups, rates and average, and files that its code
loads."""

import copy
import json
import os
import pickle
import random
import signal
import subprocess
import time
from types import ModuleType, SimpleNamespace

import cv2
import nets
import numpy as np
import pytest
import torch
from helpers import MUTILS, REHEARSE, mutils
from originals import YOLOV6
from safetensors.torch import load_file, save_file
from test_yolov6 import BOTH, config
from torch import nn


def made(folder, count=20, seed=0, size=64):
    """Coloured squares at places that no grid has."""
    r = np.random.RandomState(seed)
    for part, number in (("train", count), ("val", 8)):
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for index in range(number):
            height, width = size + int(r.randint(9)), size + int(r.randint(9))
            image = cv2.resize(r.randint(0, 120, (9, 9, 3)).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
            rows = []
            for _ in range(r.randint(1, 4)):
                kind, side = int(r.randint(3)), r.uniform(9, 30)
                x, y = r.uniform(side / 2, width - side / 2), r.uniform(side / 2, height - side / 2)
                image[int(y - side / 2) : int(y + side / 2), int(x - side / 2) : int(x + side / 2), kind] = 230
                rows.append(f"{kind} {x / width:.6f} {y / height:.6f} {side / width:.6f} {side / height:.6f}")
            cv2.imwrite(str(folder / "images" / part / f"{index:03d}.png"), image)
            (folder / "labels" / part / f"{index:03d}.txt").write_text("\n".join(rows) + "\n")
    path = folder / "data.yaml"
    path.write_text("train: images/train\nval: images/val\nnc: 3\nnames: [blue, green, red]\n")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made(tmp_path_factory.mktemp("set"))


def lines(result):
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def batches(data, folder, size, batch, epochs, seed, **options):
    """Our own batches, by the part of the library that the data's tests hold against the original."""
    output = folder / "batches.safetensors"
    arguments = [f"{k}={v}" for k, v in dict(size=size, batch=batch, epochs=epochs, seed=seed, sampling="own", **options).items()]
    subprocess.run([REHEARSE, "boxes", data, "train", output, *arguments], check=True)
    return load_file(output)


NANO = dict(hsv_h=0.015, hsv_s=0.7, hsv_v=0.4, translate=0.1, scale=0.5, fliplr=0.5, mosaic=1.0)


class Whole(pickle.Unpickler):
    """Whole modules of release 0.4.0, some of whose classes have other names in the package: those are plain modules here."""

    def find_class(self, module, name):
        try:
            return super().find_class(module, name)
        except (AttributeError, ModuleNotFoundError):
            if not module.startswith("yolov6."):
                raise
            return type(name, (nn.Module,), {})


def load_whole(path):
    reader = ModuleType("whole")
    reader.Unpickler, reader.load = Whole, pickle.load
    return torch.load(path, weights_only=False, pickle_module=reader)


def nano():
    """YOLOv6 n's configuration."""
    description = config("EfficientRep", "RepBiFPANNeck", distributions=False, **BOTH)
    description.model["width_multiple"] = 0.25
    description.model.backbone["num_repeats"] = [1, 6, 12, 18, 6]
    description.model.backbone["out_channels"] = [64, 128, 256, 512, 1024]
    description.model.neck["num_repeats"] = [12] * 4
    description.model.neck["out_channels"] = [256, 128, 128, 256, 256, 512]
    return description


def distances(ours, expected):
    """Of floating tensors in order, whose names some releases have changed."""
    assert [tuple(v.shape) for v in ours.values()] == [tuple(v.shape) for v in expected.values()]
    return [((a - b).norm() / b.norm().clamp(min=1e-3)).item() for a, b in zip(ours.values(), expected.values()) if b.dtype.is_floating_point]


@pytest.mark.parametrize("fuse_ab", [False, True])
def test_steps_are_yolov6s(data, tmp_path, fuse_ab):
    """Losses and weights of a run in float32, as far as two right ones agree: six steps."""
    epochs, size, batch, seed, warm = 2, 96, 8, 3, 4
    report = lines(
        mutils("train", data, "--model", "yolov6n", "--image-size", size, "--batch-size", batch, "--epochs", epochs, "--seed", seed,
               "--set", f"warmup_steps={warm}", "--set", "warmup_epochs=0", "--stop-aug-last-n-epoch", "0", "--set", "nbs=16",
               "--eval-final-only", "--keep-state", "--json", *(["--fuse-ab"] if fuse_ab else []), "-o", tmp_path / "run"))  # fmt: skip
    steps = [line for line in report if "step" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert set(report[-1]) == {"best", "last", "results", "interrupted"}
    tensors = batches(data, tmp_path, size, batch, epochs, seed, **NANO)
    with YOLOV6:
        from yolov6.models.losses.loss import ComputeLoss
        from yolov6.models.losses.loss_fuseab import ComputeLoss as ComputeLossAB
        from yolov6.models.yolo import Model
        from yolov6.utils.ema import ModelEMA

        nn.Module.cuda, restore = lambda self, *_: self, nn.Module.cuda
        torch.Tensor.cuda, restore_tensor = lambda self, *_, **__: self, torch.Tensor.cuda
        try:
            torch.manual_seed(seed)
            model = Model(nano(), num_classes=3, fuse_ab=fuse_ab)
            model.train()
            free = ComputeLoss(num_classes=3, ori_img_size=size, warmup_epoch=0, use_dfl=False, reg_max=0, iou_type="siou")
            anchored = ComputeLossAB(num_classes=3, ori_img_size=size, warmup_epoch=0, use_dfl=False, reg_max=0, iou_type="siou")
            groups = [[], [], []]
            for module in model.modules():
                if isinstance(getattr(module, "bias", None), nn.Parameter):
                    groups[2].append(module.bias)
                if isinstance(module, nn.BatchNorm2d):
                    groups[0].append(module.weight)
                elif isinstance(getattr(module, "weight", None), nn.Parameter):
                    groups[1].append(module.weight)
            rate = 0.02 * batch / 32
            optimizer = torch.optim.SGD(groups[0], lr=rate, momentum=0.937, nesterov=True)
            optimizer.add_param_group({"params": groups[1], "weight_decay": 5e-4 * batch * 2 / 16})
            optimizer.add_param_group({"params": groups[2]})
            average = ModelEMA(model)
            factor = lambda e: (1 - np.cos(e * np.pi / epochs)) / 2 * (0.01 - 1) + 1
            last = -1
            per_epoch = len(steps) // epochs
            for number, line in enumerate(steps):
                epoch = number // per_epoch
                if number % per_epoch == 0:
                    optimizer.zero_grad()
                images = tensors[f"{number}.inputs"].float() / 255
                targets = tensors[f"{number}.targets"]
                outputs, _ = model(images)
                if fuse_ab:
                    total, items = free((outputs[0], outputs[3], outputs[4]), targets, epoch, number)
                    more, others = anchored(outputs[:3], targets, epoch, number)
                    total, items = total + more, items + others
                else:
                    total, items = free(outputs, targets, epoch, number)
                total.backward()
                tolerance = [2e-6, 2e-6, 1e-5, 1e-5, 1e-4, 1e-3][number]
                ours = [line["items"][name] for name in ("iou_loss", "dfl_loss", "cls_loss")]
                np.testing.assert_allclose(ours, items.numpy(), rtol=tolerance, atol=1e-9, err_msg=f"step {number}")
                assert line["loss"] == pytest.approx(total.item(), rel=tolerance)
                accumulate = 2
                if number <= warm:
                    accumulate = max(1, np.interp(number, [0, warm], [1, 2]).round())
                    for index, group in enumerate(optimizer.param_groups):
                        group["lr"] = np.interp(number, [0, warm], [0.1 if index == 2 else 0.0, rate * factor(epoch)])
                        group["momentum"] = np.interp(number, [0, warm], [0.8, 0.937])
                assert line["lr"] == [pytest.approx(float(group["lr"]), rel=1e-12) for group in optimizer.param_groups]
                if number - last >= accumulate:
                    optimizer.step()
                    optimizer.zero_grad()
                    average.update(model)
                    last = number
            # The file holds the original's keys, and its own way of taking weights takes all.
            state = load_whole(tmp_path / "run/last.pt")
            assert {"model", "ema", "updates", "optimizer", "scheduler", "epoch", "results"} <= set(state)
            own = state["model"].float().state_dict()
            assert len(own) == (768 if fuse_ab else 756)
            optimizer.load_state_dict(state["optimizer"])
            torch.optim.lr_scheduler.LambdaLR(optimizer, factor).load_state_dict(state["scheduler"])
            for ours, expected in ((own, model.state_dict()), (state["ema"].float().state_dict(), average.ema.state_dict())):
                assert max(distances(ours, expected)) < 0.1
                # The last steps have drifted apart as torch's own ways to convolve do.
                assert np.median(distances(ours, expected)) < 1e-4
            assert state["epoch"] == epochs - 1 and state["updates"] == average.updates
        finally:
            nn.Module.cuda, torch.Tensor.cuda = restore, restore_tensor


def test_stripped_files_run_in_yolov6(data, tmp_path):
    result = mutils("train", data, "--model", "yolov6n", "--image-size", "64", "--batch-size", "8", "--epochs", "1", "--recipe", "small",
                    "-o", tmp_path / "run")  # fmt: skip
    assert result.code == 0, result.err
    x = torch.rand(1, 3, 64, 64)
    save_file({"images": x}, tmp_path / "x.safetensors")
    result = mutils("run", tmp_path / "run/best.pt", "--input", tmp_path / "x.safetensors", "-o", tmp_path / "y.safetensors")
    assert result.code == 0, result.err
    ours = next(iter(load_file(tmp_path / "y.safetensors").values()))
    with YOLOV6:
        from yolov6.models.yolo import Model

        for name in ("best.pt", "last.pt"):
            state = load_whole(tmp_path / "run" / name)
            assert state["ema"] is None and state["optimizer"] is None
            weights = state["model"]
            assert next(weights.parameters()).dtype == torch.float16 and not any(p.requires_grad for p in weights.parameters())
            model = Model(nano(), num_classes=3)
            model.stride = model.detect.stride = torch.tensor([8, 16, 32])
            model.load_state_dict(dict(zip(model.state_dict(), weights.float().state_dict().values())))
            with torch.no_grad():
                expected = model.eval()(x)[0]
            assert expected.shape == (1, 84, 8)
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-3)


def ultralytics_net(classes):
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    return DetectionModel("yolov8n.yaml", nc=classes, verbose=False)


def test_first_loss_is_ultralytics(data, tmp_path):
    from ultralytics.utils.loss import v8DetectionLoss

    net = ultralytics_net(3).half()
    torch.save({"model": net, "ema": None, "epoch": -1}, tmp_path / "yolov8n.pt")
    report = lines(
        mutils("train", data, "--model", tmp_path / "yolov8n.pt", "--image-size", "64", "--batch-size", "8", "--epochs", "1",
               "--stop-aug-last-n-epoch", "0", "--json", "-o", tmp_path / "run"))  # fmt: skip
    tensors = batches(data, tmp_path, 64, 8, 1, 0, **NANO)
    net = net.float().train()
    net.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    targets = tensors["0.targets"]
    batch = {"batch_idx": targets[:, 0], "cls": targets[:, 1:2], "bboxes": targets[:, 2:]}
    total, items = v8DetectionLoss(net)(net(tensors["0.inputs"].float() / 255), batch)
    # Theirs is in float32.
    for name, value in items.items():
        assert report[0]["items"][name] == pytest.approx(value.item(), rel=2e-5)
    assert report[0]["loss"] == pytest.approx(total.sum().item(), rel=2e-5)


@pytest.mark.parametrize("family", ["yolov5n", "yolov8n"])
def test_other_families(family, data, tmp_path):
    """They learn, and their own code loads what they learned."""
    model = family
    nets.import_yolov5()
    if family == "yolov8n":
        model = tmp_path / "yolov8n.pt"
        torch.save({"model": ultralytics_net(7).half(), "ema": None, "epoch": -1}, model)
    report = lines(
        mutils("train", data, "--model", model, "--image-size", "64", "--batch-size", "8", "--epochs", "4", "--recipe", "small",
               "--set", "warmup_steps=2", "--json", "-o", tmp_path / "run"))  # fmt: skip
    assert all(np.isfinite(line["loss"]) for line in report if "step" in line)
    assert {"map50", "map5095", "precision", "recall", "f1"} <= set(report[-2]["metrics"])
    state = torch.load(tmp_path / "run/best.pt", weights_only=False)
    with torch.no_grad():
        found = state["model"].float().eval()(torch.rand(1, 3, 64, 64))
    assert found[0].shape == ((1, 252, 8) if family == "yolov5n" else (1, 7, 84))


def test_goes_on_after_a_kill(data, tmp_path):
    """SIGKILL at random moments, and SIGINT once: every tensor and every line of the table is as if there had been none."""
    options = ["--model", "yolov6lite_s", "--image-size", "64", "--batch-size", "4", "--epochs", "3", "--set", "warmup_steps=4",
               "--set", "warmup_epochs=0", "--eval-interval", "1", "--keep-state", "--threads", "2", "--quiet"]  # fmt: skip
    assert mutils("train", data, *options, "-o", tmp_path / "whole").code == 0
    r = random.Random(5)
    folder = tmp_path / "parts"
    arguments = [*options, "-o", folder]
    for attempt in range(60):
        process = subprocess.Popen([MUTILS, "train", data, *map(str, arguments), "--workers", "1"], stderr=subprocess.PIPE)
        time.sleep(r.uniform(0.2, 1.5))
        if attempt % 3 == 2:
            process.send_signal(signal.SIGINT)
        else:
            process.kill()
        _, error = process.communicate()
        if (folder / "last.pt").exists():
            arguments = ["--resume", folder, "--threads", "2", "--quiet"]
        if process.returncode == 0:
            break
        assert process.returncode in (-9, -2, 130), error
    else:
        assert mutils("train", data, *arguments).code == 0
    assert (tmp_path / "whole/last.pt").stat().st_size == (folder / "last.pt").stat().st_size
    assert (tmp_path / "whole/best.pt").read_bytes() == (folder / "best.pt").read_bytes()
    assert (tmp_path / "whole/last.pt").read_bytes() == (folder / "last.pt").read_bytes()
    strip = lambda path: [line.rsplit(",", 1)[0] for line in (path / "results.csv").read_text().splitlines()]
    assert strip(tmp_path / "whole") == strip(folder)


def test_events(data, tmp_path):
    """TensorBoard's scalars by the original's names."""
    folder = tmp_path / "run"
    assert mutils("train", data, "--image-size", "64", "--batch-size", "8", "--epochs", "1", "-o", folder).code == 0
    tags = b"".join(path.read_bytes() for path in folder.glob("events.out.tfevents.*"))
    for tag in ("val/mAP@0.5", "val/mAP@0.50:0.95", "train/iou_loss", "train/dist_focalloss", "train/cls_loss", "x/lr0", "x/lr1",
                "x/lr2", "train_batch", "val_img_1"):  # fmt: skip
        assert tag.encode() in tags, tag
    assert os.path.exists(folder / "report.html")


def test_rep_optimizer(data, tmp_path):
    """First values and the first updates of a yolov6n_opt are YOLOv6's, from the scales of a yolov6n_hs that was trained here."""
    common = ["--image-size", "64", "--batch-size", "8", "--epochs", "1", "--eval-final-only"]
    hs = tmp_path / "hs"
    assert mutils("train", data, "--model", "yolov6n_hs", *common, "--recipe", "small", "--lr", "0.05", "-o", hs).code == 0
    report = lines(
        mutils("train", data, "--model", "yolov6n_opt", "--scales", hs / "best.pt", *common, "--seed", "4", "--set", "warmup_steps=0",
               "--set", "warmup_epochs=0", "--set", "nbs=8", "--stop-aug-last-n-epoch", "0", "--keep-state", "--json",
               "-o", tmp_path / "opt"))  # fmt: skip
    steps = [line for line in report if "step" in line]
    assert steps[0]["lr"] == [0.02] * 3
    tensors = batches(data, tmp_path, 64, 8, 1, 4, **NANO)
    with YOLOV6:
        from yolov6.models.losses.loss import ComputeLoss
        from yolov6.models.yolo import Model
        from yolov6.utils import RepOptimizer

        nn.Module.cuda, restore = lambda self, *_: self, nn.Module.cuda
        torch.Tensor.cuda, restore_tensor = lambda self, *_, **__: self, torch.Tensor.cuda
        try:
            description = nano()
            description["training_mode"] = "repopt"
            description.model.backbone.update(type="EfficientRep", fuse_P2=False, cspsppf=False)
            description.model.neck["type"] = "RepPANNeck"
            torch.manual_seed(4)
            model = Model(description, num_classes=3).train()
            searched = load_whole(hs / "best.pt")["model"].float()
            scales = RepOptimizer.extract_scales({"model": searched})

            class Named(dict):
                __getattr__ = dict.__getitem__
                __setattr__ = dict.__setitem__

            solver = Named(lr0=0.02, momentum=0.937, weight_decay=5e-4)
            optimizer = RepOptimizer.RepVGGOptimizer(
                model, scales, Named(batch_size=64, world_size=1, bs_per_gpu=32), Named(solver=solver), reinit=True, cpu_mode=True)  # fmt: skip
            loss = ComputeLoss(num_classes=3, ori_img_size=64, warmup_epoch=0, use_dfl=False, reg_max=0, iou_type="siou")
            buffers = {}
            for number, line in enumerate(steps):
                outputs, _ = model(tensors[f"{number}.inputs"].float() / 255)
                total, items = loss(outputs, tensors[f"{number}.targets"], 0, number)
                assert line["loss"] == pytest.approx(total.item(), rel=1e-6 if number == 0 else 1e-3)
                optimizer.zero_grad()
                total.backward()
                # Its step, whose calls torch no longer takes: the gradient times the mask, then SGD with Nesterov's momentum.
                with torch.no_grad():
                    for group in optimizer.param_groups:
                        for p in group["params"]:
                            if p.grad is None:
                                continue
                            g = p.grad * optimizer.grad_mask_map[p] if p in optimizer.grad_mask_map else p.grad
                            g = g + group["weight_decay"] * p
                            buffers[p] = buffers[p] * 0.937 + g if p in buffers else g.clone()
                            p -= 0.02 * (g + 0.937 * buffers[p])
            far = distances(load_whole(tmp_path / "opt/last.pt")["model"].state_dict(), model.state_dict())
            assert np.median(far) < 1e-5 and max(far) < 0.05
        finally:
            nn.Module.cuda, torch.Tensor.cuda = restore, restore_tensor
    result = mutils("train", data, "--model", "yolov6n_opt", *common, "-o", tmp_path / "none")
    assert result.code == 1 and "needs scales" in result.err
    result = mutils("train", data, "--model", "yolov6s_opt", "--scales", hs / "best.pt", *common, "-o", tmp_path / "none")
    assert result.code == 1 and "other channels" in result.err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--nesterov"], "--nesterov is for classifiers"),
        (["--model", "resnet18"], "no detector"),
        (["--model", "nothing.pt"], "nothing.pt"),
        (["--set", "mosaic"], "name and a number"),
        (["--set", "mosaik=1"], "mosaic"),
        (["--set", "mosaic=2"], "0 to 1"),
        (["--lr", "0"], "above 0"),
        (["--image-size", "64x32"], "squares"),
        (["--image-size", "16"], "32 to 8192"),
        (["--hyp", "hyp.yaml"], "line 2"),
        (["--pretrained", "data.yaml"], "data.yaml"),
        (["--scales", "data.yaml"], "data.yaml"),
    ],
)
def test_one_line_for_what_cannot_be(arguments, words, data, tmp_path):
    (tmp_path / "hyp.yaml").write_text("lr0: 0.1\nmosaic: much\n")
    (tmp_path / "data.yaml").write_text(data.read_text().replace("images/", f"{data.parent}/images/"))
    result = mutils("train", "data.yaml", "--batch-size", "8", "--epochs", "1", *arguments, "-o", "run", cwd=tmp_path)
    assert result.code == 1 and words in result.err and result.err.count("\n") == 1, result.err
    assert not (tmp_path / "run").exists()
