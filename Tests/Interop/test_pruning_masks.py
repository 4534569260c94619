"""Models saved between torch.nn.utils.prune and its remove: masks are applied as PyTorch composes them."""

import copy

import custom_nets
import nets
import pytest
import torch
import torch.nn.utils.prune as P
import torchvision
from helpers import assert_same_outputs, assert_same_tensors, fails, load, mutils, outputs, report, reported_pairs, same_bits
from torch import nn


class Threshold(P.BasePruningMethod):
    """A method of a user's own."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask * (t.abs() > 0.1)


def net():
    torch.manual_seed(5)
    return nets.lively(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(6 * 25, 4)), 5).eval()


def masked(kind="l1"):
    model = net()
    if kind == "own":
        Threshold.apply(model[0], "weight")
        return model
    P.l1_unstructured(model[0], "weight", 0.4)
    if kind == "twice":
        P.random_unstructured(model[0], "weight", 0.2)
        P.ln_structured(model[3], "weight", 0.34, n=2, dim=0)
    if kind == "all":
        P.l1_unstructured(model[0], "bias", 3)
        P.random_structured(model[3], "weight", 2, dim=0)
        P.l1_unstructured(model[5], "weight", 0.5)
    return model


def removed(model):
    """The model after PyTorch's own remove of every mask."""
    for module in model.modules():
        for name in ("weight", "bias"):
            if hasattr(module, f"{name}_orig"):
                P.remove(module, name)
    return model


def plain(state):
    """Zeros of either sign are one."""
    return {k: v + 0 for k, v in state.items()}


KINDS = ["l1", "twice", "all", "own"]
METHODS = {
    "l1": ((), lambda convs: [P.l1_unstructured(c, "weight", 0.3) for c in convs]),
    "count": (("--amount", "20"), lambda convs: [P.l1_unstructured(c, "weight", 20) for c in convs]),
    "global": (("--method", "global"), lambda convs: P.global_unstructured([(c, "weight") for c in convs], P.L1Unstructured, amount=0.3)),
    "random": (("--method", "random", "--seed", "7"), lambda convs: (torch.manual_seed(7), [P.random_unstructured(c, "weight", 0.3) for c in convs])),
    "random slices": (("--method", "random", "--dim", "0", "--seed", "7"), lambda convs: (torch.manual_seed(7), [P.random_structured(c, "weight", 0.3, 0) for c in convs])),
    "ln": (("--method", "ln", "--dim", "0", "--norm", "1"), lambda convs: [P.ln_structured(c, "weight", 0.3, 1, 0) for c in convs]),
    "ln last": (("--method", "ln", "--dim", "-1"), lambda convs: [P.ln_structured(c, "weight", 0.3, 2, -1) for c in convs]),
    "nothing": (("--amount", "0"), lambda convs: None),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [True, False], ids=["module", "state dict"])
def test_prune_composes(kind, method, whole, tmp_path):
    model = masked(kind)
    torch.save(model if whole else model.state_dict(), tmp_path / "in.pt")
    arguments, original = METHODS[method]
    original([model[0], model[3]])
    expected = removed(model).state_dict()
    result = report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt", *arguments)
    out = load(tmp_path / "out.pt")
    assert_same_tensors(plain(expected), plain(out.state_dict() if whole else out))
    zeros = {layer["name"]: layer["zeros"] for layer in result["layers"]}
    assert zeros == {n: int((expected[n] == 0).sum()) for n in ("0.weight", "3.weight")} and result["refused"] == []
    total = sum(t.numel() for n, t in expected.items() if "running" not in n and "tracked" not in n)
    parameters = [t for n, t in expected.items() if "running" not in n and "tracked" not in n]
    assert result["sparsity"] == pytest.approx(sum(int((t == 0).sum()) for t in parameters) / total)
    if whole:
        assert_same_outputs(outputs(model, torch.ones(1, 3, 9, 9)), outputs(out, torch.ones(1, 3, 9, 9)))
        assert not any(m._forward_pre_hooks for m in out.modules())
        if method == "nothing":
            assert [n for n, _ in out.named_parameters()] == [n for n, _ in model.named_parameters()]


