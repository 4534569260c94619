"""Classes of YOLOX's names, written from their published architecture: what their pickles hold, small."""

import torch
from torch import nn
from yolov6_blocks import named

blocks = "yolox.models.network_blocks."


def activation(name):
    return {"silu": lambda: nn.SiLU(True), "relu": lambda: nn.ReLU(True), "lrelu": lambda: nn.LeakyReLU(0.1, True)}[name]()


@named(blocks + "BaseConv")
class BaseConv(nn.Module):
    def __init__(self, c1, c2, k, s=1, g=1, act="silu"):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, (k - 1) // 2, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = activation(act)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))

    def fuseforward(self, x):
        return self.act(self.conv(x))


@named(blocks + "DWConv")
class DWConv(nn.Module):
    def __init__(self, c1, c2, k, s=1, act="silu"):
        super().__init__()
        self.dconv, self.pconv = BaseConv(c1, c1, k, s, c1, act), BaseConv(c1, c2, 1, act=act)

    def forward(self, x):
        return self.pconv(self.dconv(x))


@named(blocks + "Bottleneck")
class Bottleneck(nn.Module):
    def __init__(self, c, shortcut, wide, act):
        super().__init__()
        self.conv1, self.conv2 = BaseConv(c, c, 1, act=act), wide(c, c, 3, act=act)
        self.use_add = shortcut

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        return y + x if self.use_add else y


@named(blocks + "ResLayer")
class ResLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layer1, self.layer2 = BaseConv(c, c // 2, 1, act="lrelu"), BaseConv(c // 2, c, 3, act="lrelu")

    def forward(self, x):
        return x + self.layer2(self.layer1(x))


@named(blocks + "SPPBottleneck")
class SPPBottleneck(nn.Module):
    def __init__(self, c1, c2, kernels=(5, 9, 13), act="silu"):
        super().__init__()
        self.conv1 = BaseConv(c1, c1 // 2, 1, act=act)
        self.m = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in kernels)
        self.conv2 = BaseConv(c1 // 2 * (len(kernels) + 1), c2, 1, act=act)

    def forward(self, x):
        x = self.conv1(x)
        return self.conv2(torch.cat([x, *(m(x) for m in self.m)], 1))


@named(blocks + "CSPLayer")
class CSPLayer(nn.Module):
    def __init__(self, c1, c2, n, shortcut, wide, act):
        super().__init__()
        c = c2 // 2
        self.conv1, self.conv2 = BaseConv(c1, c, 1, act=act), BaseConv(c1, c, 1, act=act)
        self.conv3 = BaseConv(2 * c, c2, 1, act=act)
        self.m = nn.Sequential(*(Bottleneck(c, shortcut, wide, act) for _ in range(n)))

    def forward(self, x):
        return self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), 1))


@named(blocks + "Focus")
class Focus(nn.Module):
    def __init__(self, c1, c2, k, act):
        super().__init__()
        self.conv = BaseConv(4 * c1, c2, k, act=act)

    def forward(self, x):
        return self.conv(torch.cat([x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)], 1))


STAGES = ("stem", "dark2", "dark3", "dark4", "dark5")


class Stages(nn.Module):
    def forward(self, x):
        outputs = {}
        for name in STAGES:
            x = outputs[name] = getattr(self, name)(x)
        return {name: y for name, y in outputs.items() if name in self.out_features}


