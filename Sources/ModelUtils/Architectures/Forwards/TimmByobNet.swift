import ModelCore

extension Forward {
  /// timm's networks of interchangeable blocks: RepVGG, MobileOne, GERNet, ResNet variants and others.
  static let timmByobNet: [String: Forward] = [
    "timm.models.byobnet.ByobNet": .chain("stem", "stages", "final_conv", "head"),
    "timm.models.byobnet.Stem": .sequential,
    "timm.models.byobnet.DownsampleAvg": .chain("pool", "conv"),
    "timm.models.byobnet.BasicBlock": Forward { block, x in
      try block.shortcut(x, "conv1_kxk", "attn", "conv2_kxk", "attn_last")
    },
    "timm.models.byobnet.BottleneckBlock": Forward { block, x in
      try block.shortcut(x, "conv1_1x1", "conv2_kxk", "conv2b_kxk", "attn", "conv3_1x1", "attn_last")
    },
    "timm.models.byobnet.DarkBlock": Forward { block, x in
      try block.shortcut(x, "conv1_1x1", "attn", "conv2_kxk", "attn_last")
    },
    "timm.models.byobnet.EdgeBlock": Forward { block, x in
      try block.shortcut(x, "conv1_kxk", "attn", "conv2_1x1", "attn_last")
    },
    "timm.models.byobnet.SelfAttnBlock": Forward { block, x in
      try block.shortcut(x, "conv1_1x1", "conv2_kxk", "self_attn", "post_attn", "conv3_1x1")
    },
    "timm.models.byobnet.RepVggBlock": Forward { block, x in
      if block.has("reparam_conv") { return try block(x, "reparam_conv", "attn", "act") }
      let sum = try block.add(block(x, "conv_1x1"), block(x, "conv_kxk"))
      guard block.has("identity") else { return try block(sum, "attn", "act") }
      return try block(block.add(block(sum, "drop_path"), block(x, "identity")), "attn", "act")
    },
    "timm.models.byobnet.MobileOneBlock": Forward { block, x in
      if block.has("reparam_conv") { return try block(x, "reparam_conv", "attn", "act") }
      let branches = (block.has("conv_scale") ? ["conv_scale"] : []) + block.list("conv_kxk")
      let sum = try block(block.sum(branches.map { try block(x, $0) }), "drop_path")
      return try block(block.has("identity") ? block.add(sum, block(x, "identity")) : sum, "attn", "act")
    },
  ]
}

extension ForwardCall {
  /// The children one after the other, stochastic depth, the shortcut where there is one, and the activation.
  fileprivate func shortcut(_ x: Value, _ children: String...) throws -> Value {
    let y = try self(chain(x, children), "drop_path")
    return try self(has("shortcut") ? add(y, self(x, "shortcut")) : y, "act")
  }
}
