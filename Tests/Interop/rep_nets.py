"""RepVGG's block with the child names that RepVGG, YOLOv6 and YOLOv7 use, written from the published architecture."""

from torch import nn


def branch(inputs, outputs, size, stride, groups):
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False))
    layers.add_module("bn", nn.BatchNorm2d(outputs))
    return layers


class RepVGGBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1, groups=1):
        super().__init__()
        self.deploy = False
        self.nonlinearity = nn.ReLU()
        self.se = nn.Identity()
        self.rbr_identity = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None
        self.rbr_dense = branch(inputs, outputs, 3, stride, groups)
        self.rbr_1x1 = branch(inputs, outputs, 1, stride, groups)

    def forward(self, x):
        if hasattr(self, "rbr_reparam"):
            return self.nonlinearity(self.se(self.rbr_reparam(x)))
        identity = 0 if self.rbr_identity is None else self.rbr_identity(x)
        return self.nonlinearity(self.se(self.rbr_dense(x) + self.rbr_1x1(x) + identity))


class RepConv(nn.Module):
    """YOLOv7's: plain Sequentials, and an activation called act."""

    def __init__(self, inputs, outputs, stride=1, groups=1):
        super().__init__()
        self.act = nn.SiLU()
        self.rbr_identity = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None
        self.rbr_dense = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(outputs)
        )
        self.rbr_1x1 = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, 0, groups=groups, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        if hasattr(self, "rbr_reparam"):
            return self.act(self.rbr_reparam(x))
        identity = 0 if self.rbr_identity is None else self.rbr_identity(x)
        return self.act(self.rbr_dense(x) + self.rbr_1x1(x) + identity)


class QARepVGGBlock(RepVGGBlock):
    """A relative with a norm behind the sum: not understood."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.nonlinearity(self.bn(self.rbr_dense(x) + self.rbr_1x1(x)))
