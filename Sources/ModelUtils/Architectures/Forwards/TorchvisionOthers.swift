import ModelCore

extension Forward {
  /// Blocks of torchvision's segmentation and video models.
  static let torchvisionOthers: [String: Forward] = [
    "torchvision.models.segmentation.deeplabv3.ASPPConv": .sequential,
    "torchvision.models.segmentation.deeplabv3.DeepLabHead": .sequential,
    "torchvision.models.segmentation.fcn.FCNHead": .sequential,
    "torchvision.models.video.resnet.BasicStem": .sequential,
    "torchvision.models.video.resnet.R2Plus1dStem": .sequential,
    "torchvision.models.video.resnet.Conv2Plus1D": .sequential,
    "torchvision.models.video.resnet.Conv3DSimple": .ownLayer,
    "torchvision.models.video.resnet.Conv3DNoTemporal": .ownLayer,
  ]
}
