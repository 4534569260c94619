"""run against torch: whole models at odd sizes and in batches, pictures, random inputs, modules inside, refusals."""

import copy
from pathlib import Path

import nets
import numpy as np
import pytest
import timm
import torch
import torchvision
from helpers import fails, mutils, report, succeeds
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

yolo = nets.import_yolov5().models.yolo
common = nets.import_yolov5().models.common

# Of each output's largest value: float32 on both sides, sums in other orders.
TOLERANCE = 1e-4


@torch.no_grad()
def lively(model, shape=(4, 3, 64, 64)):
    """With the statistics of a batch, moved a little: every layer's output follows from the input, and none is blown up."""
    torch.manual_seed(1)
    nets.lively(model).eval()

    def settle(norm, inputs):
        values = inputs[0].transpose(0, 1).flatten(1)
        mean, variance = values.mean(1), values.var(1, unbiased=False)
        norm.running_mean.copy_(mean + 0.1 * variance.sqrt() * torch.randn(len(mean)))
        norm.running_var.copy_(variance.clamp(min=variance.mean() / 10) * (torch.rand(len(mean)) * 0.5 + 0.75))

    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
    model(torch.rand(max(shape[0], 4), *shape[1:]))
    for hook in hooks:
        hook.remove()
    for module in model.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)  # the head of a fresh ViT is zero
    return model


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return [t for v in values for t in flat(v)]


@torch.no_grad()
def check(model, x, folder, *options, count=None, environment=None):
    """The first `count` outputs, or all: behind them YOLO's heads pass on what their losses take."""
    torch.save(model, folder / "in.pt")
    save_file({"x": x}, folder / "x.safetensors")
    result = report(
        "run", folder / "in.pt", "--input", folder / "x.safetensors", "-o", folder / "y.safetensors", "--force", *options, timeout=120, environment=environment)  # fmt: skip
    ours = load_file(folder / "y.safetensors")
    expected = flat(model(x))[:count]
    # Not biases alone.
    assert (expected[0] - flat(model(torch.zeros_like(x)))[0]).abs().max() > 1e-3 * expected[0].abs().max()
    for index, tensor in enumerate(expected):
        actual = ours[f"output.{index}"]
        assert actual.shape == tensor.shape and actual.dtype == tensor.dtype
        scale = tensor.abs().max().item()
        difference = (actual - tensor).abs().max().item()
        if difference > TOLERANCE * scale:
            # As good as PyTorch's own float32, where that is no better. Over five seeds of YOLOv5n6 either's error was up to
            # twice the other's: few values carry it.
            exact = flat(copy.deepcopy(model).double()(x.double()))[index]
            errors = [values.double() - exact for values in (actual, tensor)]
            assert max(error.abs().max() for error in errors) <= 1e-3 * scale, index
            assert errors[0].norm() <= 3 * errors[1].norm(), index
        line = result["outputs"][index]
        assert line["name"] == f"output.{index}" and line["shape"] == list(tensor.shape)
        assert line["max"] == pytest.approx(actual.max().item()) and line["mean"] == pytest.approx(
            actual.double().mean().item(), rel=1e-9, abs=1e-12
        )
    return ours


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet18", (2, 3, 97, 65)),
        ("densenet121", (1, 3, 65, 97)),
        ("mobilenet_v3_small", (3, 3, 64, 65)),
        ("efficientnet_b0", (1, 3, 71, 64)),
        ("shufflenet_v2_x0_5", (2, 3, 64, 96)),
        ("googlenet", (1, 3, 64, 64)),
        ("inception_v3", (1, 3, 107, 93)),
        ("squeezenet1_1", (1, 3, 63, 65)),
        ("vgg11_bn", (1, 3, 64, 48)),
        ("regnet_y_400mf", (1, 3, 65, 65)),
        ("convnext_tiny", (1, 3, 65, 70)),
        ("vit_b_32", (2, 3, 224, 224)),
        ("swin_t", (1, 3, 70, 99)),
        ("swin_v2_t", (1, 3, 70, 99)),
        ("maxvit_t", (1, 3, 224, 224)),
    ],
)
def test_classifiers(name, shape, tmp_path):
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = lively(torchvision.models.get_model(name, **extra), shape)
    for threads in (1, 2):
        check(model, torch.rand(shape), tmp_path, "--threads", threads)


