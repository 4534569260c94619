"""The fastest forward passes of PyTorch in both layouts and of ONNX Runtime, as one JSON object of seconds.

    python engine_peers.py FOLDER NAME SIZE BATCH THREADS RUNS
"""

import copy
import json
import sys
import time
from pathlib import Path

import onnxruntime
import torch


def fastest(body, runs):
    times = []
    for run in range(runs + 2):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return min(times[2:])


@torch.no_grad()
def main(folder, name, size, batch, threads, runs):
    torch.set_num_threads(threads)
    model = torch.load(folder / f"{name}-fused.pt", weights_only=False).eval()
    x = torch.rand(batch, 3, size, size)
    last = copy.deepcopy(model)
    for parameter in last.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    x_last = x.contiguous(memory_format=torch.channels_last)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(folder / f"{name}-{batch}.onnx", settings, providers=["CPUExecutionProvider"])
    pixels = {"images": x.numpy()}
    print(json.dumps({
        "PyTorch NCHW": fastest(lambda: model(x), runs),
        "PyTorch channels_last": fastest(lambda: last(x_last), runs),
        "ONNX Runtime": fastest(lambda: session.run(None, pixels), runs),
    }))  # fmt: skip


main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