@named("yolox.models.darknet.CSPDarknet")
class CSPDarknet(Stages):
    def __init__(self, c, n, wide, act, out_features=("dark3", "dark4", "dark5")):
        super().__init__()
        self.out_features = out_features
        self.stem = Focus(3, c, 3, act)
        for i, name in enumerate(STAGES[1:]):
            c, depth = 2 * c, n * (3 if i in (1, 2) else 1)
            pool = [SPPBottleneck(c, c, act=act)] if i == 3 else []
            setattr(self, name, nn.Sequential(wide(c // 2, c, 3, 2, act=act), *pool, CSPLayer(c, c, depth, i < 3, wide, act)))


@named("yolox.models.darknet.Darknet")
class Darknet(Stages):
    def __init__(self, c, counts=(1, 2, 2, 1), out_features=("dark3", "dark4", "dark5")):
        super().__init__()
        self.out_features = out_features
        self.stem = nn.Sequential(BaseConv(3, c, 3, act="lrelu"), *self.group(c, 1))
        for i, (name, n) in enumerate(zip(STAGES[1:], counts)):
            c *= 2
            setattr(self, name, nn.Sequential(*self.group(c, n), *(self.pool(c) if i == 3 else [])))

    def group(self, c, n):
        return [BaseConv(c, 2 * c, 3, 2, act="lrelu"), *(ResLayer(2 * c) for _ in range(n))]

    def pool(self, c):
        return nn.Sequential(
            BaseConv(2 * c, c, 1, act="lrelu"), BaseConv(c, 2 * c, 3, act="lrelu"), SPPBottleneck(2 * c, c, act="lrelu"),
            BaseConv(c, 2 * c, 3, act="lrelu"), BaseConv(2 * c, c, 1, act="lrelu"),
        )  # fmt: skip


@named("yolox.models.yolo_pafpn.YOLOPAFPN")
class YOLOPAFPN(nn.Module):
    def __init__(self, c, n, wide, act):
        super().__init__()
        self.backbone = CSPDarknet(c, n, wide, act)
        self.in_features = ("dark3", "dark4", "dark5")
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        c3, c4, c5 = 4 * c, 8 * c, 16 * c
        self.lateral_conv0, self.reduce_conv1 = BaseConv(c5, c4, 1, act=act), BaseConv(c4, c3, 1, act=act)
        self.C3_p4, self.C3_p3 = CSPLayer(2 * c4, c4, n, False, wide, act), CSPLayer(2 * c3, c3, n, False, wide, act)
        self.bu_conv2, self.bu_conv1 = wide(c3, c3, 3, 2, act=act), wide(c4, c4, 3, 2, act=act)
        self.C3_n3, self.C3_n4 = CSPLayer(2 * c3, c4, n, False, wide, act), CSPLayer(2 * c4, c5, n, False, wide, act)

    def forward(self, x):
        features = self.backbone(x)
        fine, middle, coarse = (features[name] for name in self.in_features)
        top = self.lateral_conv0(coarse)
        second = self.reduce_conv1(self.C3_p4(torch.cat([self.upsample(top), middle], 1)))
        p3 = self.C3_p3(torch.cat([self.upsample(second), fine], 1))
        p4 = self.C3_n3(torch.cat([self.bu_conv2(p3), second], 1))
        return p3, p4, self.C3_n4(torch.cat([self.bu_conv1(p4), top], 1))


@named("yolox.models.yolo_fpn.YOLOFPN")
class YOLOFPN(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.backbone, self.in_features = Darknet(c), ["dark3", "dark4", "dark5"]
        self.out1_cbl, self.out2_cbl = BaseConv(16 * c, 8 * c, 1, act="lrelu"), BaseConv(8 * c, 4 * c, 1, act="lrelu")
        self.out1, self.out2 = self.embedding(8 * c, 24 * c), self.embedding(4 * c, 12 * c)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def embedding(self, c, c1):
        widths = [(c1, c, 1), (c, 2 * c, 3), (2 * c, c, 1), (c, 2 * c, 3), (2 * c, c, 1)]
        return nn.Sequential(*(BaseConv(a, b, k, act="lrelu") for a, b, k in widths))

    def forward(self, x):
        features = self.backbone(x)
        fine, middle, coarse = (features[name] for name in self.in_features)
        second = self.out1(torch.cat([self.upsample(self.out1_cbl(coarse)), middle], 1))
        return self.out2(torch.cat([self.upsample(self.out2_cbl(second)), fine], 1)), second, coarse


@named("yolox.models.losses.IOUloss")
class IOUloss(nn.Module):
    pass


@named("yolox.models.yolo_head.YOLOXHead")
class YOLOXHead(nn.Module):
    def __init__(self, channels, c, nc=4, strides=(8, 16, 32), wide=BaseConv, act="silu"):
        super().__init__()
        self.n_anchors, self.num_classes, self.decode_in_inference = 1, nc, True
        pair = lambda: nn.Sequential(wide(c, c, 3, act=act), wide(c, c, 3, act=act))  # noqa: E731
        self.cls_convs, self.reg_convs = (nn.ModuleList(pair() for _ in channels) for _ in range(2))
        self.cls_preds, self.reg_preds, self.obj_preds = (
            nn.ModuleList(nn.Conv2d(c, n, 1) for _ in channels) for n in (nc, 4, 1)
        )
        self.stems = nn.ModuleList(BaseConv(k, c, 1, act=act) for k in channels)
        self.use_l1, self.l1_loss, self.bcewithlog_loss = False, nn.L1Loss(reduction="none"), nn.BCEWithLogitsLoss(reduction="none")
        self.iou_loss = IOUloss()
        self.strides, self.grids = list(strides), [torch.zeros(1)] * len(channels)

    def forward(self, levels):
        rows = []
        for i, (x, stride) in enumerate(zip(levels, self.strides)):
            x = self.stems[i](x)
            y = self.reg_convs[i](x)
            scores = self.cls_preds[i](self.cls_convs[i](x)).sigmoid()
            row = torch.cat([self.reg_preds[i](y), self.obj_preds[i](y).sigmoid(), scores], 1).flatten(2).permute(0, 2, 1)
            if self.decode_in_inference:
                height, width = x.shape[2:]
                places = torch.arange(height * width, device=x.device)
                cells = torch.stack((places % width, places // width), -1)
                row = torch.cat([(row[..., :2] + cells) * stride, row[..., 2:4].exp() * stride, row[..., 4:]], -1)
            rows.append(row)
        return torch.cat(rows, 1)


@named("yolox.models.yolox.YOLOX")
class YOLOX(nn.Module):
    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x):
        return self.head(self.backbone(x))


def yolox(c=8, n=1, wide=BaseConv, act="silu", **head):
    return YOLOX(YOLOPAFPN(c, n, wide, act), YOLOXHead((4 * c, 8 * c, 16 * c), 4 * c, wide=wide, act=act, **head))


def yolov3(c=4):
    return YOLOX(YOLOFPN(c), YOLOXHead((4 * c, 8 * c, 16 * c), 4 * c, act="lrelu"))