@pytest.mark.parametrize("name", ["resnet10t", "efficientnet_lite0", "repvgg_a0", "mixer_s32_224", "vit_tiny_patch16_224"])
def test_timm(name, tmp_path):
    check(lively(timm.create_model(name), (2, 3, 224, 224)), torch.rand(2, 3, 224, 224), tmp_path)


@pytest.mark.parametrize("name", ["yolov5n", "yolov5n-seg", "hub/yolov5n6"])
def test_yolov5(name, tmp_path):
    common.Conv.default_act = nn.SiLU()
    path = Path(yolo.__file__).parent / ("segment" if name.endswith("-seg") else "") / f"{name}.yaml"
    kind = yolo.SegmentationModel if name.endswith("-seg") else yolo.DetectionModel
    check(lively(kind(path), (4, 3, 128, 192)), torch.rand(2, 3, 128, 192), tmp_path, count=2 if name.endswith("-seg") else 1)


def test_half_precision_is_computed_in_float32(tmp_path):
    model = lively(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU()))
    x = torch.rand(1, 3, 9, 9)
    expected = model.half().float()(x)
    torch.save(model.half(), tmp_path / "in.pt")
    save_file({"x": x}, tmp_path / "x.safetensors")
    succeeds("run", tmp_path / "in.pt", "--input", tmp_path / "x.safetensors", "-o", tmp_path / "y.safetensors")
    assert (load_file(tmp_path / "y.safetensors")["output.0"] - expected).abs().max() < 1e-5


@pytest.mark.parametrize("isa", ["SSE41", "AVX2", "AVX512_CORE"])
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "swin_t"])
def test_older_processors(name, isa, tmp_path):
    model = lively(torchvision.models.get_model(name))
    environment = {"ONEDNN_MAX_CPU_ISA": isa, "DNNL_MAX_CPU_ISA": isa}
    check(model, torch.rand(2, 3, 97, 65), tmp_path, environment=environment)


HAS_BFLOAT16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()


@torch.no_grad()
@pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor has no bfloat16")
@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "densenet121", "vit_b_32", "swin_t", "convnext_tiny"])
def test_bfloat16(name, tmp_path):
    """Not further from float32 than PyTorch's bfloat16, which rounds after every operation."""
    model, x = lively(torchvision.models.get_model(name), (2, 3, 224, 224)), torch.rand(2, 3, 224, 224)
    torch.save(model, tmp_path / "in.pt")
    save_file({"x": x}, tmp_path / "x.safetensors")
    succeeds("run", tmp_path / "in.pt", "--input", tmp_path / "x.safetensors", "--dtype", "bfloat16", "-o", tmp_path / "y.safetensors")  # fmt: skip
    ours = load_file(tmp_path / "y.safetensors")["output.0"]
    exact, torchs = model(x), model.bfloat16()(x.bfloat16()).float()
    scale = exact.abs().max()
    assert ours.dtype == torch.float32
    assert (ours - exact).abs().max() <= (torchs - exact).abs().max() * 1.25 + 2e-3 * scale
    # Rounding moves the results, or it would not be bfloat16.
    assert (ours - exact).abs().max() > 1e-4 * scale


@pytest.mark.skipif(HAS_BFLOAT16, reason="this processor has bfloat16")
def test_no_bfloat16():
    assert "does not multiply bfloat16" in fails("run", "resnet18", "--dtype", "bfloat16").err


def test_bfloat16_is_refused_where_the_processor_has_none():
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
    assert "does not multiply bfloat16" in fails("run", "resnet18", "--dtype", "bfloat16", environment=environment).err


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy(dtype, order, tmp_path):
    model, x = lively(torchvision.models.resnet18()), np.random.default_rng(0).random((2, 3, 33, 47)).astype(dtype)
    torch.save(model, tmp_path / "in.pt")
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    succeeds("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    with torch.no_grad():
        expected = model(torch.from_numpy(x.astype(np.float32))).numpy()
    ours = np.load(tmp_path / "y.npy")
    assert ours.dtype == np.float32 and np.abs(ours - expected).max() <= TOLERANCE * np.abs(expected).max()
    # The bytes are NumPy's own.
    np.save(tmp_path / "z.npy", ours)
    assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "z.npy").read_bytes()


