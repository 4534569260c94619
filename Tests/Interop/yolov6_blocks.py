"""Classes of YOLOv6's names, written from their published architecture: what their pickles hold, small."""

import sys
import types

import torch
from torch import nn
from torch.nn import functional as F


def named(path):
    """Puts a class under the path that pickles hold it by."""
    folder, name = path.rsplit(".", 1)
    parts = folder.split(".")
    for depth in range(1, len(parts) + 1):
        package = ".".join(parts[:depth])
        module = sys.modules.setdefault(package, types.ModuleType(package))

    def place(cls):
        cls.__module__, cls.__qualname__, cls.__name__ = folder, name, name
        setattr(module, name, cls)
        return cls

    return place


common = "yolov6.layers.common."


@named(common + "ConvModule")
class ConvModule(nn.Module):
    def __init__(self, c1, c2, k, s, activation="relu", p=None, g=1, bias=False):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2 if p is None else p, groups=g, bias=bias)
        self.bn = nn.BatchNorm2d(c2)
        self.activation_type = activation
        if activation:
            self.act = {"relu": nn.ReLU, "silu": nn.SiLU, "hardswish": nn.Hardswish}[activation]()

    def forward(self, x):
        y = self.bn(self.conv(x))
        return self.act(y) if self.activation_type else y

    def forward_fuse(self, x):
        return self.act(self.conv(x)) if self.activation_type else self.conv(x)


def shell(name, activation):
    class Block(nn.Module):
        def __init__(self, c1, c2, k=3, s=1, p=None, g=1, bias=False):
            super().__init__()
            self.block = ConvModule(c1, c2, k, s, activation, p, g, bias)

        def forward(self, x):
            return self.block(x)

    return named(common + name)(Block)


ConvBNReLU, ConvBNSiLU = shell("ConvBNReLU", "relu"), shell("ConvBNSiLU", "silu")
ConvBN, ConvBNHS = shell("ConvBN", None), shell("ConvBNHS", "hardswish")


@named(common + "SimConv")
class SimConv(nn.Module):
    def __init__(self, c1, c2, k, s):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


def pool_forward(self, x):
    y = [self.cv1(x)]
    for _ in range(3):
        y.append(self.m(y[-1]))
    return self.cv2(torch.cat(y, 1))


