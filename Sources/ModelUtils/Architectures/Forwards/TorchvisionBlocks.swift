import ModelCore

extension Forward {
  /// Blocks that torchvision's models share, and those of its segmentation and video models.
  static let torchvisionBlocks: [String: Forward] = [
    "torchvision.ops.misc.ConvNormActivation": .sequential,
    "torchvision.ops.misc.Conv2dNormActivation": .sequential,
    "torchvision.ops.misc.Conv3dNormActivation": .sequential,
    "torchvision.models.segmentation.deeplabv3.ASPPConv": .sequential,
    "torchvision.models.segmentation.deeplabv3.DeepLabHead": .sequential,
    "torchvision.models.segmentation.fcn.FCNHead": .sequential,
    "torchvision.models.video.resnet.BasicStem": .sequential,
    "torchvision.models.video.resnet.R2Plus1dStem": .sequential,
    "torchvision.models.video.resnet.Conv2Plus1D": .sequential,
    "torchvision.models.video.resnet.Conv3DSimple": .ownLayer,
    "torchvision.models.video.resnet.Conv3DNoTemporal": .ownLayer,
    "torchvision.models.inception.BasicConv2d": Forward { try $0.activate(.relu, $0($1, "conv", "bn")) },
  ]
}