def test_numpy_of_every_type(tmp_path):
    torch.save(nn.Identity(), tmp_path / "in.pt")
    for dtype in ("u1", "i1", "i2", "i4", "i8", "b1"):
        for version in ((1, 0), (2, 0), (3, 0)):
            x = (np.random.default_rng(1).random((3, 5)) * 100).astype(dtype)
            with open(tmp_path / "x.npy", "wb") as file:
                np.lib.format.write_array(file, x, version=version)
            succeeds("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy", "--force")
            ours = np.load(tmp_path / "y.npy")
            assert ours.dtype == x.dtype and (ours == x).all()


def test_numpy_refusals(tmp_path):
    torch.save(nn.Identity(), tmp_path / "in.pt")
    whole = None
    np.save(tmp_path / "x.npy", np.zeros((2, 3), np.float32))
    whole = (tmp_path / "x.npy").read_bytes()
    broken = {
        "no .npy": b"NOPE" + whole[4:], "version": whole[:6] + b"\x09" + whole[7:], "shorter": whole[:-1],
        "header": whole[:8] + b"\xff\xff" + whole[10:], "not NumPy's": whole.replace(b"'descr'", b"'desc!'"),
        "shape": whole.replace(b"(2, 3), ", b"(9999999999, 3), ").replace(b"  \n", b"\n", 1),
    }  # fmt: skip
    for reason, contents in broken.items():
        (tmp_path / "x.npy").write_bytes(contents)
        fails("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy", naming=tmp_path / "x.npy")
    for array in (np.array([{}, 1], object), np.array(["text"]), np.zeros(2, [("a", "f4")])):
        np.save(tmp_path / "x.npy", array)
        fails("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy", naming=tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 8), np.float32))
    torch.save(lively(torchvision.models.resnet18()), tmp_path / "in.pt")
    result = fails("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy", tmp_path / "x.npy")
    assert "takes" in result.err
    result = fails("run", tmp_path / "in.pt", "--save", "layer1", "-o", tmp_path / "y.npy", naming=tmp_path / "y.npy")
    assert "takes one tensor" in result.err


def test_modules_inside(tmp_path):
    model = lively(torchvision.models.resnet18())
    kept = {}
    for name in ("layer1", "layer2.0.conv1", "avgpool"):
        model.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: kept.update({name: o.clone()}))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        model(x)
    for module in model.modules():
        module._forward_hooks.clear()
    ours = check(model, x, tmp_path, "--save", "layer1", "--save", "layer2.0.conv*", "--save", "avgpool")
    assert set(ours) == {"output.0", "layer1", "layer2.0.conv1", "layer2.0.conv2", "avgpool"}
    for name, tensor in kept.items():
        assert (ours[name] - tensor).abs().max() <= TOLERANCE * tensor.abs().max(), name
    assert "layer9" in fails("run", tmp_path / "in.pt", "--save", "layer9").err


def test_random_numbers_are_torchs(tmp_path):
    torch.save(nn.Identity(), tmp_path / "in.pt")
    for seed in (0, 7):
        succeeds("run", tmp_path / "in.pt", "--random", "--seed", seed, "--image-size", "5x7", "-o", tmp_path / "y.safetensors", "--force")  # fmt: skip
        torch.manual_seed(seed)
        assert torch.equal(load_file(tmp_path / "y.safetensors")["output.0"], torch.rand(1, 3, 5, 7))
    succeeds("run", tmp_path / "in.pt", "--shape", "2x3", "--seed", "1", "-o", tmp_path / "y.safetensors", "--force")
    torch.manual_seed(1)
    assert torch.equal(load_file(tmp_path / "y.safetensors")["output.0"], torch.rand(2, 3))


