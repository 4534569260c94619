"""Classes of our own, so that whole-module files hold classes the tool cannot know."""

import torch
from torch import nn


class OutputUsedTwice(nn.Module):
    """The conv's output feeds the norm and something else."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) + y


class HiddenActivation(nn.Module):
    """conv1 and bn1 by name, but a ReLU function stands between them."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.bn1(torch.relu(self.conv1(x)))


class Conv(nn.Module):
    """Named and built like YOLO's Conv, without its forward_fuse: the norm comes after the activation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.bn(self.act(self.conv(x)))


class Bottleneck(nn.Module):
    """Named like torchvision's, but pre-activated: bn2 follows conv1."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(4)
        self.conv3 = nn.Conv2d(4, 4, 1)
        self.bn3 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.downsample = None
        self.stride = 1

    def forward(self, x):
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        return x + self.conv3(self.relu(self.bn3(y)))


class Backwards(nn.Sequential):
    """A Sequential with a forward of its own: the norm runs first."""

    def forward(self, x):
        for m in reversed(self):
            x = m(x)
        return x


class PlainSequential(nn.Sequential):
    """A Sequential of another name whose forward is Sequential's."""


class SkippedSequential(nn.Module):
    """Registers conv and norm in order, runs them in order, but through a list: nothing says so in the file."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)])
        self.order = [0, 1, 2]

    def forward(self, x):
        for i in self.order:
            x = self.layers[i](x)
        return x


class Tapped(nn.Module):
    """Runs its Sequential layer by layer and returns what the conv gave, too."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x):
        results = []
        for layer in self.body:
            x = layer(x)
            results.append(x)
        return results


class ConvShared(nn.Module):
    """One conv under two names, in two Sequentials with a norm each."""

    def __init__(self):
        super().__init__()
        conv = nn.Conv2d(3, 4, 3)
        self.a = nn.Sequential(conv, nn.BatchNorm2d(4))
        self.b = nn.Sequential(conv, nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x):
        return self.a(x) + self.b(x)


class NormShared(nn.Module):
    """One norm under two names, behind two convs."""

    def __init__(self):
        super().__init__()
        bn = nn.BatchNorm2d(4)
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3), bn)
        self.b = nn.Sequential(nn.Conv2d(3, 4, 3), bn, nn.ReLU())

    def forward(self, x):
        return self.a(x) + self.b(x)


class WeightShared(nn.Module):
    """Two convs whose weight is one parameter."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.b = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.b[0].weight = self.a[0].weight

    def forward(self, x):
        return self.a(x) + self.b(x)


class StorageShared(nn.Module):
    """Two convs whose weights are different parameters over one storage."""

    def __init__(self):
        super().__init__()
        both = torch.randn(8, 3, 3, 3)
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.b = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.a[0].weight = nn.Parameter(both[:4])
        self.b[0].weight = nn.Parameter(both[4:])

    def forward(self, x):
        return self.a(x) + self.b(x)


class BlockShared(nn.Module):
    """A Sequential under two names, run twice: fusing it once is right for both."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.again = self.a

    def forward(self, x):
        return self.again(self.a(x))


class ConvAlsoAlone(nn.Module):
    """The Sequential's conv is used by itself as well, under another name."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.conv = self.body[0]

    def forward(self, x):
        return self.body(x) + self.conv(x)


class WeightReadElsewhere(nn.Module):
    """Another module keeps the conv's weight as a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.kernel = self.body[0].weight

    def forward(self, x):
        return self.body(x) + torch.conv2d(x, self.kernel)


class MyConv(nn.Conv2d):
    """A subclass of Conv2d that does more than convolve."""

    def forward(self, x):
        return super().forward(x).abs()


class MyNorm(nn.BatchNorm2d):
    """A subclass of BatchNorm2d that does more than normalise."""

    def forward(self, x):
        return torch.relu(super().forward(x)) - 1


def double(module, arguments, output):
    """A forward hook."""
    return output * 2


def negate(module, arguments):
    """A forward pre-hook."""
    return (-arguments[0],)


def shout(x):
    """Put in place of a module's forward."""
    return x.abs() + 1


class FrozenBatchNorm2d(nn.Module):
    """As Detectron's: fixed statistics, and how many channels there are."""

    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.num_features, self.eps = num_features, eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((num_features,), value))

    def forward(self, x):
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


class Unknown(nn.Module):
    """Runs its modules in an order that nobody outside knows."""

    def __init__(self, *modules):
        super().__init__()
        for index, module in enumerate(modules):
            setattr(self, f"part{index}", module)
