"""ema gives what the originals' averages give over the same checkpoints: float32 and float64 bit for bit."""

import copy
import json
import math

import nets
import pytest
import timm.utils
import torch
from helpers import fails, load, mutils, report, same_bits, succeeds
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

torch_utils = nets.import_yolov5().utils.torch_utils


def net(seed, dtype=torch.float32):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 37, 5), nn.Flatten(), nn.Linear(37, 3333)
    )
    nets.lively(model, seed)
    model[1].num_batches_tracked.fill_(seed * 7 + 3)
    return model.to(dtype)


class MMYolo:
    """mmyolo's ExpMomentumEMA by its formulas; the buffers are copied at every update."""

    def __init__(self, model, momentum=0.0002, gamma=2000, interval=1, update_buffers=False):
        self.ema, self.steps = copy.deepcopy(model), 0
        self.momentum, self.gamma, self.interval, self.update_buffers = momentum, gamma, interval, update_buffers

    @torch.no_grad()
    def update(self, model):
        names = {n for n, _ in model.named_parameters()}
        for name, value in self.ema.state_dict().items():
            source = model.state_dict()[name]
            if self.steps == 0 or (name not in names and not self.update_buffers):
                value.copy_(source)
            elif self.steps % self.interval == 0 and value.is_floating_point():
                m = (1 - self.momentum) * math.exp(-float(1 + self.steps) / self.gamma) + self.momentum
                value.lerp_(source, m)
        self.steps += 1


def original(variant, models, options):
    first, *rest = models
    if variant == "yolo":
        ema = torch_utils.ModelEMA(first, **options)
        for m in rest:
            ema.update(m)
        return ema.ema
    if variant in ("timm", "timm-v2"):
        ema = (timm.utils.ModelEma if variant == "timm" else timm.utils.ModelEmaV2)(first, **options)
        for m in rest:
            ema.update(m)
        return ema.ema if variant == "timm" else ema.module
    if variant == "timm-v3":
        ema = timm.utils.ModelEmaV3(first, **options)
        for step, m in enumerate(rest, 1):
            ema.update(m, step=step)
        return ema.module
    if variant == "mmyolo":
        ema = MMYolo(first, **options)
        for m in models:
            ema.update(m)
        return ema.ema
    ema = AveragedModel(first, **options)
    for m in models:
        ema.update_parameters(m)
    return ema.module