def test_pictures(tmp_path):
    """In the size they have nothing is resized; pixels are divided by 255."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    torch.save(nn.Identity(), tmp_path / "in.pt")
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    succeeds("run", tmp_path / "in.pt", "--input", *files, "--image-size", "32x64", "-o", tmp_path / "y.safetensors")
    expected = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(load_file(tmp_path / "y.safetensors")["output.0"], expected, atol=1e-7)


def test_default_size_is_the_models_own(tmp_path):
    for module, size in [
        (timm.create_model("vit_tiny_patch16_224").eval(), 224), (torchvision.models.vit_b_32().eval(), 224),
        (lively(yolo.DetectionModel(Path(yolo.__file__).parent / "yolov5n.yaml")), 640),
        (timm.create_model("test_resnet").eval(), timm.get_pretrained_cfg("test_resnet").input_size[-1]),
    ]:  # fmt: skip
        torch.save(module, tmp_path / "in.pt")
        profile = report("profile", tmp_path / "in.pt", "--runs", 1)["models"][0]
        assert profile["input"] == [[1, 3, size, size]]


def test_chosen_outputs(tmp_path):
    torch.save(lively(torchvision.models.resnet18()), tmp_path / "in.pt")
    options = ("run", tmp_path / "in.pt", "--image-size", "64", "--save", "layer1")
    assert [o["name"] for o in report(*options, "--outputs", "output.*")["outputs"]] == ["output.0", "layer1"]
    assert "no output has such a name" in fails(*options, "--outputs", "output.7").err


@pytest.mark.parametrize("shape", ["0x3x224x224", "2x3x224x0"])
def test_of_nothing(shape, tmp_path):
    """Nothing is computed of nothing, or it is refused: no crash."""
    for model in (timm.create_model("vit_tiny_patch16_224"), torchvision.models.resnet18(), nn.TransformerEncoderLayer(224, 2)):
        torch.save(model.eval(), tmp_path / "in.pt")
        result = mutils("run", tmp_path / "in.pt", "--shape", shape)
        assert result.code in (0, 1) and not result.timed_out
    torch.save(nn.TransformerEncoderLayer(8, 2).eval(), tmp_path / "in.pt")
    for shape, size in (("0x2x8", [0, 2, 8]), ("3x0x8", [3, 0, 8])):
        assert report("run", tmp_path / "in.pt", "--shape", shape)["outputs"][0]["shape"] == size


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool"])
def test_whole_numbers_are_refused(dtype, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((1, 3, 64, 64), dtype))
    torch.save(lively(torchvision.models.resnet18()), tmp_path / "in.pt")
    result = fails("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy", naming=tmp_path / "in.pt")
    assert f"conv1: takes floating numbers, but {dtype} comes to it" in result.err
    np.save(tmp_path / "x.npy", np.ones((1, 3), dtype))
    torch.save(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), tmp_path / "in.pt")
    assert f"but {dtype} comes to it" in fails("run", tmp_path / "in.pt", "--input", tmp_path / "x.npy").err


def test_broken_weights_are_told(tmp_path):
    """ReLU makes nothing of NaN in oneDNN: the output does not show it."""
    model = lively(torchvision.models.resnet18())
    with torch.no_grad():
        model.conv1.weight[0, 0, 0, 0] = float("nan")
    torch.save(model, tmp_path / "in.pt")
    note = "1 tensors hold NaN, infinity or variances below zero, such as 'conv1.weight'"
    assert note in succeeds("run", tmp_path / "in.pt", "--image-size", "64").err
    assert note in succeeds("convert", tmp_path / "in.pt", "--verify", "--image-size", "64", "-o", tmp_path / "y.pt").err


def test_sizes_beyond_memory_are_refused_at_once(tmp_path):
    result = fails("run", "resnet18", "--batch-size", 4096, "--image-size", 640, timeout=5)
    assert "do not fit in this machine's memory" in result.err and result.peak < 300e6


def test_refusals(tmp_path):
    model = lively(torchvision.models.resnet18())
    torch.save(model, tmp_path / "in.pt")
    save_file({"x": torch.rand(1, 4, 32, 32)}, tmp_path / "x.safetensors")
    result = fails("run", tmp_path / "in.pt", "--input", tmp_path / "x.safetensors", naming=tmp_path / "in.pt")
    assert "conv1: takes 3 channels" in result.err
    fails("run", tmp_path / "in.pt", "--image-size", "1000000", naming=tmp_path / "in.pt")
    torch.save({"a.weight": torch.rand(3, 3)}, tmp_path / "bare.pt")
    assert "no known architecture" in fails("run", tmp_path / "bare.pt").err
    (tmp_path / "y.safetensors").write_bytes(b"old")
    fails("run", tmp_path / "in.pt", "-o", tmp_path / "y.safetensors", naming=tmp_path / "y.safetensors")
    assert (tmp_path / "y.safetensors").read_bytes() == b"old"
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    fails("run", tmp_path / "in.pt", "--input", tmp_path / "broken.png", naming=tmp_path / "broken.png")
