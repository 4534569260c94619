import ModelCore

extension Forward {
  /// ResNet, ResNeXt and Wide ResNet.
  static let torchvisionResNet: [String: Forward] = [
    "torchvision.models.resnet.ResNet": Forward { net, x in
      let stem = try net(x, "conv1", "bn1", "relu", "maxpool")
      return try net(net.flatten(net(stem, "layer1", "layer2", "layer3", "layer4", "avgpool")), "fc")
    },
    "torchvision.models.resnet.BasicBlock": Forward { block, x in
      try block.residual(x, block(x, "conv1", "bn1", "relu", "conv2", "bn2"))
    },
    "torchvision.models.resnet.Bottleneck": Forward { block, x in
      try block.residual(x, block(x, "conv1", "bn1", "relu", "conv2", "bn2", "relu", "conv3", "bn3"))
    },
  ]
}

extension ForwardCall {
  /// The shortcut added, and the activation.
  func residual(_ x: Value, _ y: Value) throws -> Value {
    try self(add(y, has("downsample") ? self(x, "downsample") : x), "relu")
  }
}
