"""torchvision's classifiers as its earlier releases defined them, where that differs from today."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import densenet, inception, mobilenetv2, mobilenetv3, vgg
from torchvision.ops.misc import Conv2dNormActivation


CLASSES = []


def pickled_as(module, name):
    """Gives a class the path under which the release pickled it."""

    def rename(cls):
        cls.__module__, cls.__qualname__ = f"torchvision.models.{module}", name
        CLASSES.append(cls)
        return cls

    return rename


class WithoutPool:
    """AlexNet and VGG until 0.2.1: what the features give is flattened as it is."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        del self.avgpool

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


@pickled_as("alexnet", "AlexNet")
class AlexNet(WithoutPool, torchvision.models.AlexNet):
    pass


@pickled_as("vgg", "VGG")
class VGG(WithoutPool, vgg.VGG):
    pass


@pickled_as("densenet", "_DenseBlock")
class DenseBlock(nn.Sequential):
    """DenseNet's until 0.3."""


@pickled_as("densenet", "_DenseLayer")
class DenseLayer(nn.Sequential):
    """DenseNet's until 0.3: gives its input together with its own features."""

    def __init__(self, inputs, growth, width):
        convs = [nn.Conv2d(inputs, width, 1, bias=False), nn.Conv2d(width, growth, 3, padding=1, bias=False)]
        layers = [nn.BatchNorm2d(inputs), nn.ReLU(True), convs[0], nn.BatchNorm2d(width), nn.ReLU(True), convs[1]]
        super().__init__(OrderedDict(zip(["norm1", "relu1", "conv1", "norm2", "relu2", "conv2"], layers)))
        self.drop_rate = 0

    def forward(self, x):
        return torch.cat([x, super().forward(x)], 1)


def densenet_03():
    net = densenet.DenseNet(8, (2, 3), 12, 2)
    for name, block in list(net.features.named_children()):
        if isinstance(block, densenet._DenseBlock):
            layers = [(n, DenseLayer(layer.norm1.num_features, 8, 16)) for n, layer in block.items()]
            net.features._modules[name] = DenseBlock(OrderedDict(layers))
    return net


@pickled_as("mobilenet", "ConvBNReLU")
class ConvBNReLU(nn.Sequential):
    """MobileNet V2's until 0.8."""

    def __init__(self, *arguments, **options):
        super().__init__(*Conv2dNormActivation(*arguments, **options))


@pickled_as("mobilenetv2", "ConvBNActivation")
class ConvBNActivation(ConvBNReLU):
    """Its name in 0.9 and 0.10."""


@pickled_as("mobilenet", "MobileNetV2")
class MobileNetV2(mobilenetv2.MobileNetV2):
    """In `mobilenet` until 0.8, with a mean over both axes until 0.6."""

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


@pickled_as("mobilenet", "InvertedResidual")
class InvertedResidual(mobilenetv2.InvertedResidual):
    pass


def mobilenet_v2_06():
    mobilenetv2.Conv2dNormActivation = ConvBNReLU
    try:
        return MobileNetV2(block=InvertedResidual)
    finally:
        mobilenetv2.Conv2dNormActivation = Conv2dNormActivation


@pickled_as("mobilenetv3", "SqueezeExcitation")
class SqueezeExcitation(nn.Module):
    """MobileNet V3's until 0.10: the pool and the gate are functions."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU(True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return F.hardsigmoid(self.fc2(self.relu(self.fc1(F.adaptive_avg_pool2d(x, 1))))) * x


def mobilenet_v3_010():
    mobilenetv3.Conv2dNormActivation = ConvBNActivation
    try:
        net = torchvision.models.mobilenet_v3_small()
    finally:
        mobilenetv3.Conv2dNormActivation = Conv2dNormActivation
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, mobilenetv3.SElayer):
                module._modules[name] = SqueezeExcitation(child.fc1.in_channels, child.fc1.out_channels)
    return net


@pickled_as("inception", "Inception3")
class Inception3(inception.Inception3):
    """Until 0.7: pools and dropout are functions."""

    def __init__(self):
        super().__init__(aux_logits=False, init_weights=False)
        del self.maxpool1, self.maxpool2, self.avgpool, self.dropout

    def forward(self, x):
        for name, child in self.named_children():
            if name == "fc":
                return child(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
            x = child(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, stride=2)


MODELS = {
    "alexnet 0.2.1": AlexNet,
    "vgg11 0.2.1": lambda: VGG(vgg.make_layers(vgg.cfgs["A"])),
    "densenet 0.3": densenet_03,
    "mobilenet_v2 0.6": mobilenet_v2_06,
    "mobilenet_v3_small 0.10": mobilenet_v3_010,
    "inception_v3 0.7": Inception3,
}
