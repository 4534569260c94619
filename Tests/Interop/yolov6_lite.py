"""What YOLOv6 0.4 adds to its earlier names, written from its published architecture: QARepVGG's blocks and the lite models."""

import torch
from torch import nn
from yolov6_blocks import ConvBN, ConvBNHS, ConvModule, Detect, named

common = "yolov6.layers.common."


class QA(nn.Module):
    """A norm behind the sum; beside the large kernel a bare one, the input itself and perhaps its average."""

    averages = False

    def __init__(self, c1, c2, s=1, g=1):
        super().__init__()
        self.deploy, self.groups, self.in_channels, self.out_channels = False, g, c1, c2
        self.nonlinearity, self.se = nn.ReLU(), nn.Identity()
        same = c1 == c2 and s == 1
        self.rbr_identity = nn.Identity() if same else None
        self.rbr_dense = ConvModule(c1, c2, 3, s, None, g=g)
        self.rbr_1x1 = nn.Conv2d(c1, c2, 1, s, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        if self.averages:
            self.rbr_avg = nn.AvgPool2d(3, s, 1) if same else None
        self._id_tensor = None

    def forward(self, x):
        if hasattr(self, "rbr_reparam"):
            return self.nonlinearity(self.bn(self.se(self.rbr_reparam(x))))
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        for branch in (self.rbr_identity, getattr(self, "rbr_avg", None)):
            y = y if branch is None else y + branch(x)
        return self.nonlinearity(self.bn(self.se(y)))


@named(common + "QARepVGGBlock")
class QARepVGGBlock(QA):
    pass


@named(common + "QARepVGGBlockV2")
class QARepVGGBlockV2(QA):
    averages = True


@named(common + "SEBlock")
class SEBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.avg_pool, self.relu, self.hardsigmoid = nn.AdaptiveAvgPool2d(1), nn.ReLU(), nn.Hardsigmoid()
        self.conv1, self.conv2 = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        return x * self.hardsigmoid(self.conv2(self.relu(self.conv1(self.avg_pool(x)))))


@named(common + "Lite_EffiBlockS1")
class LiteS1(nn.Module):
    def __init__(self, c, mid):
        super().__init__()
        self.conv_pw_1, self.conv_dw_1 = ConvBNHS(c // 2, mid, 1), ConvBN(mid, mid, 3, g=mid)
        self.se, self.conv_1 = SEBlock(mid), ConvBNHS(mid, c // 2, 1)

    def forward(self, x):
        kept, y = x.chunk(2, 1)
        y = torch.cat([kept, self.conv_1(self.se(self.conv_dw_1(self.conv_pw_1(y))))], 1)
        return y.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


@named(common + "Lite_EffiBlockS2")
class LiteS2(nn.Module):
    def __init__(self, c1, mid, c2):
        super().__init__()
        self.conv_dw_1, self.conv_1 = ConvBN(c1, c1, 3, 2, g=c1), ConvBNHS(c1, c2 // 2, 1)
        self.conv_pw_2, self.conv_dw_2 = ConvBNHS(c1, mid // 2, 1), ConvBN(mid // 2, mid // 2, 3, 2, g=mid // 2)
        self.se, self.conv_2 = SEBlock(mid // 2), ConvBNHS(mid // 2, c2 // 2, 1)
        self.conv_dw_3, self.conv_pw_3 = ConvBNHS(c2, c2, 3, g=c2), ConvBNHS(c2, c2, 1)

    def forward(self, x):
        y = torch.cat([self.conv_1(self.conv_dw_1(x)), self.conv_2(self.se(self.conv_dw_2(self.conv_pw_2(x))))], 1)
        return self.conv_pw_3(self.conv_dw_3(y))


@named(common + "DPBlock")
class DPBlock(nn.Module):
    def __init__(self, c1, c2, k=5, s=1):
        super().__init__()
        self.conv_dw_1, self.bn_1 = nn.Conv2d(c1, c2, k, s, (k - 1) // 2, groups=c2), nn.BatchNorm2d(c2)
        self.act_1, self.act_2 = nn.Hardswish(), nn.Hardswish()
        self.conv_pw_1, self.bn_2 = nn.Conv2d(c2, c2, 1), nn.BatchNorm2d(c2)

    def forward(self, x):
        return self.act_2(self.bn_2(self.conv_pw_1(self.act_1(self.bn_1(self.conv_dw_1(x))))))

    def forward_fuse(self, x):
        return self.act_2(self.conv_pw_1(self.act_1(self.conv_dw_1(x))))


@named(common + "DarknetBlock")
class DarknetBlock(nn.Module):
    def __init__(self, c, k):
        super().__init__()
        self.conv_1, self.conv_2 = ConvBNHS(c, c, 1), DPBlock(c, c, k)

    def forward(self, x):
        return self.conv_2(self.conv_1(x))


@named(common + "CSPBlock")
class CSPBlock(nn.Module):
    def __init__(self, c1, c2, k=5):
        super().__init__()
        c = c2 // 2
        self.conv_1, self.conv_2, self.conv_3 = ConvBNHS(c1, c, 1), ConvBNHS(c1, c, 1), ConvBNHS(2 * c, c2, 1)
        self.blocks = DarknetBlock(c, k)

    def forward(self, x):
        return self.conv_3(torch.cat([self.blocks(self.conv_1(x)), self.conv_2(x)], 1))


@named("yolov6.models.efficientrep.Lite_EffiBackbone")
class Backbone(nn.Module):
    def __init__(self, widths=(8, 8, 16, 16, 24), mids=(8, 8, 16, 16, 24), counts=(1, 2, 2, 1)):
        super().__init__()
        self.conv_0 = ConvBNHS(3, widths[0], 3, 2)
        for i, n in enumerate(counts):
            c1, c2, mid = widths[i], widths[i + 1], mids[i + 1]
            stage = nn.Sequential(LiteS2(c1, mid, c2), *(LiteS1(c2, mid) for _ in range(n - 1)))
            setattr(self, f"lite_effiblock_{i + 1}", stage)

    def forward(self, x):
        first = self.lite_effiblock_2(self.lite_effiblock_1(self.conv_0(x)))
        second = self.lite_effiblock_3(first)
        return first, second, self.lite_effiblock_4(second)


@named("yolov6.models.reppan.Lite_EffiNeck")
class Neck(nn.Module):
    def __init__(self, channels, c):
        super().__init__()
        for i, c1 in enumerate(channels):
            setattr(self, f"reduce_layer{i}", ConvBNHS(c1, c, 1))
        self.upsample0, self.upsample1 = (nn.Upsample(scale_factor=2, mode="nearest") for _ in range(2))
        self.Csp_p4, self.Csp_p3, self.Csp_n3, self.Csp_n4 = (CSPBlock(2 * c, c) for _ in range(4))
        self.downsample2, self.downsample1, self.p6_conv_1, self.p6_conv_2 = (DPBlock(c, c, 5, 2) for _ in range(4))

    def forward(self, levels):
        fine, middle, top = self.reduce_layer2(levels[0]), self.reduce_layer1(levels[1]), self.reduce_layer0(levels[2])
        middle = self.Csp_p4(torch.cat([self.upsample0(top), middle], 1))
        p3 = self.Csp_p3(torch.cat([self.upsample1(middle), fine], 1))
        p4 = self.Csp_n3(torch.cat([self.downsample2(p3), middle], 1))
        p5 = self.Csp_n4(torch.cat([self.downsample1(p4), top], 1))
        return [p3, p4, p5, self.p6_conv_1(top) + self.p6_conv_2(p5)]


@named("yolov6.models.heads.effidehead_lite.Detect")
class LiteDetect(Detect):
    def __init__(self, c, nc=3):
        super().__init__([c] * 4, nc)
        del self.proj_conv, self.use_dfl, self.reg_max
        self.use_dfl = False
        self.stride = torch.tensor([8, 16, 32, 64])
        self.stems, self.cls_convs, self.reg_convs = (nn.ModuleList(DPBlock(c, c) for _ in range(4)) for _ in range(3))


@named("yolov6.models.yolo_lite.Model")
class Model(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.backbone, self.neck, self.detect = Backbone(), Neck((24, 16, 16), c), LiteDetect(c)

    def forward(self, x):
        features = self.neck(self.backbone(x))
        return [self.detect(list(features)), features]
