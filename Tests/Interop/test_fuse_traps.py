"""Small nets: what must be fused, and above all what must not."""

from collections import OrderedDict

import custom_nets
import nets
import pytest
import torch
from custom_nets import double, negate
from helpers import (
    assert_same_outputs,
    check_fused_file,
    load,
    mutils,
    outputs,
    report,
    same_bits,
    succeeds,
)
from torch import nn
from torchvision.models.swin_transformer import PatchMerging
from torchvision.ops.misc import FrozenBatchNorm2d, Permute


def saved(model, tmp_path, seed=6):
    nets.lively(model, seed).eval()
    torch.save(model, tmp_path / "in.pt")
    return tmp_path / "in.pt"


def nothing_is_fused(model, x, tmp_path, refused=None):
    """Nothing is fused, the output is the same, and where a pair looks like one, a reason is given."""
    _, result = check_fused_file(model, saved(model, tmp_path), x, may=(), tolerance=0)
    assert all(set(r) >= {"conv", "bn", "reason"} and r["reason"] for r in result["refused"])
    if refused:
        assert refused in {(r["conv"], r["bn"]) for r in result["refused"]}, result["refused"]
    return result


def image(channels=3, size=8):
    return torch.randn(2, channels, size, size)


# --- what must be fused -----------------------------------------------------------------------------------------

POSITIVE = {
    "plain": lambda: (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
    "no_bias": lambda: (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)),
    "not_affine": lambda: (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)),
    "eps": lambda: (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0.5)),
    "grouped": lambda: (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
    "depthwise": lambda: (nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.BatchNorm2d(8)),
    "dilated": lambda: (nn.Conv2d(4, 6, 3, dilation=2, padding=2, stride=2), nn.BatchNorm2d(6)),
    "same_padding": lambda: (nn.Conv2d(4, 6, 3, padding="same"), nn.BatchNorm2d(6)),
    "reflect": lambda: (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(6)),
    "circular": lambda: (nn.Conv2d(4, 6, (3, 5), padding=(1, 2), padding_mode="circular"), nn.BatchNorm2d(6)),
    "transposed": lambda: (nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), nn.BatchNorm2d(6)),
    "transposed_groups": lambda: (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False), nn.BatchNorm2d(6)),
    "transposed_dilated": lambda: (nn.ConvTranspose2d(4, 4, 2, dilation=3, groups=4), nn.BatchNorm2d(4)),
    "conv1d": lambda: (nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6)),
    "conv3d": lambda: (nn.Conv3d(4, 6, 2), nn.BatchNorm3d(6)),
    "linear": lambda: (nn.Linear(4, 6), nn.BatchNorm1d(6)),
    "linear_no_bias": lambda: (nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6)),
    "channels_last": lambda: (nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last), nn.BatchNorm2d(6)),
    "double": lambda: (nn.Conv2d(4, 6, 3).double(), nn.BatchNorm2d(6).double()),
    "one_channel": lambda: (nn.Conv2d(4, 1, 1), nn.BatchNorm2d(1)),
}


@pytest.mark.parametrize("name", POSITIVE)
def test_fused(name, tmp_path):
    """Stride, padding, dilation, groups and padding mode survive; every kind of convolution is folded rightly."""
    conv, bn = POSITIVE[name]()
    model = nn.Sequential(conv, bn, nn.ReLU())
    shape = {"conv1d": (2, 4, 9), "conv3d": (2, 4, 5, 5, 5), "linear": (3, 4), "linear_no_bias": (3, 4)}.get(
        name, (2, getattr(conv, "in_channels", 4), 9, 9)
    )
    x = torch.randn(shape).to(conv.weight.dtype)
    loaded, _ = check_fused_file(model, saved(model, tmp_path), x, must={("0", "1")}, tolerance=1e-5)
    for key, value in vars(conv).items():
        if not key.startswith("_"):
            assert getattr(loaded[0], key) == value, key


