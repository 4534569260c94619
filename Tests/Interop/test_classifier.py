"""classifier against torchvision: weights from torch.hub's cache and from files, the last layer's values, refusals."""

import hashlib

import pytest
import torch
import torchvision
from helpers import assert_same_tensors, fails, load, report, same_bits, succeeds
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model_weights, list_models

CLASSES = 7
FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_32",
]


def head_of(model):
    """(path, module) of the last layer."""
    return [(n, m) for n, m in model.named_modules() if type(m) in (nn.Linear, nn.Conv2d)][-1]


def with_head(model, classes, fill):
    """The model with a last layer like the old one for `classes` classes."""
    path, old = head_of(model)
    if type(old) is nn.Linear:
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    else:
        new = nn.Conv2d(old.in_channels, classes, old.kernel_size)
    if fill == "zero":
        for parameter in new.parameters():
            nn.init.zeros_(parameter)
    model.set_submodule(path, new)
    return model


def build(name):
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(weights=None, **extra)
    for n, b in model.named_buffers():
        if b.is_floating_point():
            b.uniform_(0.5, 1.5)
        elif n.endswith("num_batches_tracked"):
            b.fill_(17)
    return model


def in_cache(folder, name, state, stem=None):
    """Saves a state dict as torch.hub keeps it, its hash in its name."""
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    torch.save(state, checkpoints / "file")
    digest = hashlib.sha256((checkpoints / "file").read_bytes()).hexdigest()
    stem = stem or get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1].rsplit("-", 1)[0]
    return (checkpoints / "file").rename(checkpoints / f"{stem}-{digest[:8]}.pth")


@torch.no_grad()
def features(model, x):
    """What the last layer is given."""
    kept = []
    handle = head_of(model)[1].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].clone()))
    output = model.eval()(x)
    handle.remove()
    return kept[0], output


@pytest.mark.parametrize("name", FAMILIES)
def test_from_the_cache(tmp_path, name):
    model = build(name)
    path = in_cache(tmp_path, name, model.state_dict())
    out = tmp_path / "out.pt"
    answer = report("classifier", name, "--classes", CLASSES, "-o", out, environment={"TORCH_HOME": tmp_path})
    assert answer["weights"] == str(path) and answer["output"] == str(out)
    size = 224 if name.startswith(("maxvit", "vit")) else 128
    x = torch.rand(2, 3, size, size)
    expected, _ = features(model, x)
    with_head(model, CLASSES, "zero")
    assert answer["parameters"] == sum(p.numel() for p in model.parameters())
    assert answer["head"] == head_of(model)[0]
    state = torch.load(out, weights_only=True)
    assert list(state) == list(model.state_dict())
    assert_same_tensors(model.state_dict(), state)
    fresh = with_head(build(name), CLASSES, "zero")
    fresh.load_state_dict(state)
    actual, logits = features(fresh, x)
    assert same_bits(expected, actual)
    assert logits.shape == (2, CLASSES) and not logits.any()


@pytest.mark.parametrize("home", ["TORCH_HOME", "XDG_CACHE_HOME", "HOME"])
def test_where_the_cache_is(tmp_path, home):
    folder = {"TORCH_HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "torch", "HOME": tmp_path / ".cache" / "torch"}[home]
    path = in_cache(folder, "squeezenet1_1", build("squeezenet1_1").state_dict())
    environment = {"TORCH_HOME": "", "XDG_CACHE_HOME": ""} | {home: tmp_path}
    answer = report("classifier", "squeezenet1_1", "--classes", 3, environment=environment)
    assert answer["weights"] == str(path) and answer["output"] is None


def test_every_file_of_torchvision_is_found(tmp_path):
    """An empty file under each name: it is found, and its hash is wrong."""
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    names = 0
    for name in list_models(module=torchvision.models):
        result = report_of_random(name)
        if result is None:
            continue
        names += 1
        for weights in get_model_weights(name):
            file = checkpoints / weights.url.rsplit("/", 1)[-1]
            if "features" in file.name:
                continue
            file.touch()
            result = fails("classifier", name, "--classes", 3, environment={"TORCH_HOME": tmp_path}, naming=file)
            assert "SHA-256 begins with e3b0c442" in result.err
            file.unlink()
    assert names == 80


def report_of_random(name):
    """Whether the architecture is built in: asked with an empty cache, it is the weights that are missing."""
    result = fails("classifier", name, "--classes", 3, environment={"TORCH_HOME": "/nonexistent"})
    return result if "no pretrained weights" in result.err else None


def test_which_of_several(tmp_path):
    """What pretrained=True stands for, then newer ones, then ones that torchvision no longer names."""
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    weights = torchvision.models.ResNet50_Weights
    files = [w.url.rsplit("/", 1)[-1] for w in (weights.IMAGENET1K_V1, weights.IMAGENET1K_V2)] + ["resnet50-19c8e357.pth"]
    for file in reversed(files):
        (checkpoints / file).touch()
        fails("classifier", "resnet50", "--classes", 3, environment={"TORCH_HOME": tmp_path}, naming=file)


@pytest.mark.parametrize("form", ["state", "module", "wrapped", "nested", "half", "safetensors", "classes", "uncounted"])
def test_files(tmp_path, form):
    model = build("resnet18")
    expected = with_head(build("resnet18"), CLASSES, "zero")
    if form == "classes":
        model = torchvision.models.resnet18(num_classes=3)
    if form == "half":
        model.half()
    state = model.state_dict()
    if form == "uncounted":
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    kept = {k: v.float() if v.is_floating_point() else v for k, v in state.items() if not k.startswith("fc.")}
    if form == "uncounted":
        kept |= {k: torch.tensor(0) for k in expected.state_dict() if k.endswith("num_batches_tracked")}
    path = tmp_path / ("in.safetensors" if form == "safetensors" else "in.pt")
    if form == "safetensors":
        save_file(state, path)
    elif form == "module":
        torch.save(model, path)
    elif form == "wrapped":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, path)
    elif form == "nested":
        torch.save({"model": nn.DataParallel(model), "optimizer": None}, path)
    else:
        torch.save(state, path)
    out = tmp_path / "out.safetensors"
    report("classifier", "resnet18", "--classes", CLASSES, "--weights", path, "-o", out)
    report("convert", out, "-o", tmp_path / "out.pt")
    ours = torch.load(tmp_path / "out.pt", weights_only=True)
    assert set(ours) == set(expected.state_dict())
    assert_same_tensors(kept, {k: v for k, v in ours.items() if not k.startswith("fc.")})
    assert ours["fc.weight"].shape == (CLASSES, 512) and not ours["fc.weight"].any() and not ours["fc.bias"].any()


