"""Makes the models that are measured: random weights, lively batch norms.

    python checkpoints.py memory FOLDER
    python checkpoints.py processes FOLDER
    python checkpoints.py sizes FILE WEIGHTS CHANNELS

memory: resnet101.pt and yolov5s.pt are whole modules. processes: training.pt is what YOLOv5's train.py writes for a YOLOv5s, model and
ema in half precision, the optimizer's state in full; yolov5x.pt holds a model and an ema; epoch0.safetensors to epoch9.safetensors are
ten checkpoints of a ResNet-101, 179 MB each. sizes: convolutions in order, of about so many weights.
"""

import copy
import sys
from datetime import datetime
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

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


def resnet101():
    return nets.lively(torchvision.models.resnet101()).eval()


def memory(folder):
    torch.save(resnet101(), Path(folder) / "resnet101.pt")
    torch.save(yolov5("yolov5s").eval(), Path(folder) / "yolov5s.pt")


def processes(folder):
    resnet = resnet101()
    for epoch in range(10):
        for p in resnet.parameters():
            p.data += 0.01 * torch.randn_like(p)
        save_file(resnet.state_dict(), Path(folder) / f"epoch{epoch}.safetensors")
    model = yolov5("yolov5x")
    torch.save({"epoch": 3, "model": model, "ema": copy.deepcopy(model).half()}, Path(folder) / "yolov5x.pt")
    torch.save(training_checkpoint(yolov5("yolov5s").train()), Path(folder) / "training.pt")


def sizes(path, weights, channels):
    channels = int(channels)
    count = round(int(weights) / (9 * channels**2))
    torch.save(nn.Sequential(*[nn.Conv2d(channels, channels, 3, bias=False) for _ in range(count)]), path)


if __name__ == "__main__":
    torch.manual_seed(0)
    {"memory": memory, "processes": processes, "sizes": sizes}[sys.argv[1]](*sys.argv[2:])