def test_nested_sequentials_and_names(tmp_path):
    """Pairs are found at any depth and reported by their dotted names; a Sequential with keys as well."""
    model = nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            act=nn.ReLU(),
            conv=nn.Conv2d(4, 5, 1),
            norm=nn.BatchNorm2d(5),
        )
    )
    must = {("stem.0", "stem.1"), ("conv", "norm")}
    check_fused_file(model, saved(model, tmp_path), image(), must=must, may=must)


def test_inside_an_unknown_class(tmp_path):
    """A Sequential that an unknown class runs twice: folded at most once, and still one object."""
    model = custom_nets.BlockShared()
    path, x = saved(model, tmp_path), image()
    expected = outputs(model, x)
    result = report("fuse", path, "-o", tmp_path / "out.pt")
    loaded = load(tmp_path / "out.pt")
    assert loaded.a is loaded.again
    assert_same_outputs(expected, outputs(loaded, x))
    assert len(result["fused"]) <= 1


def test_storage_shared_but_not_overlapping(tmp_path):
    """Two weights in one storage: fusing one must leave the other alone."""
    model = custom_nets.StorageShared()
    check_fused_file(model, saved(model, tmp_path), image())


def test_requires_grad_is_cleared_only_on_fused(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    model[2].requires_grad_(False)
    loaded, _ = check_fused_file(model, saved(model, tmp_path), image(), must={("0", "1")})
    assert [p.requires_grad for p in loaded.parameters()] == [False] * 4 + [True] * 2


# --- what must not be fused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", nets.traps())
def test_sequential_traps(name, tmp_path):
    """An activation, pool or pad between; conv, norm or weight used twice; no statistics; norm first; channels."""
    model = nets.traps()[name]
    path = saved(model, tmp_path)
    if name == "channels_differ":  # cannot run: only nothing may happen
        before = load(path).state_dict()
        assert report("fuse", path, "-o", tmp_path / "out.pt")["fused"] == []
        after = load(tmp_path / "out.pt").state_dict()
        assert all(same_bits(v, after[k]) for k, v in before.items())
        return
    channels = next(p for p in model.parameters() if p.dim() == 4).shape[1]
    x = torch.randn(3, channels, 8, 8)
    nothing_is_fused(model, x, tmp_path)


@pytest.mark.parametrize(
    "between",
    [
        nn.ReLU(),
        nn.SiLU(),
        nn.Identity(),
        nn.Dropout(0.5),
        nn.AvgPool2d(2),
        nn.ReflectionPad2d(1),
        nn.Upsample(scale_factor=2),
        nn.PixelShuffle(1),
        nn.ChannelShuffle(2),
        nn.GroupNorm(2, 4),
        nn.Sigmoid(),
    ],
    ids=lambda m: type(m).__name__,
)
def test_something_between(between, tmp_path):
    """Whatever stands between, the output is kept. (Fusing over an Identity or a Dropout would be right.)"""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), between, nn.BatchNorm2d(4))
    may = {("0", "2")} if isinstance(between, (nn.Identity, nn.Dropout)) else ()
    check_fused_file(model, saved(model, tmp_path), image(), may=may)


@pytest.mark.parametrize(
    "name",
    [
        "OutputUsedTwice",
        "HiddenActivation",
        "Conv",
        "Bottleneck",
        "SkippedSequential",
        "ConvShared",
        "NormShared",
        "WeightShared",
        "ConvAlsoAlone",
        "WeightReadElsewhere",
    ],
)
def test_classes_of_our_own(name, tmp_path):
    """Names, or the order in which children are registered, prove nothing; sharing forbids."""
    model = getattr(custom_nets, name)()
    nothing_is_fused(model, image(4 if name == "Bottleneck" else 3), tmp_path)


@pytest.mark.xfail(
    strict=False, reason="order inside a Sequential is taken as proof, though its owner may index into it"
)
def test_a_sequential_that_is_tapped(tmp_path):
    """An unknown class may run its Sequential child by child and keep what comes out of the conv."""
    model = custom_nets.Tapped()
    check_fused_file(model, saved(model, tmp_path), image())


def test_sequential_subclasses(tmp_path):
    """A Sequential of another class may have a forward of its own."""
    nothing_is_fused(custom_nets.Backwards(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)), image(4), tmp_path)
    (tmp_path / "in-out.pt").unlink()
    model = custom_nets.PlainSequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    check_fused_file(model, saved(model, tmp_path), image(4))


