import ModelCore

extension Module {
  /// YOLO's `initialize_weights`: every BatchNorm2d gets eps 1e-3 and momentum 0.03, and Hardswish, LeakyReLU, ReLU,
  /// ReLU6 and SiLU work in place. Weights stay, those of convolutions too. Exactly these classes: their subclasses are
  /// left alone.
  /// - Returns: how many modules were changed.
  @discardableResult
  public mutating func initializeWeights() -> Int {
    var count = 0
    updateModules { _, module in
      guard module.className.isTorchModule else { return }
      switch (module.className.name, module.layer) {
      case ("BatchNorm2d", .batchNorm(var norm)):
        (norm.eps, norm.momentum) = (1e-3, 0.03)
        module.layer = .batchNorm(norm)
        module.attributes["eps"] = .double(1e-3)
        module.attributes["momentum"] = .double(0.03)
      case ("Hardswish", .activation(var activation)), ("LeakyReLU", .activation(var activation)),
        ("ReLU", .activation(var activation)), ("ReLU6", .activation(var activation)),
        ("SiLU", .activation(var activation)):
        activation.isInPlace = true
        module.layer = .activation(activation)
        module.attributes["inplace"] = .bool(true)
      default: return
      }
      count += 1
    }
    return count
  }
}
