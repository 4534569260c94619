"""Counts and tables: what Python counts, and the first line in YOLOv5's words."""

from pathlib import Path

import custom_nets
import nets
import pytest
import timm
import torch
import torchvision
from helpers import FIXTURES, report, succeeds
from safetensors.torch import save_file
from torch import nn


def yolov5(name, folder=""):
    models = nets.import_yolov5().models
    models.common.Conv.default_act = nn.SiLU()
    yolo = models.yolo
    return yolo.DetectionModel(Path(yolo.__file__).parent / folder / f"{name}.yaml")


def ultralytics(name):
    import ultralytics

    return ultralytics.YOLO(f"{name}.yaml", verbose=False).model


MODELS = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "resnet50": lambda: torchvision.models.resnet50(num_classes=10),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(num_classes=10),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(num_classes=10),
    "efficientnet_b0": lambda: torchvision.models.efficientnet_b0(num_classes=10),
    "densenet121": lambda: torchvision.models.densenet121(num_classes=10),
    "vit": lambda: torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=10),
    "swin_t": lambda: torchvision.models.swin_t(num_classes=10),
    "convnext": lambda: timm.create_model("convnext_atto", num_classes=10),
    "yolov5n": lambda: yolov5("yolov5n"),
    "yolov5s": lambda: yolov5("yolov5s"),
    "yolov5n6": lambda: yolov5("yolov5n6", "hub"),
    "yolov5n-seg": lambda: yolov5("yolov5n-seg", "segment"),
    "yolov8n": lambda: ultralytics("yolov8n"),
    "yolo11n": lambda: ultralytics("yolo11n"),
    "conv_shared": custom_nets.ConvShared,
    "weight_shared": custom_nets.WeightShared,
    "block_shared": custom_nets.BlockShared,
    "tied": lambda: nn.ModuleDict(dict(a=(e := nn.Embedding(5, 4)), b=nn.Linear(4, 5), c=e)),
    "lstm": lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True),
    "attention": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2),
    "empty": nn.Identity,
    "no_parameters": lambda: nn.Sequential(nn.ReLU(), nn.Sequential()),
}


def counted(model):
    parameters = list(model.parameters())
    return {
        "layers": len(list(model.modules())),
        "parameters": sum(p.numel() for p in parameters),
        "gradients": sum(p.numel() for p in parameters if p.requires_grad),
    }


def line(n):
    return f"Model Summary: {n['layers']} layers, {n['parameters']} parameters, {n['gradients']} gradients"


def table(model):
    """torch_utils' per-parameter table."""
    rows = ["%5s %40s %9s %12s %20s %10s %10s" % ("layer", "name", "gradient", "parameters", "shape", "mu", "sigma")]
    for i, (name, p) in enumerate(model.named_parameters()):
        name = name.replace("module_list.", "")
        rows.append(
            "%5g %40s %9s %12g %20s %10.3g %10.3g"
            % (i, name, p.requires_grad, p.numel(), list(p.shape), p.mean(), p.std())
        )
    return rows


def first_line_is(text, expected):
    """Exactly the line, or the line followed by FLOPs."""
    first = text.splitlines()[0]
    assert first == expected or (first.startswith(expected + ", ") and first.endswith(" GFLOPs")), first


@pytest.mark.parametrize("name", MODELS)
def test_counts(name, tmp_path):
    """layers by identity, parameters by identity, gradients, buffers: Python's figures."""
    model = MODELS[name]()
    torch.save(model, tmp_path / "in.pt")
    n = counted(model)
    result = report("info", tmp_path / "in.pt")
    assert {k: result[k] for k in n} == n
    assert result["buffers"] == sum(b.numel() for b in model.buffers()) or result["buffers"] == len(
        list(model.buffers())
    )
    assert result["gflops"] is not None or result["gflopsReason"]
    first_line_is(succeeds("info", tmp_path / "in.pt").out, line(n))


def test_published_figures(tmp_path):
    """YOLOv5n: 214 layers and 1872157 parameters, fused 157 and 1867405."""
    model = yolov5("yolov5n").eval()
    torch.save(model, tmp_path / "in.pt")
    first_line_is(
        succeeds("info", tmp_path / "in.pt").out, "Model Summary: 214 layers, 1872157 parameters, 1872157 gradients"
    )
    torch.save(nets.yolov5_fused(model), tmp_path / "fused.pt")
    n = report("info", tmp_path / "fused.pt")
    assert (n["layers"], n["parameters"]) == (157, 1867405)


def test_frozen_parameters(tmp_path):
    model = MODELS["resnet18"]()
    for p in model.layer1.parameters():
        p.requires_grad_(False)
    torch.save(model, tmp_path / "in.pt")
    first_line_is(succeeds("info", tmp_path / "in.pt").out, line(counted(model)))


def test_the_average_of_a_checkpoint():
    """A training checkpoint: its average is spoken of, and it requires no gradients."""
    path = FIXTURES / "training_checkpoint.pt"
    nets.import_yolov5()
    ema = torch.load(path, weights_only=False)["ema"]
    n = counted(ema)
    assert n["gradients"] == 0
    first_line_is(succeeds("info", path).out, line(n))


