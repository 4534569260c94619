"""torch.nn's layers beyond those of classifiers: operations, against the tools that count them."""

import pytest
from flops_judges import check_flops
from torch import nn

# Behind a convolution whose output is made a sequence: 4 places of 20 features, or the other way round.
SEQUENCES = [
    nn.LSTM(20, 7, 2, bidirectional=True),
    nn.LSTM(20, 7, 3, bias=False, batch_first=True),
    nn.GRU(20, 9, 2),
    nn.GRU(20, 9, bidirectional=True, bias=False, batch_first=True),
    nn.RNN(20, 5, 2, bidirectional=True),
    nn.TransformerEncoderLayer(20, 4, 24),
    nn.TransformerEncoder(nn.TransformerEncoderLayer(20, 2, 24, batch_first=True, norm_first=True), 2, nn.LayerNorm(20)),
    nn.Sequential(nn.RMSNorm(20), nn.GLU(), nn.Linear(10, 6), nn.LogSoftmax(-1), nn.Softmin(1)),
    nn.Sequential(nn.Unflatten(-1, (4, 5)), nn.RMSNorm((4, 5)), nn.Softmax2d()),
]
PICTURES = [
    nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), nn.ReLU(), nn.InstanceNorm2d(8, affine=True)),
    nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, track_running_stats=True), nn.GroupNorm(2, 8)),
    nn.Sequential(nn.Conv2d(3, 8, 3), nn.LocalResponseNorm(3), nn.ChannelShuffle(2), nn.PReLU(8), nn.Mish()),
    nn.Sequential(nn.Conv2d(3, 8, 3), nn.LPPool2d(2, 2), nn.Unfold(3), nn.Conv1d(72, 5, 1)),
    nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 8, 3), nn.CircularPad2d(1), nn.PixelUnshuffle(2)),
]
OTHERS = [
    (nn.Sequential(nn.Linear(3, 6), nn.RNNCell(6, 5, nonlinearity="relu"), nn.GRUCell(5, 7, bias=False), nn.LSTMCell(7, 4)), ()),
    (nn.Sequential(nn.Conv1d(3, 8, 5, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.AvgPool1d(3), nn.InstanceNorm1d(8)), (50,)),
    (nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(2), nn.ConvTranspose3d(4, 2, 2)), (4, 9, 8)),
    (nn.Sequential(nn.Conv1d(3, 20, 3), nn.Upsample(scale_factor=2, mode="linear"), nn.AdaptiveMaxPool1d(7)), (31,)),
]  # fmt: skip


@pytest.mark.parametrize("layer", SEQUENCES, ids=lambda layer: type(layer).__name__)
def test_sequences(layer, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), layer).to("meta")
    check_flops(net, (6, 7), tmp_path / "in.pt")


@pytest.mark.parametrize("net", PICTURES, ids=range(len(PICTURES)))
def test_pictures(net, tmp_path):
    check_flops(net.to("meta"), (14, 22), tmp_path / "in.pt")


@pytest.mark.parametrize("net, size", OTHERS, ids=range(len(OTHERS)))
def test_other_axes(net, size, tmp_path):
    """Inputs that are no pictures."""
    check_flops(net.to("meta"), size, tmp_path / "in.pt")
