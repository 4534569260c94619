"""Networks that torch.fx has traced: their code is read, not run; counted, computed, fused, and written again."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from flops_judges import hollow, judged
from helpers import fails, report, succeeds
from hostile_checks import checked
from output_judges import TOLERANCE, error, interpreted
from test_check_evasions import runs
from torch import fx, nn
from torchvision.models.feature_extraction import create_feature_extractor

NAMES = """convnext_tiny densenet121 efficientnet_b0 googlenet mobilenet_v3_small regnet_x_400mf resnet18 shufflenet_v2_x0_5
    squeezenet1_1 vgg11""".split()


class Functions(nn.Module):
    """Functions, methods and operators between layers, a parameter and a buffer of the network itself."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.body = nn.ModuleList([nn.Conv2d(8, 8, 1), nn.Conv2d(16, 8, 3, padding=1)])
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.head = nn.Linear(8, 5)
        self.register_buffer("shift", torch.rand(8, 1, 1))

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        y = F.max_pool2d(self.body[0](x) * self.scale + self.shift, 2)
        y = F.interpolate(y, scale_factor=2.0, mode="nearest")
        x = F.leaky_relu(self.body[1](torch.cat([x, y], 1)), 0.2)
        a, b = torch.chunk(F.avg_pool2d(x, 3, 2, padding=1), 2, dim=1)
        x = torch.cat((torch.sigmoid(a) * b, a - b.clamp(min=0, max=1)), dim=1)
        x = F.pad(x, (1, 0, 2, 1)).permute(0, 2, 3, 1)[:, 1:, ::2].permute(0, 3, 1, 2)
        x = F.dropout(x, 0.3, training=False)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        x = x.view(x.size(0), -1) / 2 + x.flatten(1).unsqueeze(1).squeeze(1) ** 2
        return F.softmax(self.head(x), dim=-1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.out = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 48), nn.Linear(16, 16)
        self.weight, self.bias = nn.Parameter(torch.rand(16)), nn.Parameter(torch.rand(16))

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        b, n, c = x.shape
        q, k, v = self.qkv(F.layer_norm(x, (16,), self.weight, self.bias, 1e-6)).reshape(b, n, 3, 4, c // 4).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        scores = (q @ k.transpose(-2, -1)) * 0.5
        return x.mean(dim=1), torch.einsum("bhij,bhjd->bhid", scores.softmax(dim=-1), v)


def lively(model):
    """With statistics that are none of a fresh batch norm."""
    torch.manual_seed(1)
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def traced(name):
    extra = {"init_weights": False} if name == "googlenet" else {}
    return fx.symbolic_trace(lively(torchvision.models.get_model(name, **extra)))


@pytest.mark.parametrize("name", NAMES)
def test_torchvision(name, tmp_path):
    model = traced(name)
    torch.save(model, tmp_path / "in.pt")
    assert report("check", tmp_path / "in.pt")["verdict"] == "safe"
    info = report("info", tmp_path / "in.pt", "--image-size", "96")
    assert info["layers"] == len(list(model.modules()))
    assert info["parameters"] == sum(p.numel() for p in model.parameters())
    expected = judged(hollow(traced(name)).to("meta"), (96, 96))
    assert info["gflops"]["macs"] * 1e9 == pytest.approx(expected.macs, rel=1e-12)
    assert info["gflops"]["thop"] * 1e9 == pytest.approx(expected.thop * 2, rel=1e-12)


@pytest.mark.parametrize("make", [Functions, Attention])
def test_outputs(make, tmp_path):
    torch.manual_seed(0)
    model = fx.symbolic_trace(lively(make()))
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = model(x)
    ours = interpreted(model, x, tmp_path)
    for index, tensor in enumerate(expected if isinstance(expected, tuple) else (expected,)):
        assert error(tensor, ours[f"output.{index}"]) < TOLERANCE


def test_an_extractor_of_features(tmp_path):
    model = create_feature_extractor(lively(torchvision.models.resnet18()), {"layer2": "a", "layer4": "b"})
    torch.save(model, tmp_path / "in.pt")
    # It brings its graphs along, which name functions.
    assert checked(tmp_path / "in.pt") == "suspicious"
    # Its graphs lead back to it: what is written can be loaded all the same.
    succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    x = torch.rand(1, 3, 64, 64)
    expected, actual = model(x), torch.load(tmp_path / "out.pt", weights_only=False)(x)
    assert list(expected) == list(actual) and all(torch.equal(expected[k], actual[k]) for k in expected)
    result = report("info", tmp_path / "in.pt", "--image-size", "64")
    assert result["gflops"] and result["parameters"] == sum(p.numel() for p in model.parameters())


def test_an_extractor_that_asks_for_shapes(tmp_path):
    """Its code takes attributes with getattr, which its nodes note as an operation."""
    model = create_feature_extractor(lively(torchvision.models.vit_b_32()), {"heads": "a"})
    torch.save(model, tmp_path / "in.pt")
    assert checked(tmp_path / "in.pt") == "suspicious"
    whole = report("info", "vit_b_32", "--image-size", "224")
    result = report("info", tmp_path / "in.pt", "--image-size", "224")
    assert result["gflops"] == whole["gflops"] and result["parameters"] == whole["parameters"]
    report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert torch.load(tmp_path / "out.pt", weights_only=False)(torch.rand(1, 3, 224, 224))["a"].shape == (1, 1000)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_fuse_and_prune(name, tmp_path):
    """What is written is a GraphModule again, and computes what the original does."""
    model = traced(name)
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert len(result["fused"]) == sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) and not result["refused"]
    fused = torch.load(tmp_path / "out.pt", weights_only=False)
    assert type(fused) is not nn.Module and not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected, actual = model(x), fused(x)
    assert (expected - actual).abs().max() <= 1e-4 * expected.abs().max()
    report("prune", tmp_path / "in.pt", "--amount", "0.5", "-o", tmp_path / "pruned.pt")
    pruned = torch.load(tmp_path / "pruned.pt", weights_only=False)
    assert pruned.conv1.weight.eq(0).float().mean() == 0.5 if name == "resnet18" else pruned(x).shape == (2, 1000)