CASES = [
    ("yolo", {}, []),
    ("yolo", {"decay": 0.99, "tau": 10}, ["--decay", "0.99", "--tau", "10"]),
    ("yolo", {"updates": 5000}, ["--updates", "5000"]),
    ("timm", {"decay": 0.7}, ["--decay", "0.7"]),
    ("timm-v2", {}, []),
    ("timm-v3", {}, []),
    ("timm-v3", {"decay": 0.3}, ["--decay", "0.3"]),
    ("timm-v3", {"use_warmup": True, "warmup_gamma": 2.0}, ["--warmup", "--warmup-gamma", "2"]),
    ("timm-v3", {"use_warmup": True, "min_decay": 0.6, "warmup_power": 0.75},
     ["--warmup", "--min-decay", "0.6", "--warmup-power", "0.75"]),
    ("timm-v3", {"update_after_step": 2}, ["--update-after-step", "2"]),
    ("mmyolo", {}, []),
    ("mmyolo", {"momentum": 0.3, "gamma": 1.0}, ["--momentum", "0.3", "--gamma", "1"]),
    ("mmyolo", {"interval": 2, "update_buffers": True}, ["--interval", "2", "--update-buffers"]),
    ("swa", {}, []),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("variant, options, arguments", CASES)
def test_against_the_original(tmp_path, variant, options, arguments, dtype):
    models = [net(seed, dtype) for seed in range(6)]
    expected = original(variant, models, options).state_dict()
    files = [tmp_path / f"{i}.pt" for i in range(6)]
    for model, file in zip(models, files):
        torch.save(model, file)
    answer = report("ema", *files, "--variant", variant, *arguments, "-o", tmp_path / "ema.safetensors")
    assert answer["updates"] == 5 + options.get("updates", 0)
    ours = load_file(tmp_path / "ema.safetensors")
    assert {k: same_bits(ours[k], v) for k, v in expected.items()} == dict.fromkeys(expected, True)
    # In two runs, by either format, it is the same.
    for kind in ("safetensors", "pt"):
        half, whole = tmp_path / f"half.{kind}", tmp_path / f"whole.{kind}"
        report("ema", *files[:3], "--variant", variant, *arguments, "-o", half)
        resumed = report("ema", *files[3:], "--resume", half, "-o", whole)
        assert resumed["updates"] == answer["updates"] and resumed["variant"] == variant
        ours = load_file(whole) if kind == "safetensors" else load(whole)["ema"].state_dict()
        assert all(same_bits(ours[k], v) for k, v in expected.items())


def test_excluded_buffers(tmp_path):
    models = [net(seed) for seed in range(4)]
    expected = original("timm-v3", models, {"exclude_buffers": True, "decay": 0.4}).state_dict()
    for whole in (True, False):
        files = [tmp_path / f"{i}{whole}.pt" for i in range(4)]
        for model, file in zip(models, files):
            torch.save(model if whole else model.state_dict(), file)
        report("ema", *files, "--variant", "timm-v3", "--exclude-buffers", "--decay", "0.4", "-o",
               tmp_path / f"{whole}.safetensors")  # fmt: skip
        ours = load_file(tmp_path / f"{whole}.safetensors")
        assert all(same_bits(ours[k], v) for k, v in expected.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_float32(tmp_path, dtype):
    models = [net(seed, dtype) for seed in range(3)]
    files = [tmp_path / f"{i}.pt" for i in range(3)]
    for model, file in zip(models, files):
        torch.save(model.state_dict(), file)
    report("ema", *files, "--decay", "0.9", "--tau", "1", "-o", tmp_path / "ema.pt")
    ours = torch.load(tmp_path / "ema.pt", weights_only=True)["ema"]
    value = {k: v.clone() for k, v in models[0].state_dict().items()}
    for n, model in enumerate(models[1:], 1):
        d = 0.9 * (1 - math.exp(-n / 1))
        for k, v in value.items():
            if v.is_floating_point():
                value[k] = (v.float() * d + (1 - d) * model.state_dict()[k].float()).to(dtype)
    assert all(same_bits(ours[k], v) for k, v in value.items())


def test_training_checkpoint(tmp_path):
    """The first file stays what it was, with the average in it, in evaluation mode and without gradients."""
    models = [net(seed).train() for seed in range(3)]
    files = [tmp_path / f"{i}.pt" for i in range(3)]
    for i, (model, file) in enumerate(zip(models, files)):
        torch.save({"model": model, "epoch": i, "optimizer": None}, file)
    report("ema", *files, "-o", tmp_path / "ema.pt")
    ours = load(tmp_path / "ema.pt")
    expected = original("yolo", models, {})
    assert ours["epoch"] == 0 and ours["updates"] == 2 and ours["ema.variant"] == "yolo"
    assert not any(m.training for m in ours["model"].modules())
    assert not any(p.requires_grad for p in ours["model"].parameters())
    assert all(same_bits(ours["model"].state_dict()[k], v) for k, v in expected.state_dict().items())


def test_state_in_metadata(tmp_path):
    for seed in range(2):
        torch.save(net(seed).state_dict(), tmp_path / f"{seed}.pt")
    report("ema", tmp_path / "0.pt", tmp_path / "1.pt", "--tau", "5", "-o", tmp_path / "e.safetensors")
    with safe_open(tmp_path / "e.safetensors", "pt") as file:
        assert file.metadata() == {
            "format": "pt", "ema.updates": "1", "ema.variant": "yolo", "ema.decay": "0.9999", "ema.tau": "5.0"}  # fmt: skip


@pytest.mark.parametrize("variant", ["yolo", "timm"])
def test_prefixes(tmp_path, variant):
    models = [net(seed) for seed in range(3)]
    expected = original(variant, models, {"decay": 0.5}).state_dict()
    for i, (model, prefix) in enumerate(zip(models, ["", "module.", "_orig_mod.module."])):
        torch.save({prefix + k: v for k, v in model.state_dict().items()}, tmp_path / f"{i}.pt")
    files = [tmp_path / f"{i}.pt" for i in range(3)]
    report("ema", *files, "--variant", variant, "--decay", "0.5", "-o", tmp_path / "ema.safetensors")
    ours = load_file(tmp_path / "ema.safetensors")
    assert all(same_bits(ours[k], v) for k, v in expected.items())


def test_timms_checkpoint_resumes(tmp_path):
    ema = timm.utils.ModelEma(net(0), decay=0.5)
    ema.update(net(1))
    torch.save({"state_dict": net(1).state_dict(), "state_dict_ema": ema.ema.state_dict()}, tmp_path / "last.pth")
    torch.save(net(2).state_dict(), tmp_path / "2.pt")
    report("ema", tmp_path / "2.pt", "--resume", tmp_path / "last.pth", "--variant", "timm", "--decay", "0.5", "-o",
           tmp_path / "o.safetensors")  # fmt: skip
    ema.update(net(2))
    ours = load_file(tmp_path / "o.safetensors")
    assert all(same_bits(ours[k], v) for k, v in ema.ema.state_dict().items())


def test_not_finite(tmp_path):
    models = [net(seed) for seed in range(3)]
    models[1][3].weight.data[0, 0, 0, 0] = float("nan")
    models[1][1].running_var[2] = float("inf")
    files = [tmp_path / f"{i}.pt" for i in range(3)]
    for model, file in zip(models, files):
        torch.save(model.state_dict(), file)
    result = succeeds("ema", *files, "-o", tmp_path / "a.safetensors")
    assert "3.weight" in result.err and "1.running_var" in result.err
    expected = original("yolo", models, {}).state_dict()
    ours = load_file(tmp_path / "a.safetensors")
    assert torch.equal(ours["3.weight"].isnan(), expected["3.weight"].isnan())
    answer = json.loads(succeeds("ema", *files, "--skip-non-finite", "--json", "-o", tmp_path / "b.safetensors").out)
    assert answer["updates"] == 1
    assert answer["skipped"] == [{"checkpoint": str(files[1]), "tensors": ["1.running_var", "3.weight"]}]
    expected = original("yolo", [models[0], models[2]], {}).state_dict()
    ours = load_file(tmp_path / "b.safetensors")
    assert all(same_bits(ours[k], v) for k, v in expected.items())


def test_refusals(tmp_path):
    state = net(0).state_dict()
    torch.save(state, tmp_path / "a.pt")
    torch.save({k: v for k, v in state.items() if k != "0.bias"}, tmp_path / "b.pt")
    torch.save({k: v.flatten() for k, v in state.items()}, tmp_path / "c.pt")
    out = ["-o", tmp_path / "o.pt"]
    fails("ema", tmp_path / "a.pt", tmp_path / "b.pt", *out, naming="0.bias")
    fails("ema", tmp_path / "a.pt", tmp_path / "c.pt", *out, naming="0.weight")
    fails("ema", tmp_path / "a.pt", tmp_path / "b.pt", *out, "--variant", "timm-v2", naming="tensors")
    fails("ema", tmp_path / "a.pt", "--resume", tmp_path / "a.pt", *out, naming="--updates")
    assert mutils("ema", tmp_path / "a.pt", *out, "--variant", "swa", "--tau", "3").code == 64
    assert not (tmp_path / "o.pt").exists()
    report("ema", tmp_path / "a.pt", "--variant", "swa", *out)
    fails("ema", tmp_path / "a.pt", "--resume", tmp_path / "o.pt", "--variant", "yolo", *out, "-f", naming="swa")


class Cached(nn.Module):
    """A net with buffers that its state dict leaves out."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(3, 2)
        self.register_buffer("table", torch.randn(5))
        self.register_buffer("cache", torch.randn(7), persistent=False)
        self.inner = nn.Sequential(nn.BatchNorm1d(4))
        self.inner[0].register_buffer("count", torch.tensor([seed * 3]), persistent=False)


@pytest.mark.parametrize(
    "variant, options, arguments",
    [*CASES, ("timm-v3", {"exclude_buffers": True, "decay": 0.4}, ["--exclude-buffers", "--decay", "0.4"])],
)
def test_buffers_that_are_not_persistent(tmp_path, variant, options, arguments, monkeypatch):
    """Where the original goes by buffers() they are as its own, else as the first model's."""
    import custom_nets

    monkeypatch.setattr(custom_nets, "Cached", Cached, raising=False)
    monkeypatch.setattr(Cached, "__module__", "custom_nets")
    models = [Cached(seed) for seed in range(4)]
    expected = dict(original(variant, models, options).named_buffers())
    if variant == "mmyolo" and not options.get("update_buffers"):  # by the formula above: of the state dict's only
        expected |= {k: v for k, v in models[-1].named_buffers() if k.endswith(("cache", "count"))}
    files = [tmp_path / f"{i}.pt" for i in range(4)]
    for model, file in zip(models, files):
        torch.save(model, file)
    report("ema", *files, "--variant", variant, *arguments, "-o", tmp_path / "ema.pt")
    ours = dict(load(tmp_path / "ema.pt")["ema"].named_buffers())
    assert {k: same_bits(ours[k], v) for k, v in expected.items()} == dict.fromkeys(expected, True)


def test_a_state_dict_learns_from_modules_what_is_a_buffer(tmp_path):
    """SWA copies buffers: of a resumed state dict's the name alone does not tell."""
    models = [net(seed) for seed in range(4)]
    for seed, model in enumerate(models):
        model.register_buffer("anchors", torch.full((3,), float(seed)))
        torch.save(model, tmp_path / f"{seed}.pt")
    report("ema", tmp_path / "0.pt", tmp_path / "1.pt", "--variant", "swa", "-o", tmp_path / "half.safetensors")
    report("ema", tmp_path / "2.pt", tmp_path / "3.pt", "--resume", tmp_path / "half.safetensors",
           "-o", tmp_path / "whole.safetensors")  # fmt: skip
    ours = load_file(tmp_path / "whole.safetensors")
    assert all(same_bits(ours[k], v) for k, v in original("swa", models, {}).state_dict().items())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_averaged_models_own_state_resumes(tmp_path, whole, kind):
    models = [net(seed) for seed in range(5)]
    swa = AveragedModel(models[0])
    for model in models[:3]:
        swa.update_parameters(model)
    torch.save(swa if whole else swa.state_dict(), tmp_path / "swa.pt")
    for i, model in enumerate(models[3:]):
        swa.update_parameters(model)
        torch.save(model.state_dict(), tmp_path / f"{i}.pt")
    answer = report("ema", tmp_path / "0.pt", tmp_path / "1.pt", "--resume", tmp_path / "swa.pt",
                    "-o", tmp_path / f"o.{kind}")  # fmt: skip
    assert answer["variant"] == "swa" and answer["updates"] == swa.n_averaged - 1
    ours = load_file(tmp_path / "o.safetensors") if kind == "safetensors" else load(tmp_path / "o.pt")["ema"]
    expected = swa.module.state_dict()
    assert set(ours) == set(expected) and all(same_bits(ours[k], v) for k, v in expected.items())


def test_shards(tmp_path):
    for seed in range(2):
        torch.save(net(seed).state_dict(), tmp_path / f"{seed}.pt")
    files = [tmp_path / "0.pt", tmp_path / "1.pt"]
    report("ema", *files, "-o", tmp_path / "one.safetensors")
    report("ema", *files, "-o", tmp_path / "e.safetensors", "--max-shard-size", "200KB")
    assert len(list(tmp_path.glob("e-*-of-*.safetensors"))) > 1
    assert report("diff", tmp_path / "one.safetensors", tmp_path / "e.safetensors.index.json")["equal"]
    # Its state stands in the index.
    resumed = report("ema", files[1], "--resume", tmp_path / "e.safetensors.index.json", "-o", tmp_path / "f.safetensors")
    assert resumed["updates"] == 2 and resumed["variant"] == "yolo"
    fails("ema", *files, "-o", tmp_path / "g.pt", "--max-shard-size", "1GB", naming="safetensors")
