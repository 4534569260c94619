import ModelCore
import ModelRandom

extension Module {
  /// Where the layer stands that tells a torchvision classifier's classes apart: the last Linear or Conv2d. Nil for
  /// anything else.
  public var classifierHead: String? {
    guard className.description.hasPrefix("torchvision.models.") else { return nil }
    var last: String?
    forEachModule { path, module in
      switch module.layer {
      case .linear, .convolution: last = path
      default: break
      }
    }
    return last
  }

  /// Puts a layer of zeros for another number of classes in the place of the last one, as YOLOv5's `load_classifier`
  /// does.
  ///
  /// Whether its parameters require gradients stays as it was. **Ours**: any classifier's last layer; the original
  /// knows `fc` alone.
  /// - Throws: `ModelError` for a module that is no torchvision classifier, and for a number of classes that is not
  ///   from 1 to 1048576.
  public mutating func replaceClassifier(classes: Int) throws {
    try replaceClassifier(classes: classes) { _, fresh in
      var head = fresh
      for index in head.parameters.values.indices {
        head.parameters.values[index].tensor = try Tensor(.float32, head.parameters.values[index].tensor.shape)
      }
      return head
    }
  }

  /// The same with the values that PyTorch's constructor of such a layer draws: the weight, then the bias.
  /// - Throws: as `replaceClassifier(classes:)`.
  public mutating func replaceClassifier(classes: Int, using generator: inout TorchGenerator) throws {
    try replaceClassifier(classes: classes) { try $0.finish($1, using: &generator) }
  }

  private mutating func replaceClassifier(
    classes: Int, values: (ModuleBuilder, Module) throws -> Module
  ) throws {
    guard let path = classifierHead else {
      throw ModelError(.unsupported, "is no classifier of torchvision's", subject: className.description)
    }
    guard (1...1 << 20).contains(classes) else {
      throw ModelError(.invalid, "\(classes) classes: the number must be from 1 to \(1 << 20)")
    }
    try updateModules { name, module in
      if name.isEmpty, module.attributes["num_classes"] != nil { module.attributes["num_classes"] = .int(classes) }
      let builder = ModuleBuilder()
      guard name == path, let fresh = builder.layer(like: module, outputs: classes) else { return }
      let head = try values(builder, fresh)
      module.layer = head.layer
      for (name, parameter) in head.parameters { module.parameters[name]?.tensor = parameter.tensor }
    }
  }
}

extension ModuleBuilder {
  /// A layer of the same kind, with another number of features or channels that it gives.
  func layer(like module: Module, outputs: Int) -> Module? {
    let hasBias = module.parameters["bias"] != nil
    switch module.layer {
    case .linear(let linear): return self.linear(linear.inFeatures, outputs, bias: hasBias)
    case .convolution(var configuration):
      configuration.outChannels = outputs
      return convolution(module.className, configuration, bias: hasBias)
    default: return nil
    }
  }
}
