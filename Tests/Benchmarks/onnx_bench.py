"""ONNX files: whole processes, ours and the peers' in turns, in one run. See README.md in Tests/Interop for the environment."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MUTILS = os.environ.get("MUTILS", str(REPOSITORY / ".build/release/mutils"))

MAKE = """
import sys, torch, torchvision
torch.manual_seed(0)
net = torchvision.models.resnet50().eval()
for module in net.modules():
    if hasattr(module, "running_var"):
        module.running_mean.normal_(0, 0.3), module.running_var.uniform_(0.5, 2)
torch.onnx.export(net, torch.rand(1, 3, 224, 224), sys.argv[1], dynamo=False, opset_version=17,
                  training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
"""
LARGE = """
import sys, numpy as np, onnx
from onnx import TensorProto, external_data_helper, helper
nodes, weights, size, count = [], [], 20_000_000, 30
for index in range(count):
    nodes.append(helper.make_node("Mul", [f"v{index}", f"w{index}"], [f"v{index + 1}"], name=f"node{index}"))
    item = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[size], data_location=TensorProto.EXTERNAL)
    for key, value in dict(location="large.data", offset=str(index * size * 4), length=str(size * 4)).items():
        item.external_data.add(key=key, value=value)
    weights.append(item)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [size])
graph = helper.make_graph(nodes, "large", [value("v0")], [value(f"v{count}")], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1] + "/large.onnx")
with open(sys.argv[1] + "/large.data", "wb") as file:
    file.truncate(count * size * 4)
"""
OPTIMIZER = """
import sys, onnx, onnxoptimizer
onnx.save(onnxoptimizer.optimize(onnx.load(sys.argv[1]), ["fuse_bn_into_conv"]), sys.argv[2])
"""
SLIM = "import sys, onnxslim; onnxslim.slim(sys.argv[1], sys.argv[2])"
SIM = "import sys, onnx, onnxsim; onnx.save(onnxsim.simplify(onnx.load(sys.argv[1]))[0], sys.argv[2])"
LOAD = "import sys, onnx; model = onnx.load(sys.argv[1]); print(sum(len(item.raw_data) for item in model.graph.initializer))"
YOLO = """
import sys, torch
from ultralytics.nn.tasks import DetectionModel  # noqa: F401
from yolov5.models.yolo import Detect, Model
model = torch.load(sys.argv[1], weights_only=False)["model"].float().fuse().eval()
for module in model.modules():
    if isinstance(module, Detect):
        module.inplace, module.dynamic, module.export = False, False, True
torch.onnx.export(model, torch.zeros(1, 3, 640, 640), sys.argv[2], opset_version=17, do_constant_folding=True, dynamo=False,
                  input_names=["images"], output_names=["output0"])
"""


def run(command):
    """Seconds and peak megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        sys.exit(f"{' '.join(map(str, command))}\n{error.decode()}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def python(code, *arguments):
    return [sys.executable, "-c", code, *arguments]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(python(MAKE, folder / "resnet50.onnx"))
        run(python(LARGE, folder))
        run([MUTILS, "init", "yolov5s", "--whole-module", "-o", folder / "yolov5s.pt"])
        rows = {
            "start-up": {"mutils --version": [MUTILS, "--version"]},
            "fuse ResNet-50 with its batch norms (102 MB)": {
                "mutils": [MUTILS, "fuse", folder / "resnet50.onnx", "-o", folder / "out.onnx", "--force"],
                f"onnxoptimizer {version('onnxoptimizer')}": python(OPTIMIZER, folder / "resnet50.onnx", folder / "o.onnx"),
                f"onnxslim {version('onnxslim')}": python(SLIM, folder / "resnet50.onnx", folder / "s.onnx"),
                f"onnxsim {version('onnxsim')}": python(SIM, folder / "resnet50.onnx", folder / "m.onnx"),
                "cp (floor)": ["cp", folder / "resnet50.onnx", folder / "c.onnx"],
            },
            "info of it": {
                "mutils": [MUTILS, "info", folder / "resnet50.onnx"],
                f"onnx {version('onnx')}, loading alone": python(LOAD, folder / "resnet50.onnx"),
            },
            "info of 2.4 GB beside the model": {"mutils": [MUTILS, "info", folder / "large.onnx"]},
            "export YOLOv5s": {
                "mutils": [MUTILS, "convert", folder / "yolov5s.pt", "-o", folder / "y.onnx", "--force"],
                f"torch.onnx.export {version('torch')}": python(YOLO, folder / "yolov5s.pt", folder / "t.onnx"),
            },
        }
        results = []
        for row, commands in rows.items():
            measured = {label: [] for label in commands}
            peaks = {}
            for _ in range(options.rounds):
                for label, command in commands.items():
                    seconds, peaks[label] = run(command)
                    measured[label].append(seconds)
            ours = statistics.median(next(iter(measured.values())))
            for label, seconds in measured.items():
                middle = statistics.median(seconds)
                results.append({"row": row, "program": label, "ms": middle * 1e3, "ratio": middle / ours, "peakMB": peaks[label]})
    if options.json:
        print(json.dumps(results, indent=1))
        return
    for result in results:
        print(f"{result['row']:46} {result['program']:34} {result['ms']:9.1f} ms  {result['ratio']:7.1f}  {result['peakMB']:7.0f} MB")


if __name__ == "__main__":
    main()