@named(common + "SPPFModule")
class SPPFModule(nn.Module):
    def __init__(self, c1, c2, k=5, block=ConvBNReLU):
        super().__init__()
        self.cv1, self.cv2 = block(c1, c1 // 2, 1, 1), block(c1 // 2 * 4, c2, 1, 1)
        self.m = nn.MaxPool2d(k, 1, k // 2)

    forward = pool_forward


@named(common + "SimSPPF")
class SimSPPF(nn.Module):
    def __init__(self, c1, c2, old=False):
        super().__init__()
        if old:
            self.cv1, self.cv2 = SimConv(c1, c1 // 2, 1, 1), SimConv(c1 // 2 * 4, c2, 1, 1)
            self.m = nn.MaxPool2d(5, 1, 2)
        else:
            self.sppf = SPPFModule(c1, c2)

    def forward(self, x):
        return self.sppf(x) if hasattr(self, "sppf") else pool_forward(self, x)


@named(common + "CSPSPPFModule")
class CSPSPPFModule(nn.Module):
    def __init__(self, c1, c2, block=ConvBNReLU):
        super().__init__()
        c = c2 // 2
        self.cv1, self.cv2 = block(c1, c, 1, 1), block(c1, c, 1, 1)
        self.cv3, self.cv4 = block(c, c, 3, 1), block(c, c, 1, 1)
        self.m = nn.MaxPool2d(5, 1, 2)
        self.cv5, self.cv6, self.cv7 = block(4 * c, c, 1, 1), block(c, c, 3, 1), block(2 * c, c2, 1, 1)

    def forward(self, x):
        y = [self.cv4(self.cv3(self.cv1(x)))]
        for _ in range(3):
            y.append(self.m(y[-1]))
        return self.cv7(torch.cat((self.cv2(x), self.cv6(self.cv5(torch.cat(y, 1)))), 1))


@named(common + "SimCSPSPPF")
class SimCSPSPPF(nn.Module):
    def __init__(self, c1, c2):
        super().__init__()
        self.cspsppf = CSPSPPFModule(c1, c2)

    def forward(self, x):
        return self.cspsppf(x)


@named(common + "Transpose")
class Transpose(nn.Module):
    def __init__(self, c1, c2):
        super().__init__()
        self.upsample_transpose = nn.ConvTranspose2d(c1, c2, 2, 2, bias=True)

    def forward(self, x):
        return self.upsample_transpose(x)


@named(common + "RepVGGBlock")
class RepVGGBlock(nn.Module):
    def __init__(self, c1, c2, k=3, s=1, deploy=False):
        super().__init__()
        self.nonlinearity, self.se = nn.ReLU(), nn.Identity()
        if deploy:
            self.rbr_reparam = nn.Conv2d(c1, c2, 3, s, 1)
        else:
            self.rbr_identity = nn.BatchNorm2d(c1) if c1 == c2 and s == 1 else None
            self.rbr_dense, self.rbr_1x1 = ConvModule(c1, c2, 3, s, None), ConvModule(c1, c2, 1, s, None, p=0)

    def forward(self, x):
        if hasattr(self, "rbr_reparam"):
            return self.nonlinearity(self.se(self.rbr_reparam(x)))
        identity = 0 if self.rbr_identity is None else self.rbr_identity(x)
        return self.nonlinearity(self.se(self.rbr_dense(x) + self.rbr_1x1(x) + identity))


@named(common + "BottleRep")
class BottleRep(nn.Module):
    def __init__(self, c1, c2, block=RepVGGBlock, weight=False):
        super().__init__()
        self.conv1, self.conv2 = block(c1, c2), block(c2, c2)
        self.shortcut = c1 == c2
        self.alpha = nn.Parameter(torch.ones(1)) if weight else 1.0

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        return y + self.alpha * x if self.shortcut else y


@named(common + "BottleRep3")
class BottleRep3(nn.Module):
    def __init__(self, c1, c2, block=RepVGGBlock, weight=False):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = block(c1, c2), block(c2, c2), block(c2, c2)
        self.shortcut = c1 == c2
        self.alpha = nn.Parameter(torch.ones(1)) if weight else 1.0

    def forward(self, x):
        y = self.conv3(self.conv2(self.conv1(x)))
        return y + self.alpha * x if self.shortcut else y


@named(common + "RepBlock")
class RepBlock(nn.Module):
    def __init__(self, c1, c2, n=1, block=RepVGGBlock):
        super().__init__()
        self.conv1 = block(c1, c2)
        self.block = nn.Sequential(*(block(c2, c2) for _ in range(n - 1))) if n > 1 else None

    def forward(self, x):
        x = self.conv1(x)
        return x if self.block is None else self.block(x)


@named(common + "BepC3")
class BepC3(nn.Module):
    def __init__(self, c1, c2, n=1, concat=None):
        super().__init__()
        c = c2 // 2
        self.cv1 = ConvBNReLU(c1, c, 1, 1)
        if concat is not False:
            self.cv2 = ConvBNReLU(c1, c, 1, 1)
        self.cv3 = ConvBNReLU(c if concat is False else 2 * c, c2, 1, 1)
        self.m = RepBlock(c, c, n, BottleRep)
        if concat is not None:
            self.concat = concat

    def forward(self, x):
        if getattr(self, "concat", True):
            return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return self.cv3(self.m(self.cv1(x)))


@named(common + "MBLABlock")
class MBLABlock(nn.Module):
    def __init__(self, c1, c2, counts=(0, 1)):
        super().__init__()
        c = c2 // 2
        self.cv1 = ConvModule(c1, len(counts) * c, 1, 1)
        self.cv2 = ConvModule((sum(counts) + len(counts)) * c, c2, 1, 1)
        self.m = nn.ModuleList(nn.Sequential(*(BottleRep3(c, c, weight=True) for _ in range(n))) for n in counts[1:])
        self.split_num = (c,) * len(counts)

    def forward(self, x):
        y = list(self.cv1(x).split(self.split_num, 1))
        kept = [y[0]]
        for i, branch in enumerate(self.m):
            kept.append(y[i + 1])
            for block in branch:
                kept.append(block(kept[-1]))
        return self.cv2(torch.cat(kept, 1))


@named(common + "BiFusion")
class BiFusion(nn.Module):
    def __init__(self, channels, c2):
        super().__init__()
        self.cv1, self.cv2 = ConvBNReLU(channels[0], c2, 1, 1), ConvBNReLU(channels[1], c2, 1, 1)
        self.cv3 = ConvBNReLU(3 * c2, c2, 1, 1)
        self.upsample, self.downsample = Transpose(c2, c2), ConvBNReLU(c2, c2, 3, 2)

    def forward(self, x):
        return self.cv3(torch.cat((self.upsample(x[0]), self.cv1(x[1]), self.downsample(self.cv2(x[2]))), 1))


@named("yolov6.models.efficientrep.EfficientRep")
class EfficientRep(nn.Module):
    def __init__(self, c=(4, 8, 16, 24, 32), fuse_P2=False, csp=False):
        super().__init__()
        self.fuse_P2 = fuse_P2
        self.stem = RepVGGBlock(3, c[0], s=2)
        for i in range(4):
            stage = BepC3 if csp else RepBlock
            blocks = [RepVGGBlock(c[i], c[i + 1], s=2), stage(c[i + 1], c[i + 1], 2)]
            if i == 3:
                blocks.append(SimCSPSPPF(c[4], c[4]) if fuse_P2 else SimSPPF(c[4], c[4]))
            setattr(self, f"ERBlock_{i + 2}", nn.Sequential(*blocks))

    def forward(self, x):
        outputs = []
        x = self.ERBlock_2(self.stem(x))
        if self.fuse_P2:
            outputs.append(x)
        for i in (3, 4, 5):
            x = getattr(self, f"ERBlock_{i}")(x)
            outputs.append(x)
        return tuple(outputs)


@named("yolov6.models.efficientrep.CSPBepBackbone")
class CSPBepBackbone(EfficientRep):
    pass


class Neck(nn.Module):
    def __init__(self, c, d, fuse):
        super().__init__()
        self.reduce_layer0, self.reduce_layer1 = ConvBNReLU(c[3], d[0], 1, 1), ConvBNReLU(d[0], d[1], 1, 1)
        if fuse:
            self.Bifusion0, self.Bifusion1 = BiFusion((c[2], c[1]), d[0]), BiFusion((c[1], c[0]), d[1])
            joined = d[0], d[1]
        else:
            self.upsample0, self.upsample1 = Transpose(d[0], d[0]), Transpose(d[1], d[1])
            joined = d[0] + c[2], d[1] + c[1]
        self.Rep_p4, self.Rep_p3 = RepBlock(joined[0], d[0], 2), RepBlock(joined[1], d[1], 2)
        self.downsample2, self.downsample1 = ConvBNReLU(d[1], d[1], 3, 2), ConvBNReLU(d[2], d[0], 3, 2)
        self.Rep_n3, self.Rep_n4 = RepBlock(2 * d[1], d[2], 2), RepBlock(2 * d[0], d[3], 2)

    def up(self, levels):
        first = self.reduce_layer0(levels[-1])
        if len(levels) == 4:
            y = self.Bifusion0([first, levels[-2], levels[-3]])
        else:
            y = torch.cat((self.upsample0(first), levels[-2]), 1)
        second = self.reduce_layer1(self.Rep_p4(y))
        if len(levels) == 4:
            y = self.Bifusion1([second, levels[-3], levels[-4]])
        else:
            y = torch.cat((self.upsample1(second), levels[-3]), 1)
        return first, second, y

    def forward(self, levels):
        first, second, y = self.up(levels)
        fine = self.Rep_p3(y)
        middle = self.Rep_n3(torch.cat((self.downsample2(fine), second), 1))
        return [fine, middle, self.Rep_n4(torch.cat((self.downsample1(middle), first), 1))]


@named("yolov6.models.reppan.RepPANNeck")
class RepPANNeck(Neck):
    pass


@named("yolov6.models.reppan.RepBiFPANNeck")
class RepBiFPANNeck(Neck):
    pass


@named("yolov6.models.effidehead.Detect")
class Detect(nn.Module):
    def __init__(self, channels, nc=5, use_dfl=False, reg_max=0):
        super().__init__()
        self.nc, self.nl, self.use_dfl, self.reg_max = nc, len(channels), use_dfl, reg_max
        self.stride = torch.tensor([8.0, 16.0, 32.0][: len(channels)])
        self.proj_conv = nn.Conv2d(reg_max + 1, 1, 1, bias=False)
        self.stems = nn.ModuleList(ConvBNSiLU(c, c, 1, 1) for c in channels)
        self.cls_convs = nn.ModuleList(ConvBNSiLU(c, c, 3, 1) for c in channels)
        self.reg_convs = nn.ModuleList(ConvBNSiLU(c, c, 3, 1) for c in channels)
        self.cls_preds = nn.ModuleList(nn.Conv2d(c, nc, 1) for c in channels)
        self.reg_preds = nn.ModuleList(nn.Conv2d(c, 4 * (reg_max + 1), 1) for c in channels)

    def forward(self, x):
        scores, boxes = [], []
        for i, level in enumerate(x):
            b, _, h, w = level.shape
            y = self.stems[i](level)
            scores.append(self.cls_preds[i](self.cls_convs[i](y)).sigmoid().reshape(b, self.nc, h * w))
            box = self.reg_preds[i](self.reg_convs[i](y))
            if self.use_dfl:
                box = box.reshape(-1, 4, self.reg_max + 1, h * w).permute(0, 2, 1, 3)
                box = self.proj_conv(F.softmax(box, dim=1))
            rows, columns = torch.meshgrid(*(torch.arange(n, device=box.device) for n in (h, w)), indexing="ij")
            centres = torch.stack((columns, rows)).reshape(2, h * w) + 0.5
            before, after = box.reshape(b, 4, h * w).split(2, 1)
            boxes.append(torch.cat((centres + (after - before) / 2, before + after), 1) * self.stride[i])
        scores, boxes = torch.cat(scores, -1).permute(0, 2, 1), torch.cat(boxes, -1).permute(0, 2, 1)
        return torch.cat((boxes, boxes.new_ones(*boxes.shape[:2], 1), scores), -1)


@named("yolov6.models.yolo.Model")
class Model(nn.Module):
    def __init__(self, bifusion=False, csp=False, **head):
        super().__init__()
        c, d = (4, 8, 16, 24, 32), (16, 8, 16, 24)
        self.backbone = (CSPBepBackbone if csp else EfficientRep)(c, bifusion, csp)
        self.neck = (RepBiFPANNeck if bifusion else RepPANNeck)(c[1:], d, bifusion)
        self.detect = Detect((d[1], d[2], d[3]), **head)

    def forward(self, x):
        features = self.neck(self.backbone(x))
        return [self.detect(list(features)), features]
