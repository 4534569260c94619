import ModelCore

extension Forward {
  /// EfficientNet B0 to B7 and V2.
  static let torchvisionEfficientNet: [String: Forward] = [
    "torchvision.models.efficientnet.EfficientNet": .featuresAndClassifier,
    "torchvision.models.efficientnet.MBConv": .invertedBottleneck,
    "torchvision.models.efficientnet.FusedMBConv": .invertedBottleneck,
  ]

  private static let invertedBottleneck = Forward { block, x in
    let y = try block(x, "block")
    return try block.bool("use_res_connect") ? block.add(block(y, "stochastic_depth"), x) : y
  }
}
