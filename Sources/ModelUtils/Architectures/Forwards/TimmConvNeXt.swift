import ModelCore

extension Forward {
  /// timm's ConvNeXt and ConvNeXt V2.
  static let timmConvNeXt: [String: Forward] = [
    "timm.models.convnext.ConvNeXt": .chain("stem", "stages", "norm_pre", "head"),
    "timm.models.convnext.ConvNeXtStage": .chain("downsample", "blocks"),
    "timm.models.convnext.Downsample": .chain("pool", "conv"),
    "timm.models.convnext.ConvNeXtBlock": Forward { block, x in
      var y = try block(x, "conv_dw")
      if try block.bool("use_conv_mlp") {
        y = try block(y, "norm", "mlp")
      } else {
        y = try block.permute(block(block.permute(y, [0, 2, 3, 1]), "norm", "mlp"), [0, 3, 1, 2])
      }
      if let gamma = block.optionalWeight("gamma") { y = try block.multiply(y, block.channels(gamma)) }
      return try block.add(block(y, "drop_path"), block.run(x, "shortcut?"))
    },
  ]
}
