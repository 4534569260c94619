"""The fastest forward passes of PyTorch in both layouts and of ONNX Runtime, as one JSON object of seconds; with them the processor's rate.

    python engine_peers.py FOLDER NAME SIZE BATCH THREADS RUNS
"""

import copy
import json
import sys
from pathlib import Path

import onnxruntime
import torch
from products import fastest, rate


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
        "rate": rate(runs),
    }))  # fmt: skip


main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
