"""torch.nn's layers, one by one: the reference interpreter gives torch's outputs, in evaluation and in training."""

import pytest
import torch
from helpers import report
from output_judges import check_outputs, check_training, interpreted
from torch import nn

F = nn.functional


def places(count, *shape):
    return torch.randint(count, shape)


# A layer, and the shape of what it takes or that itself.
LAYERS = [
    (nn.InstanceNorm1d(5), (3, 5, 7)),
    (nn.InstanceNorm2d(6, eps=1e-3, affine=True), (2, 6, 5, 3)),
    (nn.InstanceNorm2d(6, track_running_stats=True, momentum=0.3), (2, 6, 5, 3)),
    (nn.InstanceNorm3d(2, affine=True, track_running_stats=True), (3, 2, 3, 4, 2)),
    (nn.InstanceNorm1d(4, track_running_stats=True, momentum=None), (2, 4, 6)),
    (nn.RMSNorm(7), (2, 3, 7)),
    (nn.RMSNorm((3, 5), eps=1e-2, elementwise_affine=False), (2, 3, 5)),
    (nn.LocalResponseNorm(3, 1e-2, 0.6, 1.5), (2, 7, 5)),
    (nn.LocalResponseNorm(4, 0.1), (2, 6, 3, 4)),
    (nn.LocalResponseNorm(5), (2, 3, 2, 3, 4)),
    (nn.BatchNorm2d(4, momentum=None), (3, 4, 5, 6)),
    (nn.BatchNorm1d(4, momentum=None, track_running_stats=False), (3, 4, 5)),
    (nn.BatchNorm3d(4, momentum=None, affine=False), (3, 4, 2, 2, 3)),
    (nn.GroupNorm(2, 6, affine=False), (2, 6, 5)),
    (nn.LayerNorm((4, 3), bias=False), (2, 4, 3)),
    (nn.LSTM(5, 7), (6, 3, 5)),
    (nn.LSTM(5, 7, 3, bidirectional=True, batch_first=True), (3, 6, 5)),
    (nn.LSTM(5, 7, 2, bias=False, bidirectional=True, proj_size=4), (6, 3, 5)),
    (nn.LSTM(3, 4, 2, proj_size=2, batch_first=True), (torch.randn(2, 5, 3), torch.randn(2, 2, 2), torch.randn(2, 2, 4))),
    (nn.GRU(5, 7, 2, bidirectional=True), (6, 3, 5)),
    (nn.GRU(4, 3, bias=False, batch_first=True), (torch.randn(2, 5, 4), torch.randn(1, 2, 3))),
    (nn.RNN(5, 7, 2), (6, 3, 5)),
    (nn.RNN(5, 7, 2, nonlinearity="relu", bidirectional=True, batch_first=True), (3, 6, 5)),
    (nn.RNNCell(5, 7), (3, 5)),
    (nn.RNNCell(5, 7, nonlinearity="relu"), (torch.randn(3, 5), torch.randn(3, 7))),
    (nn.RNNCell(5, 7, bias=False), (5,)),
    (nn.LSTMCell(5, 7), (3, 5)),
    (nn.LSTMCell(5, 7, bias=False), (torch.randn(3, 5), torch.randn(3, 7), torch.randn(3, 7))),
    (nn.LSTMCell(5, 7), (torch.randn(5), torch.randn(7), torch.randn(7))),
    (nn.GRUCell(5, 7), (torch.randn(3, 5), torch.randn(3, 7))),
    (nn.GRUCell(1, 1, bias=False), (1, 1)),
    (nn.GRUCell(5, 7, bias=False), (torch.randn(5), torch.randn(7))),
    (nn.Unflatten(1, (2, -1)), (3, 6, 4, 2)),
    (nn.Unflatten(-1, torch.Size([2, 3])), (3, 6)),
    (nn.Unflatten(-2, (3, 1, 2)), (4, 6, 5)),
    (nn.GLU(), (3, 8)),
    (nn.GLU(1), (2, 6, 5)),
    (nn.ChannelShuffle(3), (2, 6, 4, 5)),
    (nn.Unfold(3), (2, 3, 7, 6)),
    (nn.Unfold((3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 3)), (2, 3, 7, 6)),
    (nn.Fold((7, 6), 3), (2, 18, 20)),
    (nn.Fold((9, 6), (3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 3)), (2, 12, 12)),
    (nn.Bilinear(3, 4, 5), (torch.randn(2, 6, 3), torch.randn(2, 6, 4))),
    (nn.Embedding(11, 4, padding_idx=2), places(11, 3, 5)),
    (nn.EmbeddingBag(11, 4), places(11, 3, 5)),
    (nn.EmbeddingBag(11, 4, mode="max"), places(11, 3, 5)),
    (nn.LPPool1d(3, 3, 2, ceil_mode=True), torch.rand(2, 3, 8) + 0.1),
    (nn.LPPool2d(2, (2, 3)), (2, 3, 8, 7)),
    (nn.LPPool2d(1.5, 3, 2), torch.rand(2, 3, 8, 7) + 0.1),
    (nn.LPPool3d(2, 2), (1, 2, 4, 5, 6)),
    (nn.PixelShuffle(2), (2, 8, 3, 4)),
    (nn.PixelUnshuffle(2), (2, 3, 4, 6)),
    (nn.Softmax2d(), (2, 3, 4, 5)),
    (nn.LogSoftmax(-1), (2, 3, 4)),
    (nn.Softmin(1), (2, 3, 4)),
    (nn.AdaptiveMaxPool2d((3, None)), (2, 3, 7, 5)),
    (nn.AdaptiveAvgPool3d((2, 3, 1)), (1, 2, 5, 7, 4)),
    (nn.Upsample(scale_factor=1.7, mode="bilinear"), (1, 2, 5, 7)),
    (nn.Upsample(scale_factor=2.0, mode="bilinear", recompute_scale_factor=True), (1, 2, 5, 7)),
    (nn.Upsample(size=9, mode="linear", align_corners=True), (1, 2, 5)),
    (nn.Upsample(scale_factor=(2, 1, 3), mode="trilinear"), (1, 2, 3, 4, 2)),
    (nn.Conv1d(4, 6, 3, 2, "valid", dilation=2, groups=2), (2, 4, 12)),
    (nn.Conv1d(4, 6, 4, padding="same", padding_mode="reflect"), (2, 4, 12)),
    (nn.ConvTranspose3d(2, 4, 3, 2, 1, 1, groups=2), (1, 2, 3, 2, 3)),
    (nn.Conv3d(2, 3, (3, 1, 2), padding=(1, 0, 1), padding_mode="circular"), (1, 2, 4, 3, 5)),
    *((getattr(nn, f"{kind}Pad{rank}d")((1, 2, 2, 1, 1, 0)[: 2 * rank]), (1, 2, *(4, 5, 3)[:rank]))
      for kind in ("Reflection", "Replication", "Zero", "Circular") for rank in (1, 2, 3)),
    *((getattr(nn, f"ConstantPad{rank}d")((1, 2, -1, 1, 1, 0)[: 2 * rank], 3.5), (1, 2, *(4, 5, 3)[:rank]))
      for rank in (1, 2, 3)),
    *((layer, (3, 4, 5)) for layer in (
        nn.CELU(0.7), nn.SELU(), nn.ELU(0.3), nn.Hardshrink(0.3), nn.Softshrink(0.2), nn.Tanhshrink(), nn.LogSigmoid(),
        nn.Softsign(), nn.Threshold(0.1, -3), nn.Mish(), nn.PReLU(), nn.PReLU(4), nn.Hardtanh(-0.5, 0.7), nn.ReLU6(),
        nn.Hardsigmoid(), nn.Hardswish(), nn.Softplus(2, 3), nn.GELU("tanh"), nn.LeakyReLU(0.3))),
    (nn.TransformerEncoderLayer(8, 2, 12), (5, 3, 8)),
    (nn.TransformerEncoderLayer(8, 2, 12, activation="gelu", batch_first=True, norm_first=True), (3, 5, 8)),
    (nn.TransformerEncoderLayer(8, 4, 12, activation=nn.SiLU(), layer_norm_eps=1e-3, bias=False), (5, 3, 8)),
    (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 2, nn.LayerNorm(8)), (5, 3, 8)),
    (nn.TransformerDecoderLayer(8, 2, 12, norm_first=True, activation=F.gelu), (torch.randn(5, 3, 8), torch.randn(4, 3, 8))),
    (nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, batch_first=True), 2), (torch.randn(3, 5, 8), torch.randn(3, 4, 8))),
    (nn.Transformer(8, 2, 2, 1, 12), (torch.randn(5, 3, 8), torch.randn(4, 3, 8))),
]  # fmt: skip
# What torch draws at random in training.
LAYERS_IN_EVALUATION = [(nn.RReLU(), (3, 4, 5)), (nn.AlphaDropout(), (3, 4)), (nn.FeatureAlphaDropout(), (3, 4, 5))]