def test_legacy_whole_module(tmp_path):
    model = MODELS["resnet18"]()
    torch.save(model, tmp_path / "in.pt", _use_new_zipfile_serialization=False)
    first_line_is(succeeds("info", tmp_path / "in.pt").out, line(counted(model)))


def small():
    torch.manual_seed(8)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(1000, 1300))
    )
    net.module_list = nn.ModuleList([nn.Linear(3, 3)])
    nets.lively(net, 8)
    with torch.no_grad():
        net[0].weight.mul_(1e-6).add_(1e-5)
        net[0].bias.mul_(1e9)
        net[2][0].weight[0, 0] = float("nan")
        net.module_list[0].weight.fill_(0.1)
    net[1].requires_grad_(False)
    return net


@pytest.mark.parametrize(
    "model", [small, MODELS["resnet18"], lambda: nets.yolov5_tiny().float(), lambda: nets.yolov5_tiny().half()]
)
def test_detailed_table(model, tmp_path):
    """--detailed adds the table: the text is torch_utils', mu and sigma to within a unit of the last printed digit."""
    model = model()
    torch.save(model, tmp_path / "in.pt")
    lines = succeeds("info", tmp_path / "in.pt", "--detailed").out.splitlines()
    expected = table(model.float())
    start = lines.index(expected[0])
    for theirs, ours in zip(expected[1:], lines[start + 1 :], strict=False):
        head = len(theirs) - 22
        assert ours[: len("%5g %40s %9s %12g" % (0, "", "", 0))] == theirs[: len("%5g %40s %9s %12g" % (0, "", "", 0))]
        if ours != theirs:
            assert ours[:head] == theirs[:head]
            for a, b in zip(ours[head:].split(), theirs[head:].split(), strict=True):
                x, y = float(a), float(b)
                assert x == y or abs(x - y) <= 0.011 * abs(y) or abs(x - y) < 1e-7, (ours, theirs)


def test_single_element_parameter(tmp_path):
    """The standard deviation of one value is nan, as torch prints it."""
    torch.save(nn.Sequential(nn.PReLU()), tmp_path / "in.pt")
    assert table(nn.Sequential(nn.PReLU()))[1] in succeeds("info", tmp_path / "in.pt", "--detailed").out.splitlines()


@pytest.mark.parametrize("extension", ["pth", "safetensors"])
def test_bare_state_dict(extension, tmp_path):
    """parameters: floating entries but running statistics; layers: distinct module paths, root included."""
    model = timm.create_model("hrnet_w18_small", num_classes=10)
    state = {f"trunk.{k}": v.contiguous() for k, v in model.state_dict().items()}
    path = tmp_path / f"in.{extension}"
    save_file(state, path) if extension == "safetensors" else torch.save(state, path)
    parameters = sum(
        v.numel()
        for k, v in state.items()
        if v.is_floating_point() and not k.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    paths = {""}
    for key in state:
        parts = key.split(".")[:-1]
        paths.update(".".join(parts[: i + 1]) for i in range(len(parts)))
    n = {"layers": len(paths), "parameters": parameters, "gradients": parameters}
    result = report("info", path)
    assert {k: result[k] for k in n} == n
    first_line_is(succeeds("info", path).out, line(n))


def test_modules_table(tmp_path):
    """--modules lists every module once, by name and type."""
    model = MODELS["resnet18"]()
    torch.save(model, tmp_path / "in.pt")
    text = succeeds("info", tmp_path / "in.pt", "--modules").out
    for name, m in model.named_modules():
        if name:
            assert any(name in row and type(m).__name__ in row for row in text.splitlines()), name
    modules = report("info", tmp_path / "in.pt", "--modules")["modules"]
    assert [m["name"] for m in modules if m["name"]] == [n for n, _ in model.named_modules() if n]


def test_default_model_is_used_when_none_is_named():
    """Without MODEL YOLOv5n is built, and a note on stderr says so."""
    result = succeeds("info")
    assert result.err.strip()
    first_line_is(result.out, line(counted(yolov5("yolov5n"))))


def test_conv1d_linear_only_state_dict(tmp_path):
    torch.save(nn.Linear(3, 4).state_dict(), tmp_path / "in.pth")
    result = report("info", tmp_path / "in.pth")
    assert (result["layers"], result["parameters"]) == (1, 16)


def test_averages_of_mmcvs_hook(tmp_path):
    """Buffers of the model's own names with underscores; a name of its own that begins alike stays a parameter."""
    net = nn.ModuleDict({"backbone": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), "ema_head": nn.Linear(2, 2)})
    parameters = sum(p.numel() for p in net.parameters())
    state = net.state_dict()
    state |= {"ema_" + name.replace(".", "_"): tensor.clone() for name, tensor in list(state.items())}
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "in.pth")
    result = report("info", tmp_path / "in.pth")
    assert result["parameters"] == parameters
    assert result["buffers"] == sum(t.numel() for t in state.values()) - parameters
