"""What the original tools count in a YOLO model, whose forward cannot be traced."""

import copy
from types import SimpleNamespace

import thop
import torch
from flops_judges import UltralyticsThop, hollow, serve
from helpers import CONVS, NORMS, report, tensors_in
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def abstract(model):
    """The model on the meta device, where it computes shapes alone; its strides, of which grids are made, stay real."""
    strides = [(module, vars(module).get("stride")) for module in model.modules()]
    strides = [(module, stride) for module, stride in strides if isinstance(stride, torch.Tensor)]
    model.to("meta")
    for module, stride in strides:
        module.stride = stride
    return model


@torch.no_grad()
def judged(model, x):
    """macs, by name inclusive of children; shapes of each module's first output; thop's operations; biases, the additions of
    the fused model's biases."""
    names = {module: name for name, module in model.named_modules()}
    shapes, own, unnormalized, biases = {}, {}, {}, 0

    def note(module, inputs, output):
        nonlocal biases
        output = tensors_in(output)[0]
        shapes[names[module]] = list(output.shape)
        if isinstance(module, (*CONVS, nn.Linear)):
            if module.bias is not None:
                biases += output.numel()
            else:
                unnormalized[id(output)] = output
        elif isinstance(module, NORMS) and unnormalized.pop(id(inputs[0]), None) is not None:
            biases += inputs[0].numel()

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with FlopCounterMode(display=False) as counter:
            model(x)
    finally:  # activations are shared by all models of a class
        for hook in hooks:
            hook.remove()
    root = type(model).__name__
    for name, flops in counter.get_flop_counts().items():
        if name != "Global":
            own[name.removeprefix(root).removeprefix(".")] = sum(flops.values()) // 2
    operations, _ = thop.profile(model, (x,), verbose=False)
    return SimpleNamespace(
        macs=counter.get_total_flops() // 2, macs_by_name=own, shapes=shapes, thop=operations, biases=biases
    )


def count(path, size, device, own):
    """What ultralytics-thop counts for the whole module in a file, and Ultralytics' own figure in GFLOPs."""
    from ultralytics.utils.torch_utils import get_flops

    model = torch.load(path, weights_only=False).eval()
    if device == "meta":
        abstract(model)
    operations, _ = thop.profile(model, (torch.zeros(1, 3, *size, device=device),), verbose=False)
    return operations, get_flops(model, size) if own else None


ultralytics_thop = UltralyticsThop(__file__)


def check_flops(model, size, path, device="meta", own=True, calling="?", judge=None):
    """Saves the model and compares `info` with every judge, to the last operation.

    The judge counts for a module what its forward calls, ours what is in it: the modules that end with `calling` call others.
    `judge` is the process that asks ultralytics-thop, where it is not this one. Gives the report and, where `own`, Ultralytics' own
    figure.
    """
    model.eval()
    torch.save(hollow(copy.deepcopy(model)), path)
    expected = judged(abstract(model) if device == "meta" else model, torch.zeros(1, 3, *size, device=device))
    result = report("info", path, "--image-size", f"{size[0]}x{size[1]}")
    assert result["gflops"], result.get("gflopsReason")
    assert result["layers"] == len(list(model.modules()))
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    counts = {convention: round(figure * 1e9) for convention, figure in result["gflops"].items()}
    rows = result["modules"]
    shapes = {row["name"]: row["outputShape"] for row in rows if row.get("outputShape")}
    for name, shape in expected.shapes.items():
        assert shapes.pop(name, None) == shape, name
    assert not shapes
    inclusive = {row["name"]: 0 for row in rows}
    for row in rows:
        parts = row["name"].split(".") if row["name"] else []
        for depth in range(len(parts) + 1):
            inclusive[".".join(parts[:depth])] += row.get("macs", 0)
    for name, macs in expected.macs_by_name.items():
        assert inclusive[name] == macs or name.endswith(calling), name
    assert counts["macs"] == expected.macs
    assert counts["thop"] == 2 * expected.thop
    assert counts["readme"] == 2 * (expected.macs + expected.biases)
    operations, gflops = (judge or ultralytics_thop).ask(str(path), size, device, own)()
    assert counts["ultralytics"] == 2 * operations
    return result, gflops


if __name__ == "__main__":
    import nets
    import yolov7_blocks  # noqa: F401  (its classes, and YOLOv6's, stand in files)
    import repvgg_nets  # noqa: F401
    import yolov6_lite  # noqa: F401
    import yolox_blocks  # noqa: F401

    nets.import_yolov5()
    serve(count)