@pytest.mark.parametrize("conv, bn", [(custom_nets.MyConv, nn.BatchNorm2d), (nn.Conv2d, custom_nets.MyNorm)])
def test_subclasses_of_layers(conv, bn, tmp_path):
    nothing_is_fused(nn.Sequential(conv(3, 4, 3), bn(4)), image(), tmp_path)


def test_other_norms(tmp_path):
    """InstanceNorm with statistics looks like a BatchNorm, but normalises by the image in training only; GroupNorm has none."""
    nothing_is_fused(nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True)), image(), tmp_path)
    (tmp_path / "in-out.pt").unlink()
    nothing_is_fused(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), image(), tmp_path)


def test_norm_whose_statistics_were_removed(tmp_path):
    """running_mean set to None by hand: the norm uses the batch's own statistics."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model[1].running_mean = model[1].running_var = None
    nothing_is_fused(model, image(), tmp_path)


def test_lazy_layers(tmp_path):
    """An uninitialised lazy layer has no values yet: a refusal or a faithful copy, never a wrong file."""
    torch.save(nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4)), tmp_path / "in.pt")
    result = mutils("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--json")
    assert result.code in (0, 1)
    if result.code == 0:
        assert isinstance(load(tmp_path / "out.pt")[0], nn.LazyConv2d)


@pytest.mark.parametrize("where", ["conv", "norm"])
@pytest.mark.parametrize("hook", ["forward", "pre"])
def test_hooks(where, hook, tmp_path):
    """A hook sees or changes what passes between conv and norm."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    target = model[0 if where == "conv" else 1]
    target.register_forward_hook(double) if hook == "forward" else target.register_forward_pre_hook(negate)
    nothing_is_fused(model, image(), tmp_path)


@pytest.mark.parametrize("where", [0, 1, None])
def test_replaced_forward(where, tmp_path):
    """An instance attribute `forward` takes the place of the class's."""
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    (model if where is None else model[where]).forward = custom_nets.shout
    nothing_is_fused(model, image(4), tmp_path)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "pruned"])
def test_reparametrised_weights(kind, tmp_path):
    """The weight is computed before every call from other parameters: folding into it would be lost."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    if kind == "pruned":
        nn.utils.prune.l1_unstructured(model[0], "weight", 0.5)
    else:
        getattr(nn.utils, kind)(model[0])
    nets.lively(model).eval()
    x = image()
    with torch.no_grad():
        model(x)  # leaves a computed weight
    model[0].weight = model[0].weight.detach()
    nothing_is_fused(model, x, tmp_path)


def test_pruned_bias(tmp_path):
    """A mask on the bias alone forbids it as well."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    nn.utils.prune.l1_unstructured(model[0], "bias", 0.5)
    model[0].bias = model[0].bias.detach()
    nothing_is_fused(model, image(), tmp_path)


def test_yolo_conv_with_a_hook(tmp_path):
    """Also inside YOLO's own block."""
    common = nets.import_yolov5().models.common
    model = nn.Sequential(common.Conv(3, 4, 3))
    model[0].conv.register_forward_hook(double)
    nothing_is_fused(model, image(), tmp_path)


def test_yolo_conv_whose_norm_was_replaced(tmp_path):
    """An Identity or a GroupNorm where the batch norm stood."""
    common = nets.import_yolov5().models.common
    model = nn.Sequential(common.Conv(3, 4, 3), common.Conv(4, 4, 3))
    model[0].bn, model[1].bn = nn.Identity(), nn.GroupNorm(2, 4)
    nothing_is_fused(model, image(), tmp_path)


def test_shared_yolo_block(tmp_path):
    """One Conv block that runs twice is folded once, and both uses see it."""
    common = nets.import_yolov5().models.common
    block = common.Conv(4, 4, 3)
    model = nn.Sequential(block, common.Conv(4, 4), block)
    path, x = saved(model, tmp_path), image(4)
    expected = outputs(model, x)
    report("fuse", path, "-o", tmp_path / "out.pt")
    loaded = load(tmp_path / "out.pt")
    assert loaded[0] is loaded[2]
    assert_same_outputs(expected, outputs(loaded, x))