class Reads(nn.Module):
    """Takes a parameter of a layer that could be fused once more."""

    def __init__(self, kind):
        super().__init__()
        self.c, self.b, self.kind = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), kind

    def forward(self, x):
        y = self.b(self.c(x))
        match self.kind:
            case "the weight in a function":
                return y + F.conv2d(x, self.c.weight)
            case "the weight as an output":
                return y, self.c.weight
            case "the norm's weight":
                return y * self.b.weight.view(1, 8, 1, 1)
            case "the norm's mean":
                return y, self.b.running_mean
        return y


@pytest.mark.parametrize(
    "kind", ["the weight in a function", "the weight as an output", "the norm's weight", "the norm's mean", "none"]
)
def test_parameters_read_twice(kind, tmp_path):
    model = fx.symbolic_trace(lively(Reads(kind)))
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert len(result["fused"]) == (kind == "none")
    assert kind == "none" or result["refused"][0]["reason"] == "their weights are used by something else as well"
    x = torch.rand(1, 3, 9, 9)
    outputs = [m(x) for m in (model, torch.load(tmp_path / "out.pt", weights_only=False))]
    expected, actual = (o if isinstance(o, tuple) else (o,) for o in outputs)
    assert all((a - b).abs().max() < 1e-5 for a, b in zip(expected, actual, strict=True))


HOSTILE = {
    "a function that is none of tensors": "torch.hub.load('a', 'b')",
    "a function of files": "torch.save(x, 'MARK')",
    "a module's import": "torch.os.system('touch MARK')",
    "a method": "x.numpy().tofile('MARK')",
    "the network's method": "self.apply(x)",
    "a hidden name": "self.__class__.__base__.__subclasses__()",
    "a function's globals": "torch.relu.__globals__['os'].system('touch MARK')",
    "getattr of a name": "getattr(torch, 'os').system('touch MARK')",
    "the symbolic value's own": "x.node.graph.lint()",
    "what was computed": "x.relu()('touch MARK')",
    "a lambda": "(lambda: open('MARK', 'w'))()",
    "a comprehension": "[open('MARK', 'w') for _ in (0,)]",
    "a builtin": "open('MARK', 'w')",
    "a walrus": "(y := open('MARK', 'w'))",
    "a text with places": "f\"{open('MARK', 'w')}\"",
    "a default": None,
    "an annotation": None,
    "another statement": None,
    "a decorator": None,
    "an import": None,
    "an import of a function": None,
    "a name that hides a function": None,
}


def hostile_code(kind):
    body = "    return x\n"
    match kind:
        case "a default":
            return "def forward(self, x, y = open('MARK', 'w')):\n" + body, ""
        case "an annotation":
            return "def forward(self, x : open('MARK', 'w')):\n" + body, ""
        case "another statement":
            return "def forward(self, x):\n" + body + "\nopen('MARK', 'w')\n", ""
        case "a decorator":
            return "@print\ndef forward(self, x):\n" + body, ""
        case "an import":
            return "def forward(self, x):\n" + body, "import os; os.system('touch MARK')\nimport torch\n"
        case "an import of a function":
            return "def forward(self, x):\n    y = system('touch MARK');  x = None\n" + body, "from os import system\n"
        case "a name that hides a function":
            return "def forward(self, x):\n    y = relu('touch MARK')\n" + body, "from os import system as relu\n"
    return f"def forward(self, x):\n    y = {HOSTILE[kind]}\n{body}", "import torch\n"


class Traced:
    """Pickled as a GraphModule of a code of one's own."""

    def __init__(self, code, imports):
        self.code, self.imports = code, imports

    def __reduce__(self):
        state = dict(nn.Sequential(nn.Conv2d(3, 4, 3)).__dict__) | {"_code": self.code}
        return fx.graph_module.reduce_graph_module, (state, self.imports)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_code(kind, tmp_path):
    """Whether or not this Python gets as far as the mark, the verdict is the same, and nothing passes it on."""
    torch.save(Traced(*hostile_code(kind)), tmp_path / "in.pt")
    assert checked(tmp_path / "in.pt") == "dangerous"
    fails("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists() and not (tmp_path / "MARK").exists()
    # The tensors alone are safe to have.
    succeeds("convert", tmp_path / "in.pt", "-o", tmp_path / "out.safetensors")


def test_that_hostile_code_runs(tmp_path):
    """The judge: torch.load does run such code."""
    torch.save(Traced("def forward(self, x):\n    y = open('MARK', 'w')\n    return x\n", ""), tmp_path / "in.pt")
    assert runs(tmp_path / "in.pt", tmp_path)


def test_unknown_function(tmp_path):
    """It is named; the rest of the file is read all the same."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return torch.cumsum(self.conv(x), 1)

    torch.save(fx.symbolic_trace(Net()), tmp_path / "in.pt")
    result = report("info", tmp_path / "in.pt")
    assert result["parameters"] == 112 and result["gflops"] is None and "cumsum" in result["gflopsReason"]
    assert report("check", tmp_path / "in.pt")["verdict"] == "safe"