def shaped(x):
    return torch.randn(*x) if isinstance(x, tuple) and isinstance(x[0], int) else x


def lively(layer):
    """Parameters and statistics that nobody chose."""
    for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
        with torch.no_grad():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(3)
            else:
                tensor.uniform_(-0.6, 0.6)
    return layer


def name_of(value):
    return type(value).__name__ if isinstance(value, nn.Module) else ""


@pytest.mark.parametrize("layer, x", LAYERS + LAYERS_IN_EVALUATION, ids=name_of)
def test_evaluation(layer, x, tmp_path):
    check_outputs(lively(layer), shaped(x), tmp_path, in_double=True)


@pytest.mark.parametrize("layer, x", LAYERS, ids=name_of)
def test_training(layer, x, tmp_path):
    check_training(lively(layer), shaped(x), tmp_path)


@pytest.mark.parametrize(
    "layer, x, reason",
    [
        (nn.Dropout(0.5), (2, 3), "dropout draws random numbers"),
        (nn.LSTM(3, 4, 2, dropout=0.5), (2, 2, 3), "dropout draws random numbers"),
        (nn.RReLU(), (2, 3), "RReLU draws its slopes in training"),
        (nn.AlphaDropout(), (2, 3), "what torch.nn.modules.dropout.AlphaDropout computes in training is not known"),
    ],
    ids=name_of,
)
def test_random_in_training(layer, x, reason, tmp_path):
    with pytest.raises(AssertionError, match=reason):
        interpreted(layer.train(), torch.randn(*x), tmp_path, "--training")


