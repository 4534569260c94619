"""What people run today on ONNX files, and the files.

    python onnx_peers.py make OUT            a ResNet-50 with its batch norms
    python onnx_peers.py make-large OUT      a model with 2.4 GB of weights beside it
    python onnx_peers.py load IN
    python onnx_peers.py onnxoptimizer IN OUT, onnxslim IN OUT, onnxsim IN OUT
    python onnx_peers.py export IN.pt OUT    a YOLOv5, fused

Each imports only what it needs.
"""

import sys
from pathlib import Path


def make(path):
    import torch
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.resnet50().eval()
    for module in net.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    mode = torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(net, torch.rand(1, 3, 224, 224), path, dynamo=False, opset_version=17, training=mode, do_constant_folding=False)


def make_large(path, size=20_000_000, count=30):
    import onnx
    from onnx import TensorProto, helper

    data = Path(path).with_suffix(".data")
    nodes, weights = [], []
    for index in range(count):
        nodes.append(helper.make_node("Mul", [f"v{index}", f"w{index}"], [f"v{index + 1}"], name=f"node{index}"))
        item = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[size], data_location=TensorProto.EXTERNAL)
        for key, value in dict(location=data.name, offset=str(index * size * 4), length=str(size * 4)).items():
            item.external_data.add(key=key, value=value)
        weights.append(item)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name in ("v0", f"v{count}")]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with open(data, "wb") as file:
        file.truncate(count * size * 4)


def load(path):
    import onnx

    print(sum(len(item.raw_data) for item in onnx.load(path).graph.initializer))


def optimizer(source, target):
    import onnx
    import onnxoptimizer

    onnx.save(onnxoptimizer.optimize(onnx.load(source), ["fuse_bn_into_conv"]), target)


def slim(source, target):
    import onnxslim

    onnxslim.slim(source, target)


def simplifier(source, target):
    import onnx
    import onnxsim

    onnx.save(onnxsim.simplify(onnx.load(source))[0], target)


def export(source, target):
    import torch
    from ultralytics.nn.tasks import DetectionModel  # noqa: F401
    from yolov5.models.yolo import Detect

    model = torch.load(source, weights_only=False)["model"].float().fuse().eval()
    for module in model.modules():
        if isinstance(module, Detect):
            module.inplace, module.dynamic, module.export = False, False, True
    torch.onnx.export(
        model, torch.zeros(1, 3, 640, 640), target, opset_version=17, do_constant_folding=True, dynamo=False,
        input_names=["images"], output_names=["output0"],
    )  # fmt: skip


COMMANDS = {
    "make": make, "make-large": make_large, "load": load, "onnxoptimizer": optimizer, "onnxslim": slim, "onnxsim": simplifier,
    "export": export,
}  # fmt: skip

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
