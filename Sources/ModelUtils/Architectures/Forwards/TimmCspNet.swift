import ModelCore

extension Forward {
  /// timm's CSPNet and DarkNet.
  static let timmCspNet: [String: Forward] = [
    "timm.models.cspnet.CspNet": .chain("stem", "stages", "head"),
    "timm.models.cspnet.DarkStage": .chain("conv_down", "blocks"),
    "timm.models.cspnet.CrossStage": Forward { stage, x in
      let parts = try stage.halves(x)
      return try stage(
        stage.concatenate([parts.0, stage(parts.1, "blocks", "conv_transition_b")]), "conv_transition")
    },
    "timm.models.cspnet.CrossStage3": Forward { stage, x in
      let parts = try stage.halves(x)
      return try stage(stage.concatenate([stage(parts.0, "blocks"), parts.1]), "conv_transition")
    },
    "timm.models.cspnet.BottleneckBlock": Forward { block, x in
      let y = try block(x, "conv1", "conv2", "attn2", "conv3", "attn3", "drop_path")
      return try block(block.add(y, x), "act3")
    },
    "timm.models.cspnet.DarkBlock": Forward { block, x in
      try block.add(block(x, "conv1", "attn", "conv2", "drop_path"), x)
    },
    "timm.models.cspnet.EdgeBlock": Forward { block, x in
      try block.add(block(x, "conv1", "attn", "conv2", "drop_path"), x)
    },
  ]
}

extension ForwardCall {
  /// Downsampled where the class has that child, expanded, and halved.
  fileprivate func halves(_ x: Value) throws -> (Value, Value) {
    let expanded = try run(x, "conv_down?", "conv_exp")
    let half = try int("expand_chs") / 2
    let parts = try split(expanded, [half, half])
    return (parts[0], parts[1])
  }
}