@pytest.mark.parametrize(
    "layer, x, reason",
    [
        (nn.InstanceNorm2d(3), (3, 4, 3), "takes 4 axes, but"),
        (nn.InstanceNorm1d(2), (2, 4, 3), "takes 2 channels, but 4 come to it"),
        (nn.GLU(), (2, 3), "cannot divide 3 by 2"),
        (nn.Unflatten(1, (2, 2)), (3, 6), "cannot make"),
        (nn.ChannelShuffle(4), (2, 6, 3), "cannot divide 6 by 4"),
        (nn.Embedding(3, 2), (2, 3), "takes places, which are whole numbers"),
        (nn.LSTM(3, 4), (2, 3), "takes 3 axes, but"),
        (nn.LSTM(3, 4), (2, 2, 5), "takes 3 features, but 5 come to it"),
        (nn.GRUCell(3, 4), (2, 2, 3), "takes 2 axes, or 1 without a batch"),
        (nn.LSTMCell(3, 4), (2, 5), "takes 3 features, but 5 come to it"),
        (nn.FractionalMaxPool2d(2, 2), (1, 2, 5, 5), "FractionalMaxPool2d is not known"),
        (nn.MaxUnpool2d(2), (1, 2, 5, 5), "MaxUnpool2d is not known"),
        (nn.MaxPool2d(2, return_indices=True), (1, 2, 5, 5), "no usable attribute 'return_indices'"),
        (nn.Embedding(3, 2, max_norm=1.0), (2, 3), "Embedding is not known"),
        (nn.Upsample(scale_factor=1.7, recompute_scale_factor=True), (1, 2, 5), "'recompute_scale_factor'"),
    ],
    ids=name_of,
)
def test_refusals(layer, x, reason, tmp_path):
    with pytest.raises(AssertionError, match=reason):
        interpreted(layer.eval(), torch.randn(*x), tmp_path)


@pytest.mark.parametrize("layer", [nn.LSTM(3, 4, 2, bidirectional=True), nn.GRU(3, 4, bias=False)], ids=name_of)
def test_changed_weights_are_those_that_run(layer, tmp_path):
    """A recurrent layer's forward takes its weights from a list beside its parameters."""
    torch.save(nn.Sequential(nn.Conv1d(2, 3, 1), layer), tmp_path / "in.pt")
    report("convert", tmp_path / "in.pt", "-o", tmp_path / "out.pt", "--dtype", "float16")
    changed = torch.load(tmp_path / "out.pt", weights_only=False)[1]
    assert [id(weight) for weight in changed._flat_weights] == [id(weight) for weight in changed.parameters()]
    assert all(weight.dtype == torch.float16 for weight in changed._flat_weights)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(changed.float()(x)[0], layer.half().float()(x)[0])
