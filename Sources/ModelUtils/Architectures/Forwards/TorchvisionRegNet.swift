import ModelCore

extension Forward {
  /// RegNet X and Y.
  static let torchvisionRegNet: [String: Forward] = [
    "torchvision.models.regnet.RegNet": Forward { net, x in
      try net(net.flatten(net(x, "stem", "trunk_output", "avgpool")), "fc")
    },
    "torchvision.models.regnet.SimpleStemIN": .sequential,
    "torchvision.models.regnet.AnyStage": .sequential,
    "torchvision.models.regnet.BottleneckTransform": .sequential,
    "torchvision.models.regnet.ResBottleneckBlock": Forward { block, x in
      let shortcut = block.has("proj") ? try block(x, "proj") : x
      return try block(block.add(shortcut, block(x, "f")), "activation")
    },
  ]
}
