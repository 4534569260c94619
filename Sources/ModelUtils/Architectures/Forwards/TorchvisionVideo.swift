import ModelCore

extension Forward {
  /// Video ResNets (R3D, MC3, R(2+1)D) and S3D: [batch, channels, frames, height, width].
  static let torchvisionVideo: [String: Forward] = [
    "torchvision.models.video.resnet.VideoResNet": Forward { net, x in
      try net(net.flatten(net(x, "stem", "layer1", "layer2", "layer3", "layer4", "avgpool")), "fc")
    },
    "torchvision.models.video.resnet.BasicBlock": Forward { try $0.residual($1, $0($1, "conv1", "conv2")) },
    "torchvision.models.video.resnet.Bottleneck": Forward { try $0.residual($1, $0($1, "conv1", "conv2", "conv3")) },
    "torchvision.models.video.resnet.BasicStem": .sequential,
    "torchvision.models.video.resnet.R2Plus1dStem": .sequential,
    "torchvision.models.video.resnet.Conv2Plus1D": .sequential,
    "torchvision.models.video.resnet.Conv3DSimple": .ownLayer,
    "torchvision.models.video.resnet.Conv3DNoTemporal": .ownLayer,
    "torchvision.models.video.s3d.S3D": Forward { net, x in
      try net.mean(net(x, "features", "avgpool", "classifier"), axes: [2, 3, 4])
    },
    "torchvision.models.video.s3d.TemporalSeparableConv": .sequential,
    "torchvision.models.video.s3d.SepInceptionBlock3D": Forward { block, x in
      try block.concatenate(["branch0", "branch1", "branch2", "branch3"].map { try block(x, $0) })
    },
  ]
}