def test_nan_and_zero_variance(tmp_path):
    """A variance of zero is fine (eps stands under the root)."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    nets.lively(model)
    model[1].running_var.zero_()
    model.eval()
    torch.save(model, tmp_path / "in.pt")
    check_fused_file(model, tmp_path / "in.pt", image(), must={("0", "1")})


def test_refusals_are_explained(tmp_path):
    """What looks like a pair and is not fused is listed with a reason, on stdout too."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    result = nothing_is_fused(model, image(), tmp_path, refused=("0", "1"))
    text = succeeds("fuse", tmp_path / "in.pt", "-o", tmp_path / "again.pt").out
    assert result["refused"][0]["reason"] in text


# --- proofs beyond neighbours ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    [[nn.Identity()], [nn.Dropout(0.5), nn.Identity()], [nn.Sequential(nn.Identity(), nn.Dropout2d(0.1))]],
    ids=("identity", "dropout", "nested"),
)
def test_what_does_nothing_in_evaluation_is_no_obstacle(between, tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *between, nn.BatchNorm2d(4), nn.ReLU())
    must = {("0", str(len(between) + 1))}
    check_fused_file(model, saved(model, tmp_path), image(), must=must, may=must, tolerance=1e-5)


def test_across_modules(tmp_path):
    """A convolution at the end of one module, and its batch norm at the beginning of the next."""
    model = nn.Sequential(
        nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)), nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)), nn.BatchNorm2d(2)
    )  # fmt: skip
    must = {("0.1", "1.0"), ("1.1", "2")}
    check_fused_file(model, saved(model, tmp_path), image(), must=must, may=must, tolerance=1e-5)


def test_where_the_forward_depends_on_the_size(tmp_path):
    """What merges patches pads a picture of odd sizes: the pairs are the same at every size."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 2, 2), nn.BatchNorm2d(4), Permute([0, 2, 3, 1]), PatchMerging(4), Permute([0, 3, 1, 2]),
        nn.ReLU(), nn.BatchNorm2d(8),
    )  # fmt: skip
    must = {("0", "1")}
    _, result = check_fused_file(model, saved(model, tmp_path), image(size=10), must=must, may=must, tolerance=1e-5)
    reasons = [refusal["reason"] for refusal in result["refused"]]
    assert reasons == ["ReLU stands between the convolution and the batch norm"], reasons


def test_across_modules_where_one_runs_twice(tmp_path):
    shared = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    model = nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.ReLU())
    nothing_is_fused(model, image(), tmp_path, refused=("", "1"))


@pytest.mark.parametrize("norm", [nn.SyncBatchNorm, FrozenBatchNorm2d, custom_nets.FrozenBatchNorm2d])
def test_other_batch_norms(norm, tmp_path):
    """Those that processes share or that are frozen compute the same in evaluation."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm(4), nn.ConvTranspose2d(4, 6, 2), norm(6)).eval()
    for module in model:
        if hasattr(module, "running_var"):
            module.eps = 0.01
            with torch.no_grad():
                for name in ("weight", "running_mean", "running_var", "bias"):
                    getattr(module, name).uniform_(0.5, 2)
    torch.save(model, tmp_path / "in.pt")
    result = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")
    assert [(p["conv"], p["bn"]) for p in result["fused"]] == [("0", "1"), ("2", "3")]
    fused, x = load(tmp_path / "out.pt"), image()
    expected = plain(model)
    assert_same_outputs(outputs(expected, x), outputs(fused, x), 1e-5)


def plain(model):
    """With BatchNorm2d in the place of every other batch norm."""
    modules = []
    for module in model:
        if hasattr(module, "running_var"):
            norm = nn.BatchNorm2d(len(module.weight), eps=module.eps)
            norm.load_state_dict(module.state_dict(), strict=False)
            module = norm
        modules.append(module)
    return nn.Sequential(*modules).eval()