def test_yolov5_prune_composes(tmp_path):
    """What the finder's file gave: 86 of 216, then 0.3 of the rest."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1))
    P.l1_unstructured(model[0], "weight", 0.4)
    torch.save(model, tmp_path / "in.pt")
    result = report("prune", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    nets.import_yolov5()
    from yolov5.utils.torch_utils import prune

    prune(model, 0.3)
    assert_same_tensors(plain(model.state_dict()), plain(load(tmp_path / "out.pt").state_dict()))
    assert result["layers"][0] == {"name": "0.weight", "elements": 216, "zeros": 125}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [True, False], ids=["module", "state dict"])
def test_counts(kind, whole, tmp_path):
    """Parameters as PyTorch counts them for the module, zeros of what the masks leave."""
    model = masked(kind)
    torch.save(model if whole else model.state_dict(), tmp_path / "in.pt")
    info = report("info", tmp_path / "in.pt", "--image-size", "9")
    assert info["parameters"] == sum(p.numel() for p in model.parameters())
    assert info["buffers"] == sum(b.numel() for b in model.buffers())
    if whole:
        torch.save(removed(copy.deepcopy(net())), tmp_path / "plain.pt")
        assert info["gflops"] == report("info", tmp_path / "plain.pt", "--image-size", "9")["gflops"] is not None
    sparsity = report("sparsity", tmp_path / "in.pt")
    parameters = list(removed(model).parameters())
    assert sparsity["elements"] == sum(p.numel() for p in parameters)
    assert sparsity["zeros"] == sum(int((p == 0).sum()) for p in parameters)
    assert "0.weight" in [layer["name"] for layer in sparsity["layers"]]
    assert "masks" in mutils("sparsity", tmp_path / "in.pt").err


@pytest.mark.parametrize("kind", ["l1", "twice", "all"])
def test_fuse_says_what_to_do(kind, tmp_path):
    """Masks are left to whoever applies them; then the result is that of the plain model."""
    model = masked(kind)
    torch.save(model, tmp_path / "in.pt")
    torch.save(model.state_dict(), tmp_path / "in.pth")
    x = torch.rand(1, 3, 9, 9)
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert result["fused"] == [] and "pruning mask when it runs; apply the masks first: mutils prune --amount 0" in result["refused"][0]["reason"]
    fails("fuse", tmp_path / "in.pth", "--pair", "0=1", "--eps", "1e-5", "-o", tmp_path / "none.pth", naming="mutils prune --amount 0")
    for name in ("in.pt", "in.pth"):
        report("prune", tmp_path / name, "--amount", "0", "-o", tmp_path / f"plain-{name}")
    assert reported_pairs(report("fuse", tmp_path / "plain-in.pt", "-o", tmp_path / "fused.pt")) == {("0", "1")}
    report("fuse", tmp_path / "plain-in.pth", "--pair", "0=1", "--eps", "1e-5", "-o", tmp_path / "fused.pth")
    fused = load(tmp_path / "fused.pt")
    assert_same_outputs(outputs(model, x), outputs(fused, x))
    assert_same_tensors(fused.state_dict(), torch.load(tmp_path / "fused.pth", weights_only=True))


def test_intersect_says_what_to_do(tmp_path):
    model = masked("l1")
    torch.save(model.state_dict(), tmp_path / "in.pth")
    report("prune", tmp_path / "in.pth", "--amount", "0", "-o", tmp_path / "plain.pth")
    command = ("intersect", tmp_path / "in.pth", tmp_path / "plain.pth", "-o", tmp_path / "out.pth")
    assert "holds pruning masks; apply them first: mutils prune --amount 0" in mutils(*command).err
    assert "masks" not in mutils("intersect", tmp_path / "plain.pth", tmp_path / "plain.pth", "-o", tmp_path / "again.pth").err


def test_known_architecture(tmp_path):
    torch.manual_seed(6)
    model = nets.lively(torchvision.models.resnet18(), 6).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            P.l1_unstructured(module, "weight", 0.25)
    torch.save(model.state_dict(), tmp_path / "in.pth")
    assert report("info", tmp_path / "in.pth", "--image-size", "224")["gflops"] is not None
    fails("fuse", tmp_path / "in.pth", "-o", tmp_path / "out.safetensors", naming="masks of an earlier pruning; apply them first: mutils prune --amount 0")
    report("prune", tmp_path / "in.pth", "--amount", "0", "-o", tmp_path / "plain.pth")
    assert len(report("fuse", tmp_path / "plain.pth", "-o", tmp_path / "out.safetensors")["fused"]) == 20


def test_other_hooks_and_values(tmp_path):
    """What another hook does to a masked tensor is not known; a mask of halves is none."""
    model = masked()
    model[0].register_forward_pre_hook(custom_nets.double)
    torch.save(model, tmp_path / "hook.pt")
    result = report("prune", tmp_path / "hook.pt", "-o", tmp_path / "out.pt")
    assert [r["name"] for r in result["refused"]] == ["0.weight"] and [x["name"] for x in result["layers"]] == ["3.weight"]
    assert same_bits(load(tmp_path / "out.pt")[0].weight_orig, model[0].weight_orig)
    model = masked()
    model[0].weight_mask.mul_(0.5)
    torch.save(model, tmp_path / "half.pt")
    for command in ("prune", "sparsity"):
        arguments = ("-o", tmp_path / "none.pt") if command != "sparsity" else ()
        fails(command, tmp_path / "half.pt", *arguments, naming="0: its pruning mask has values other than 0 and 1")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(dtype, tmp_path):
    model = masked("all").to(dtype)
    torch.save(model, tmp_path / "in.pt")
    report("prune", tmp_path / "in.pt", "--amount", "0", "-o", tmp_path / "out.pt")
    assert_same_tensors(plain(removed(model).state_dict()), plain(load(tmp_path / "out.pt").state_dict()))


def computed(kind):
    torch.manual_seed(8)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6)).eval()
    apply = {
        "weight norm": nn.utils.weight_norm, "spectral norm": nn.utils.spectral_norm,
        "new weight norm": nn.utils.parametrizations.weight_norm, "new spectral norm": nn.utils.parametrizations.spectral_norm,
        "orthogonal": nn.utils.parametrizations.orthogonal,
    }[kind]
    apply(model[0])
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["weight norm", "spectral norm", "new weight norm", "new spectral norm", "orthogonal"])
def test_computed_weights_are_named(kind, tmp_path):
    model = computed(kind)
    cause = "parametrisation" if kind == "orthogonal" else kind.removeprefix("new ")
    torch.save(model.state_dict(), tmp_path / "in.pth")
    files = [tmp_path / "in.pth"]
    if not hasattr(model[0], "parametrizations"):
        torch.save(model, tmp_path / "in.pt")
        files.append(tmp_path / "in.pt")
    for path in files:
        result = report("prune", path, "-o", tmp_path / f"out{path.suffix}")
        assert result["refused"] == [{"name": "0.weight", "reason": f"is computed by {cause} when the model runs"}]
        assert [layer["name"] for layer in result["layers"]] == ["2.weight"]
        if kind != "orthogonal":  # its base is a buffer that looks like a weight
            assert report("info", path)["parameters"] == sum(p.numel() for p in model.parameters())
    fails("fuse", tmp_path / "in.pth", "--pair", "0=1", "--eps", "1e-5", "-o", tmp_path / "none.pth", naming=f"is computed by {cause}")
    if len(files) == 2:
        result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "fused.pt")
        assert reported_pairs(result) == {("2", "3")} and cause in result["refused"][0]["reason"]
        assert cause in fails("fuse", tmp_path / "in.pt", "--pair", "0=1", "-o", tmp_path / "none.pt").err


@pytest.mark.filterwarnings("ignore")
def test_computed_weights_without_a_norm_are_no_matter(tmp_path):
    """A pattern may name them where no batch norm goes with them."""
    model = nn.Sequential(computed("weight norm")[:1], nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4)))
    torch.save(model.state_dict(), tmp_path / "in.pth")
    result = report("fuse", tmp_path / "in.pth", "--pair", "*.0=*.1", "--eps", "1e-5", "-o", tmp_path / "out.pth")
    assert reported_pairs(result) == {("1.0", "1.1")}
