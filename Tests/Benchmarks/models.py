"""Makes the models that are measured: random weights, lively batch norms.

    python models.py FOLDER

resnet101.pt and yolov5s.pt are whole modules; training.pt is what YOLOv5's train.py writes: model and ema in half precision, the
optimizer's state in full; epoch0.safetensors to epoch9.safetensors are ten checkpoints of a ResNet-101, 179 MB each.
"""

import copy
import sys
from datetime import datetime
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Fixtures"))
import nets  # noqa: E402


def yolov5(name):
    yolo = nets.import_yolov5().models.yolo
    model = yolo.DetectionModel(Path(yolo.__file__).with_name(f"{name}.yaml"))
    model.names = {i: f"class {i}" for i in range(80)}
    return nets.lively(model)


def training_checkpoint(model):
    from yolov5.utils.torch_utils import ModelEMA, smart_optimizer

    optimizer = smart_optimizer(model, "SGD", 0.01, 0.937, 0.0005)
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    ema = ModelEMA(model)
    ema.update(model)
    return {
        "epoch": 12,
        "best_fitness": 0.5,
        "model": copy.deepcopy(model).half(),
        "ema": copy.deepcopy(ema.ema).half(),
        "updates": ema.updates,
        "optimizer": optimizer.state_dict(),
        "opt": {"weights": "", "cfg": "yolov5s.yaml", "epochs": 300, "batch_size": 16, "imgsz": 640},
        "date": datetime.now().isoformat(),
    }


def main(folder):
    torch.manual_seed(0)
    resnet = nets.lively(torchvision.models.resnet101()).eval()
    torch.save(resnet, folder / "resnet101.pt")
    for epoch in range(10):
        for p in resnet.parameters():
            p.data += 0.01 * torch.randn_like(p)
        save_file(resnet.state_dict(), folder / f"epoch{epoch}.safetensors")
    model = yolov5("yolov5x")
    torch.save({"epoch": 3, "model": model, "ema": copy.deepcopy(model).half()}, folder / "yolov5x.pt")
    model = yolov5("yolov5s")
    torch.save(copy.deepcopy(model).eval(), folder / "yolov5s.pt")
    torch.save(training_checkpoint(model.train()), folder / "training.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
