import ModelCore

extension Forward {
  /// timm's RegNet X, Y, Z and V.
  static let timmRegNet: [String: Forward] = [
    "timm.models.regnet.RegNet": .chain("stem", "s1", "s2", "s3", "s4", "final_conv", "head"),
    "timm.models.regnet.RegStage": .sequential,
    "timm.models.regnet.Bottleneck": Forward { block, x in
      let y = try block(x, "conv1", "conv2", "se", "conv3")
      // Without a shortcut there is no stochastic depth either.
      guard block.has("downsample") else { return try block(y, "act3") }
      return try block(block.add(block(y, "drop_path"), block(x, "downsample")), "act3")
    },
    "timm.models.regnet.PreBottleneck": Forward { block, x in
      let normalized = try block(x, "norm1")
      let y = try block(normalized, "conv1", "norm2", "conv2", "se", "norm3", "conv3")
      guard block.has("downsample") else { return y }
      return try block.add(block(y, "drop_path"), block(normalized, "downsample"))
    },
  ]
}
