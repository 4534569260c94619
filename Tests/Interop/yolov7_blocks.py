"""Classes that YOLOv7 adds to YOLOv5's names, written from their published architecture, small."""

import nets
import torch
from torch import nn
from yolov6_blocks import named

Conv = nets.import_yolov5().models.common.Conv


@named("models.common.MP")
class MP(nn.Module):
    def __init__(self, k=2):
        super().__init__()
        self.m = nn.MaxPool2d(k, k)

    def forward(self, x):
        return self.m(x)


@named("models.common.SP")
class SP(nn.Module):
    def __init__(self, k=3, s=1):
        super().__init__()
        self.m = nn.MaxPool2d(k, s, k // 2)

    def forward(self, x):
        return self.m(x)


@named("models.common.ReOrg")
class ReOrg(nn.Module):
    def forward(self, x):
        return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


@named("models.common.DownC")
class DownC(nn.Module):
    def __init__(self, c1, c2, k=2):
        super().__init__()
        self.cv1, self.cv2, self.cv3 = Conv(c1, c1, 1, 1), Conv(c1, c2 // 2, 3, k), Conv(c1, c2 // 2, 1, 1)
        self.mp = nn.MaxPool2d(k, k)

    def forward(self, x):
        return torch.cat((self.cv2(self.cv1(x)), self.cv3(self.mp(x))), 1)


@named("models.common.SPPCSPC")
class SPPCSPC(nn.Module):
    def __init__(self, c1, c2):
        super().__init__()
        c = c2
        self.cv1, self.cv2, self.cv3, self.cv4 = Conv(c1, c, 1), Conv(c1, c, 1), Conv(c, c, 3), Conv(c, c, 1)
        self.m = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))
        self.cv5, self.cv6, self.cv7 = Conv(4 * c, c, 1), Conv(c, c, 3), Conv(2 * c, c2, 1)

    def forward(self, x):
        y = self.cv4(self.cv3(self.cv1(x)))
        y = self.cv6(self.cv5(torch.cat([y] + [m(y) for m in self.m], 1)))
        return self.cv7(torch.cat((y, self.cv2(x)), 1))


@named("models.common.RepConv")
class RepConv(nn.Module):
    def __init__(self, c1, c2, s=1, deploy=False):
        super().__init__()
        self.act = nn.SiLU()
        if deploy:
            self.rbr_reparam = nn.Conv2d(c1, c2, 3, s, 1)
        else:
            self.rbr_identity = nn.BatchNorm2d(c1) if c1 == c2 and s == 1 else None
            self.rbr_dense = nn.Sequential(nn.Conv2d(c1, c2, 3, s, 1, bias=False), nn.BatchNorm2d(c2))
            self.rbr_1x1 = nn.Sequential(nn.Conv2d(c1, c2, 1, s, bias=False), nn.BatchNorm2d(c2))

    def forward(self, x):
        if hasattr(self, "rbr_reparam"):
            return self.act(self.rbr_reparam(x))
        identity = 0 if self.rbr_identity is None else self.rbr_identity(x)
        return self.act(self.rbr_dense(x) + self.rbr_1x1(x) + identity)


@named("models.common.ImplicitA")
class ImplicitA(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.implicit = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        return self.implicit + x


@named("models.common.ImplicitM")
class ImplicitM(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.implicit = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        return self.implicit * x


@named("models.yolo.IDetect")
class IDetect(nn.Module):
    def __init__(self, channels, nc=3, anchors=3):
        super().__init__()
        self.stride = torch.tensor([8.0, 16.0][: len(channels)])
        self.register_buffer("anchors", 1 + torch.arange(len(channels) * anchors * 2.0).view(-1, anchors, 2) / 4)
        self.register_buffer("anchor_grid", (self.anchors * self.stride.view(-1, 1, 1)).view(-1, 1, anchors, 1, 1, 2))
        self.nc, self.no, self.nl, self.na = nc, nc + 5, len(channels), anchors
        self.m = nn.ModuleList(nn.Conv2d(c, self.no * self.na, 1) for c in channels)
        self.ia = nn.ModuleList(ImplicitA(c) for c in channels)
        self.im = nn.ModuleList(ImplicitM(self.no * self.na) for _ in channels)

    def decode(self, levels):
        z = []
        for i, x in enumerate(levels):
            b, _, h, w = x.shape
            y = x.view(b, self.na, self.no, h, w).permute(0, 1, 3, 4, 2).sigmoid()
            rows, columns = torch.meshgrid(torch.arange(h, device=y.device), torch.arange(w, device=y.device), indexing="ij")
            centres = (y[..., :2] * 2 - 0.5 + torch.stack((columns, rows), 2)) * self.stride[i]
            sizes = (y[..., 2:4] * 2) ** 2 * self.anchor_grid[i]
            z.append(torch.cat((centres, sizes, y[..., 4:]), -1).reshape(b, -1, self.no))
        return torch.cat(z, 1), levels

    def forward(self, x):
        return self.decode([self.im[i](self.m[i](self.ia[i](x[i]))) for i in range(self.nl)])

    def fuseforward(self, x):
        return self.decode([self.m[i](x[i]) for i in range(self.nl)])


def model(head, *layers):
    """Layers in a row under YOLOv5's top level; the head takes the outputs of the last but one and the last of them."""
    root = nets.import_yolov5().models.yolo.BaseModel()
    head.f = [len(layers) - 2, len(layers) - 1]
    for i, layer in enumerate(layers):
        layer.f, layer.i = -1, i
    head.i = len(layers)
    root.model, root.save = nn.Sequential(*layers, head), head.f
    return root