@pytest.mark.parametrize("seed", [0, 12345])
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "vgg11_bn"])
def test_drawn_head(tmp_path, name, seed):
    """After torch.manual_seed: the layer's constructor alone, or all of the model's and then the layer's."""
    model = build(name)
    path = in_cache(tmp_path, name, model.state_dict())
    options = ["--classes", CLASSES, "--head", "init", "--seed", seed]
    out = tmp_path / "out.pt"
    report("classifier", name, *options, "-o", out, environment={"TORCH_HOME": tmp_path})
    torch.manual_seed(seed)
    assert_same_tensors(with_head(model, CLASSES, "init").state_dict(), torch.load(out, weights_only=True))
    report("classifier", name, *options, "--weights", "none", "-o", out, "--force")
    torch.manual_seed(seed)
    random = with_head(getattr(torchvision.models, name)(), CLASSES, "init")
    assert_same_tensors(random.state_dict(), torch.load(out, weights_only=True))


def older_densenet(name):
    """As torchvision's own DenseNet files spell it."""
    for part in ("norm1", "norm2", "conv1", "conv2"):
        if "denselayer" in name:
            name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
    return name


def test_older_densenet(tmp_path):
    model = build("densenet121")
    state = {older_densenet(k): v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    in_cache(tmp_path, "densenet121", state)
    out = tmp_path / "out.pt"
    report("classifier", "densenet121", "--classes", CLASSES, "-o", out, environment={"TORCH_HOME": tmp_path})
    ours = torch.load(out, weights_only=True)
    for name, tensor in with_head(model, CLASSES, "zero").state_dict().items():
        assert same_bits(ours[name], torch.tensor(0) if name.endswith("tracked") else tensor), name


@pytest.mark.parametrize("has_auxiliaries", [True, False])
@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("googlenet", "aux1 and aux2 keep their weights, for 1000 classes"),
        ("inception_v3", "AuxLogits keeps its weights, for 1000 classes"),
    ],
)
def test_auxiliary_classifiers(tmp_path, name, note, has_auxiliaries):
    model = torchvision.models.get_model(name, aux_logits=has_auxiliaries, init_weights=True)
    in_cache(tmp_path, name, model.state_dict())
    out = tmp_path / "out.pt"
    result = succeeds("classifier", name, "--classes", CLASSES, "-o", out, environment={"TORCH_HOME": tmp_path})
    assert (note in result.err) == has_auxiliaries
    model.fc = nn.Linear(model.fc.in_features, CLASSES)
    nn.init.zeros_(model.fc.weight)
    nn.init.zeros_(model.fc.bias)
    assert_same_tensors(model.state_dict(), torch.load(out, weights_only=True))


def test_refusals(tmp_path):
    state = build("resnet18").state_dict()
    out = tmp_path / "out.pt"

    def refuses(state, *words, name="resnet18"):
        torch.save(state, tmp_path / "in.pt")
        arguments = ("classifier", name, "--classes", 3, "--weights", tmp_path / "in.pt", "-o", out)
        result = fails(*arguments, naming=tmp_path / "in.pt")
        assert all(word in result.err for word in words), result.err
        assert not out.exists()

    refuses(state, "resnet34", name="resnet34")
    refuses(state, "resnet50", name="resnet50")
    refuses(state | {"extra": torch.ones(2)}, "extra: resnet18 has no such entry")
    refuses({k: v for k, v in state.items() if k != "bn1.bias"}, "bn1.bias: resnet18 has this entry")
    refuses(state | {"bn1.bias": torch.ones(2)}, "bn1.bias: does not fit resnet18: shape [2] against [64]")
    refuses(state | {"fc.weight": torch.ones(10, 511)}, "fc.weight")
    assert "no pretrained weights" in fails("classifier", "resnet18", "--classes", 3, environment={"TORCH_HOME": tmp_path}).err
    assert "--weights" in fails("classifier", "resnet18", "--classes", 3, environment={"TORCH_HOME": tmp_path}).err


def test_whole_module_is_not_run(tmp_path):
    """A file of whole modules gives its tensors; its own head may be any class of the same name."""
    model = build("squeezenet1_1")
    torch.save(model, tmp_path / "in.pt")
    report("classifier", "squeezenet1_1", "--classes", 2, "--weights", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert_same_tensors(with_head(model, 2, "zero").state_dict(), load(tmp_path / "out.pt"))
