"""Optimizers, sets, transforms and orders are torch's and torchvision's, at sizes that nobody chose."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import REHEARSE, succeeds
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import datasets, transforms

FASHION = Path("/usr/share/datasets/fashion-mnist")

RULES = {
    "SGD": [{}, {"momentum": 0.9, "weight_decay": 1e-3}, {"momentum": 0.937, "nesterov": True},
            {"momentum": 0.8, "dampening": 0.4, "maximize": True}],
    "Adam": [{}, {"weight_decay": 0.01, "amsgrad": True}, {"betas": (0.45, 0.9)}],
    "AdamW": [{}, {"weight_decay": 0.2, "amsgrad": True, "maximize": True}],
    "RMSprop": [{}, {"momentum": 0.9, "centered": True}, {"alpha": 0.3, "weight_decay": 0.1}],
}


@pytest.fixture
def exact_roots(monkeypatch):
    """MKL's square roots are not correctly rounded on every processor; NumPy's are."""
    def root(tensor):
        return torch.from_numpy(np.sqrt(tensor.detach().numpy()))

    monkeypatch.setattr(torch.Tensor, "sqrt", root)
    monkeypatch.setattr(torch.Tensor, "sqrt_", lambda tensor: tensor.copy_(root(tensor)))


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 17, 3), nn.Linear(301, 331), nn.BatchNorm1d(5))


def optimizer_of(model, rule, options):
    parameters = list(model.parameters())
    return getattr(torch.optim, rule)(
        [{"params": parameters[:3], "lr": 0.02}, {"params": parameters[3:], "weight_decay": 0.05}], lr=0.011, **options)


def gradients_of(model, steps, seed):
    generator = torch.Generator().manual_seed(seed)
    return [{name: torch.randn(p.shape, generator=generator) * 10.0 ** (step % 3 - 1)
             for name, p in model.named_parameters() if not (name == "1.bias" and step < steps)} for step in range(steps)]


def take(model, optimizer, gradients, clip=None):
    for gradient in gradients:
        for name, parameter in model.named_parameters():
            parameter.grad = gradient[name].clone() if name in gradient else None
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


def parameters_alone(model):
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def ours(tmp_path, model, optimizer, gradients, rule, *options):
    torch.save({"model": parameters_alone(model), "optimizer": optimizer.state_dict()}, tmp_path / "in.pt")
    save_file({f"{step}.{name}": g for step, gradient in enumerate(gradients) for name, g in gradient.items()},
              tmp_path / "gradients.safetensors")
    succeeds("optimize", tmp_path / "in.pt", tmp_path / "gradients.safetensors", tmp_path / "out.pt", rule, *options,
             program=REHEARSE)
    return torch.load(tmp_path / "out.pt", weights_only=True)


def same(a, b):
    assert type(a) is type(b) or (isinstance(a, (int, float)) and isinstance(b, (int, float)) and a == b), (a, b)
    if torch.is_tensor(a):
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize("rule, options", [(rule, options) for rule, variants in RULES.items() for options in variants])
def test_optimizer_goes_on_bit_for_bit(tmp_path, exact_roots, rule, options):
    model = net(1)
    optimizer = optimizer_of(model, rule, options)
    take(model, optimizer, gradients_of(model, 3, 5))
    middle = gradients_of(model, 4, 6)
    saved = ours(tmp_path, model, optimizer, middle, rule)
    take(model, optimizer, middle)
    same({name: p.detach() for name, p in model.named_parameters()}, dict(saved["model"]))
    state = optimizer.state_dict()
    # Options that stand in another group than they are named in keep that group's order in torch.
    for group, other in zip(state["param_groups"], saved["optimizer"]["param_groups"]):
        assert set(group) == set(other)
        same(group, {key: other[key] for key in group})
    same(state["state"], saved["optimizer"]["state"])
    # And torch goes on from ours.
    other_model = net(2)
    other_model.load_state_dict(saved["model"], strict=False)
    other = optimizer_of(other_model, rule, options)
    other.load_state_dict(saved["optimizer"])
    last = gradients_of(model, 2, 7)
    take(model, optimizer, last)
    take(other_model, other, last)
    same(parameters_alone(model), parameters_alone(other_model))


def test_optimizer_begins_bit_for_bit(tmp_path, exact_roots):
    for rule in RULES:
        model = net(3)
        optimizer = optimizer_of(model, rule, {})
        gradients = gradients_of(model, 3, 8)
        saved = ours(tmp_path, model, optimizer, gradients, rule)
        take(model, optimizer, gradients)
        same(parameters_alone(model), dict(saved["model"]))
        same(optimizer.state_dict()["state"], saved["optimizer"]["state"])


def test_clipping(tmp_path):
    model = net(4)
    optimizer = optimizer_of(model, "SGD", {"momentum": 0.9})
    gradients = gradients_of(model, 3, 9)
    saved = ours(tmp_path, model, optimizer, gradients, "SGD", 2.5)
    take(model, optimizer, gradients, clip=2.5)
    for name, parameter in model.named_parameters():
        # The norms differ in their last bits: torch adds squares in float32.
        torch.testing.assert_close(saved["model"][name], parameter.detach(), rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(3)
    for index, (height, width) in enumerate([(40, 61), (233, 150), (64, 64), (33, 300), (301, 34), (500, 375)]):
        (root / f"class{index % 3}").mkdir(exist_ok=True)
        noise = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        image = Image.fromarray(noise).resize((width, height), Image.BICUBIC)
        image.save(root / f"class{index % 3}" / f"{index}.png")
    Image.fromarray(rng.integers(0, 256, (50, 45), np.uint8)).save(root / "class1" / "grey.PNG")
    return root


@pytest.mark.parametrize("recipe, size", [("training", 32), ("training", 57), ("evaluation", 28), ("cifar", 36)])
@pytest.mark.parametrize("seed", [0, 11, 4711])
def test_transforms(tmp_path, folder, recipe, size, seed):
    names = {
        "training": [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()],
        "evaluation": [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)],
        "cifar": [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()],
    }
    transform = transforms.Compose(names[recipe])
    succeeds("transform", folder, tmp_path / "out.safetensors", recipe, size, seed, program=REHEARSE)
    results = load_file(tmp_path / "out.safetensors")
    samples = datasets.ImageFolder(folder).samples
    assert len(results) == 2 * len(samples)
    for index, (path, _) in enumerate(samples):
        torch.manual_seed(seed)
        expected = np.asarray(transform(datasets.folder.pil_loader(path)))
        # What the transforms drew is what torch drew: its next number is ours.
        drawn = int(torch.randint(0, 1 << 27, (1,)))
        assert int(results[f"{index}.next"]) % (1 << 27) == drawn, path
        result = results[str(index)].numpy()
        assert result.shape == expected.shape
        # Pillow 13 resizes some pictures down before across, and rounds in between.
        assert np.abs(result.astype(int) - expected).max() <= 1, path


def test_image_folder(tmp_path, folder):
    succeeds("set", folder, tmp_path / "out.safetensors", program=REHEARSE)
    results = load_file(tmp_path / "out.safetensors")
    expected = datasets.ImageFolder(folder)
    assert results["training.labels"].tolist() == expected.targets
    for index, (picture, _) in enumerate(expected):
        assert np.array_equal(results[f"training.{index}"].numpy(), np.asarray(picture))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpy(tmp_path, save):
    rng = np.random.default_rng(5)
    pictures, labels = rng.integers(0, 256, (30, 9, 11, 3), np.uint8), np.arange(30) % 7
    save(tmp_path / "set.npz", x_train=pictures, y_train=labels, x_test=pictures[:7], y_test=labels[:7, None].astype(np.uint8))
    succeeds("set", tmp_path / "set.npz", tmp_path / "out.safetensors", program=REHEARSE)
    results = load_file(tmp_path / "out.safetensors")
    assert results["training.labels"].tolist() == labels.tolist()
    assert results["validation.labels"].tolist() == labels[:7].tolist()
    assert all(np.array_equal(results[f"training.{i}"].numpy(), pictures[i]) for i in range(30))


@pytest.mark.skipif(not FASHION.exists(), reason="needs the package dataset-fashion-mnist")
def test_fashion_mnist(tmp_path):
    import gzip

    succeeds("set", FASHION, tmp_path / "out.safetensors", program=REHEARSE)
    results = load_file(tmp_path / "out.safetensors")
    for ours, theirs in (("training", "train"), ("validation", "t10k")):
        labels = np.frombuffer(gzip.decompress((FASHION / f"{theirs}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
        pixels = np.frombuffer(gzip.decompress((FASHION / f"{theirs}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
        assert np.array_equal(results[f"{ours}.labels"].numpy(), labels)
        for index, picture in enumerate(pixels.reshape(-1, 28, 28)[:100]):
            assert np.array_equal(results[f"{ours}.{index}"].numpy()[..., 0], picture)
