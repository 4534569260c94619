import ModelCore

extension Forward {
  /// timm's CSPNet, DarkNet, DPN and NFNet.
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

  static let timmDPN: [String: Forward] = [
    "timm.models.dpn.DPN": Forward { net, x in
      try net(net.dropped(net(x, "features", "global_pool")), "classifier", "flatten")
    },
    "timm.models.dpn.BnAct": .chain("bn"), "timm.models.dpn.BnActConv2d": .chain("bn", "conv"),
    // Older ones have a child for each of the two.
    "timm.models.dpn.DualPathBlock": Forward { try $0.dualPath($1) },
  ]

  static let timmNFNet: [String: Forward] = [
    "timm.models.nfnet.NormFreeNet": .chain("stem", "stages", "final_conv", "final_act", "head"),
    "timm.models.nfnet.DownsampleAvg": .chain("pool", "conv"),
    "timm.models.nfnet.NormFreeBlock": Forward { block, x in
      let scaled = try block.multiply(block(x, "act1"), block.double("beta"))
      let shortcut = try block.has("downsample") ? block(scaled, "downsample") : x
      var y = try block(scaled, "conv1", "act2", "conv2")
      if block.has("conv2b") { y = try block(y, "act2b", "conv2b") }
      if block.has("attn") { y = try block.multiply(block(y, "attn"), block.double("attn_gain")) }
      y = try block(y, "act3", "conv3")
      if block.has("attn_last") { y = try block.multiply(block(y, "attn_last"), block.double("attn_gain")) }
      y = try block(y, "drop_path")
      if let gain = block.optionalWeight("skipinit_gain") { y = try block.multiply(y, gain) }
      return try block.add(block.multiply(y, block.double("alpha")), shortcut)
    },
    "timm.models.nfnet.GammaAct": Forward { try $0.gammaActivation($1) },
  ]
}

extension ForwardCall {
  /// Downsampled where the class has that child, expanded, and halved.
  fileprivate func halves(_ x: Value) throws -> (Value, Value) {
    let expanded = try chain(x, ["conv_down", "conv_exp"].filter(has))
    let half = try int("expand_chs") / 2
    let parts = try split(expanded, [half, half])
    return (parts[0], parts[1])
  }

  /// A residual path and one of channels that are only ever added to the end.
  fileprivate func dualPath(_ x: Value) throws -> Value {
    let residual = try int("num_1x1_c")
    func parts(_ x: Value) throws -> (Value, Value) {
      (try slice(x, axis: 1, to: residual), try slice(x, axis: 1, from: residual))
    }
    let shortcut = try ["c1x1_w_s1", "c1x1_w_s2"].first(where: has).map { try self(x, $0) } ?? x
    let y = try self(x, "c1x1_a", "c3x3_b", "c1x1_c")
    let new = try has("c1x1_c1") && has("c1x1_c2") ? (self(y, "c1x1_c1"), self(y, "c1x1_c2")) : parts(y)
    let old = try parts(shortcut)
    return try concatenate([add(old.0, new.0), old.1, new.1])
  }

  /// A function that stands among the attributes, times a number.
  fileprivate func gammaActivation(_ x: Value) throws -> Value {
    guard case .opaque(let name) = module.attributes["act_fn"] else { throw missing("act_fn") }
    let functions: [String: Unary] = [
      "relu": .relu, "relu6": .clip(minimum: 0, maximum: 6), "silu": .silu, "mish": .mish, "elu": .elu(alpha: 1),
      "celu": .celu(alpha: 1), "selu": .selu, "gelu": .gelu(isApproximate: false),
      "gelu_tanh": .gelu(isApproximate: true), "sigmoid": .sigmoid, "tanh": .tanh, "hardsigmoid": .hardsigmoid,
      "hardswish": .hardswish, "leaky_relu": .leakyReLU(slope: 0.01),
    ]
    let parts = name.split(separator: ".").map(String.init)
    guard ["torch", "timm"].contains(parts.first), let function = functions[parts[parts.count - 1]] else {
      throw ModelError("the activation \(name) is not known", subject: path)
    }
    return try multiply(unary(function, x), double("gamma"))
  }
}
