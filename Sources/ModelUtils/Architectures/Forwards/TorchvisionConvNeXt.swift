import ModelCore

extension Forward {
  /// ConvNeXt. Its layer norms over the channels of a picture are a class of their own.
  static let torchvisionConvNeXt: [String: Forward] = [
    "torchvision.models.convnext.ConvNeXt": .chain("features", "avgpool", "classifier"),
    "torchvision.models.convnext.CNBlock": Forward { block, x in
      let y = try block.multiply(block.weight("layer_scale"), block(x, "block"))
      return try block.add(block(y, "stochastic_depth"), x)
    },
    "torchvision.models.convnext.LayerNorm2d": .ownLayer,
    // Its own until 0.12.
    "torchvision.models.convnext.Permute": .permutation,
  ]
}
