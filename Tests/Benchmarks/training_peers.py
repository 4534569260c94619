"""Steps of training by PyTorch.

    python training_peers.py make NAME SIZE BATCH MODEL.pt INPUTS.safetensors
    python training_peers.py work NAME SIZE BATCH THREADS
    python training_peers.py steps NAME SIZE BATCH THREADS LAYOUT

`steps` prints the seconds of each step; `work` the operations of one and the processor's rate, as JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch
from products import rate
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode


def network(name):
    torch.manual_seed(0)
    if name == "resnet18":
        import torchvision

        return torchvision.models.resnet18().train()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Fixtures"))
    import nets

    yolov5 = nets.import_yolov5().models.yolo
    return yolov5.DetectionModel(Path(yolov5.__file__).parent / f"{name}.yaml").train()


def pixels(size, batch):
    return torch.rand(int(batch), 3, int(size), int(size))


def backward(model, x):
    outputs = model(x)
    sum(t.square().mean() for t in (outputs if isinstance(outputs, (list, tuple)) else [outputs])).backward()


def make(name, size, batch, model, inputs):
    torch.save(network(name), model)
    save_file({"input.0": pixels(size, batch)}, inputs)


def work(name, size, batch, threads):
    torch.set_num_threads(int(threads))
    with FlopCounterMode(display=False) as counter:
        backward(network(name), pixels(size, batch))
    print(json.dumps({"operations": counter.get_total_flops(), "rate": rate(10)}))


def steps(name, size, batch, threads, layout):
    torch.set_num_threads(int(threads))
    model, x = network(name), pixels(size, batch)
    if layout == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    for _ in range(10):
        start = time.perf_counter()
        optimizer.zero_grad()
        backward(model, x)
        optimizer.step()
        print(time.perf_counter() - start)


if __name__ == "__main__":
    {"make": make, "work": work, "steps": steps}[sys.argv[1]](*sys.argv[2:])
