"""RepVGG's, RepVGGplus' and MobileOne's own classes, written from their published architecture: what their pickles hold, small."""

import torch
from torch import nn
from torch.nn import functional as F
from yolov6_blocks import named


def conv_bn(c1, c2, k, s, g=1, activation=False):
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=False))
    layers.add_module("bn", nn.BatchNorm2d(c2))
    if activation:
        layers.add_module("relu", nn.ReLU())
    return layers


@named("se_block.SEBlock")
class SEBlock(nn.Module):
    def __init__(self, c, inner):
        super().__init__()
        self.down, self.up, self.input_channels = nn.Conv2d(c, inner, 1), nn.Conv2d(inner, c, 1), c

    def forward(self, x):
        y = F.avg_pool2d(x, kernel_size=x.size(3))
        y = torch.sigmoid(self.up(F.relu(self.down(y))))
        return x * y.view(-1, self.input_channels, 1, 1)


class Branches(nn.Module):
    def __init__(self, c1, c2, s=1, g=1, deploy=False):
        super().__init__()
        self.deploy, self.groups, self.in_channels, self.nonlinearity = deploy, g, c1, nn.ReLU()
        if deploy:
            self.rbr_reparam = nn.Conv2d(c1, c2, 3, s, 1, groups=g)
        else:
            self.rbr_identity = nn.BatchNorm2d(c1) if c1 == c2 and s == 1 else None
            self.rbr_dense, self.rbr_1x1 = conv_bn(c1, c2, 3, s, g), conv_bn(c1, c2, 1, s, g)

    def added(self, x):
        if hasattr(self, "rbr_reparam"):
            return self.rbr_reparam(x)
        return self.rbr_dense(x) + self.rbr_1x1(x) + (0 if self.rbr_identity is None else self.rbr_identity(x))


@named("repvgg.RepVGGBlock")
class RepVGGBlock(Branches):
    def __init__(self, c1, c2, s=1, g=1, deploy=False, se=None):
        super().__init__(c1, c2, s, g, deploy)
        if se is not None:  # the first release has none
            self.se = SEBlock(c2, c2 // 4) if se else nn.Identity()

    def forward(self, x):
        y = self.added(x)
        return self.nonlinearity(self.se(y) if hasattr(self, "se") else y)


@named("repvgg.RepVGG")
class RepVGG(nn.Module):
    def __init__(self, counts=(1, 2, 2, 1), c=8, groups=1, listed=False, **options):
        super().__init__()
        self.use_checkpoint = False
        self.stage0 = RepVGGBlock(3, c, 2, **options)
        for i, n in enumerate(counts):
            c1, c = c, c + 8
            blocks = [RepVGGBlock(c1 if j == 0 else c, c, 2 if j == 0 else 1, groups if j else 1, **options) for j in range(n)]
            setattr(self, f"stage{i + 1}", nn.ModuleList(blocks) if listed else nn.Sequential(*blocks))
        self.gap, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(c, 5)

    def forward(self, x):
        x = self.stage0(x)
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4):
            for block in stage if isinstance(stage, nn.ModuleList) else [stage]:
                x = block(x)
        return self.linear(self.gap(x).flatten(1))


