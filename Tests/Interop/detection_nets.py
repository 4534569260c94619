"""torchvision's detectors with small backbones, and what the graph of one gives: its heads' raw outputs."""

import torch
import torchvision
from torch import nn
from torchvision.models import detection, vgg
from torchvision.models.detection.backbone_utils import _mobilenet_extractor, resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

SIZES = dict(min_size=64, max_size=96)
# Few boxes: what runs for each is slow.
BOXES = dict(**SIZES, rpn_post_nms_top_n_test=12, rpn_pre_nms_top_n_test=40, box_detections_per_img=6)
ANCHORS = dict(topk_candidates=40, detections_per_img=20)
BARE = dict(weights=None, weights_backbone=None, num_classes=5)


def fpn(**options):
    return resnet_fpn_backbone(backbone_name="resnet18", weights=None, **options)


def five_levels():
    return fpn(returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))


def without_pyramid():
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    backbone.out_channels = 8
    anchors = detection.anchor_utils.AnchorGenerator(((16, 32),), ((0.5, 1.0, 2.0),))
    pool = detection.faster_rcnn.MultiScaleRoIAlign(["0"], 7, 2)
    return detection.FasterRCNN(backbone, 5, rpn_anchor_generator=anchors, box_roi_pool=pool, **BOXES)


def ssd():
    """SSD300 with fewer channels where the constructor allows it."""
    layers = vgg.make_layers([8, "M", 8, "M", 8, "M", 512, "M", 512, "M"])
    backbone = detection.ssd.SSDFeatureExtractorVGG(layers, highres=False)
    anchors = detection.anchor_utils.DefaultBoxGenerator([[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    return detection.ssd.SSD(backbone, anchors, (300, 300), 5, **ANCHORS)


MODELS = {
    "fasterrcnn": lambda: detection.FasterRCNN(fpn(), 5, **BOXES),
    "fasterrcnn with batch norms": lambda: detection.FasterRCNN(
        fpn(norm_layer=nn.BatchNorm2d),
        rpn_head=detection.rpn.RPNHead(256, 3, conv_depth=2),
        box_head=detection.faster_rcnn.FastRCNNConvFCHead((256, 7, 7), [16, 16], [32], norm_layer=nn.BatchNorm2d),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(32, 5),
        **BOXES,
    ),
    "fasterrcnn without a pyramid": without_pyramid,
    "fasterrcnn_mobilenet": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**BARE, **BOXES),
    "maskrcnn": lambda: detection.MaskRCNN(fpn(trainable_layers=5), 5, **BOXES),
    "keypointrcnn": lambda: detection.KeypointRCNN(fpn(), 2, num_keypoints=3, **BOXES),
    "retinanet": lambda: detection.RetinaNet(five_levels(), 5, **SIZES, **ANCHORS),
    "fcos": lambda: detection.FCOS(five_levels(), 5, **SIZES, **ANCHORS),
    "ssd": ssd,
    "ssdlite": lambda: detection.ssdlite320_mobilenet_v3_large(**BARE, **ANCHORS),
}


def suppressed(boxes, scores, threshold):
    """torchvision.ops.nms, for a torchvision whose own is not compiled."""
    kept = []
    order = scores.argsort(descending=True, stable=True).tolist()
    while order:
        first = order.pop(0)
        kept.append(first)
        overlaps = torchvision.ops.box_iou(boxes[first : first + 1], boxes[order])[0] if order else []
        order = [index for index, overlap in zip(order, overlaps) if overlap <= threshold]
    return torch.tensor(kept, dtype=torch.int64)


if not torchvision.extension._has_ops():
    torchvision.ops.boxes.nms = suppressed


def build(name):
    torch.manual_seed(5)
    model = MODELS[name]().eval()
    for module in model.modules():
        if hasattr(module, "running_var"):
            with torch.no_grad():
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.6, 1.4)
                module.bias.normal_(0, 0.3)
    return model


class Heads(nn.Module):
    """A detector's backbone and heads alone, for pictures that are normalised and batched."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        features = self.model.backbone(x)
        levels = [features] if isinstance(features, torch.Tensor) else list(features.values())
        if not hasattr(self.model, "rpn"):
            return self.model.head(levels)
        return [*self.model.rpn.head(levels), levels]
