import ModelCore

extension Forward {
  /// MobileOne's own code, with branches or merged.
  static let mobileOne: [String: Forward] = [
    "mobileone.SEBlock": Forward { block, x in
      let mean = try block.mean(x, axes: [2, 3], keepsAxes: true)
      return try block.multiply(x, block.sigmoid(block(block.relu(block(mean, "reduce")), "expand")))
    },
    "mobileone.MobileOneBlock": Forward { block, x in
      if try block.bool("inference_mode") { return try block(x, "reparam_conv", "se", "activation") }
      let branches = ["rbr_scale", "rbr_skip"].filter(block.has) + block.list("rbr_conv")
      return try block(block.sum(branches.map { try block(x, $0) }), "se", "activation")
    },
    "mobileone.MobileOne": Forward { net, x in
      let y = try net(x, "stage0", "stage1", "stage2", "stage3", "stage4", "gap")
      return try net(net.flatten(y), "linear")
    },
  ]
}