@named("repvggplus.RepVGGplusBlock")
class RepVGGplusBlock(Branches):
    def __init__(self, c1, c2, s=1, deploy=False):
        super().__init__(c1, c2, s, 1, deploy)
        self.post_se = SEBlock(c2, c2 // 4)

    def forward(self, x, L2):
        y = self.post_se(self.nonlinearity(self.added(x)))
        if self.deploy:
            return y, None
        large, small = self.rbr_dense.conv.weight, self.rbr_1x1.conv.weight
        norms = self.rbr_dense.bn, self.rbr_1x1.bn
        outer, inner = ((n.weight / (n.running_var + n.eps).sqrt()).reshape(-1, 1, 1, 1).detach() for n in norms)
        middle = large[:, :, 1:2, 1:2]
        both = middle * outer + small * inner
        ring = (large**2).sum() - (middle**2).sum()
        return y, L2 + ring + (both**2 / (outer**2 + inner**2)).sum()


@named("repvggplus.RepVGGplusStage")
class RepVGGplusStage(nn.Module):
    def __init__(self, c1, c2, n, s, deploy):
        super().__init__()
        blocks = [RepVGGplusBlock(c1 if i == 0 else c2, c2, s if i == 0 else 1, deploy) for i in range(n)]
        self.blocks, self.use_checkpoint = nn.ModuleList(blocks), False

    def forward(self, x, L2):
        for block in self.blocks:
            x, L2 = block(x, L2)
        return x, L2


@named("repvggplus.RepVGGplus")
class RepVGGplus(nn.Module):
    stages = ("stage1", "stage2", "stage3_first", "stage3_second", "stage4")

    def __init__(self, c=8, deploy=False):
        super().__init__()
        self.deploy, self.stage0 = deploy, RepVGGplusBlock(3, c, 2, deploy)
        for name in self.stages:
            second = name == "stage3_second"
            c1, c = c, c if second else c + 8
            setattr(self, name, RepVGGplusStage(c1, c, 2, 1 if second else 2, deploy))
            if not deploy and name in self.stages[:3]:
                pooled = conv_bn(c, c, 3, 2, activation=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 5)
                setattr(self, f"{name}_aux", nn.Sequential(*pooled))
        self.gap, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(c, 5)

    def forward(self, x):
        x, L2 = self.stage0(x, None if self.deploy else 0.0)
        extra = {}
        for name in self.stages:
            x, L2 = getattr(self, name)(x, L2)
            if not self.deploy and name in self.stages[:3]:
                extra[f"{name}_aux"] = getattr(self, f"{name}_aux")(x)
        y = self.linear(self.gap(x).flatten(1))
        return y if self.deploy else {"main": y, **extra, "L2": L2}


@named("mobileone.SEBlock")
class MobileSE(nn.Module):
    def __init__(self, c, inner):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(c, inner, 1), nn.Conv2d(inner, c, 1)

    def forward(self, x):
        y = F.avg_pool2d(x, kernel_size=list(x.shape[2:]))
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(y))))


@named("mobileone.MobileOneBlock")
class MobileOneBlock(nn.Module):
    def __init__(self, c1, c2, k, s=1, g=1, merged=False, se=False, n=1):
        super().__init__()
        self.inference_mode, self.groups, self.stride, self.kernel_size = merged, g, s, k
        self.in_channels, self.out_channels, self.num_conv_branches = c1, c2, n
        self.se, self.activation = MobileSE(c2, c2 // 4) if se else nn.Identity(), nn.ReLU()
        if merged:
            self.reparam_conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=g)
        else:
            self.rbr_skip = nn.BatchNorm2d(c1) if c1 == c2 and s == 1 else None
            self.rbr_conv = nn.ModuleList(conv_bn(c1, c2, k, s, g) for _ in range(n))
            self.rbr_scale = conv_bn(c1, c2, 1, s, g) if k > 1 else None

    def forward(self, x):
        if self.inference_mode:
            return self.activation(self.se(self.reparam_conv(x)))
        branches = [b for b in (self.rbr_scale, self.rbr_skip, *self.rbr_conv) if b is not None]
        return self.activation(self.se(sum(branch(x) for branch in branches)))


@named("mobileone.MobileOne")
class MobileOne(nn.Module):
    def __init__(self, counts=(1, 2, 2, 1), c=8, se=False, **options):
        super().__init__()
        self.inference_mode, self.use_se = options.get("merged", False), se
        self.stage0 = MobileOneBlock(3, c, 3, 2, **options)
        for i, n in enumerate(counts):
            blocks = []
            for j in range(n):
                c2 = c + 8 if j == 0 else c
                squeeze = se and i >= 2
                blocks.append(MobileOneBlock(c, c, 3, 2 if j == 0 else 1, c, se=squeeze, **options))
                blocks.append(MobileOneBlock(c, c2, 1, se=squeeze, **options))
                c = c2
            setattr(self, f"stage{i + 1}", nn.Sequential(*blocks))
        self.gap, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(c, 5)

    def forward(self, x):
        for stage in (self.stage0, self.stage1, self.stage2, self.stage3, self.stage4):
            x = stage(x)
        return self.linear(self.gap(x).flatten(1))
