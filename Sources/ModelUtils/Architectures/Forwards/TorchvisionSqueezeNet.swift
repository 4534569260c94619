import ModelCore

extension Forward {
  /// SqueezeNet 1.0 and 1.1.
  static let torchvisionSqueezeNet: [String: Forward] = [
    "torchvision.models.squeezenet.SqueezeNet": Forward { try $0.flatten($0($1, "features", "classifier")) },
    "torchvision.models.squeezenet.Fire": Forward { fire, x in
      let x = try fire(x, "squeeze", "squeeze_activation")
      return try fire.concatenate([
        fire(x, "expand1x1", "expand1x1_activation"), fire(x, "expand3x3", "expand3x3_activation"),
      ])
    },
  ]
}
