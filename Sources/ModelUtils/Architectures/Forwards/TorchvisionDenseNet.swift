import ModelCore

extension Forward {
  /// DenseNet. Until 0.3 a layer handed on what came to it together with its own features, and a block was their
  /// sequence; since then a layer takes the features of all before it and gives its own.
  static let torchvisionDenseNet: [String: Forward] = [
    "torchvision.models.densenet.DenseNet": Forward { net, x in
      let features = try net.relu(net(x, "features"))
      return try net(net.flatten(net.averagePool(features)), "classifier")
    },
    "torchvision.models.densenet._DenseBlock": Forward { block, x in
      var features = [x]
      for (name, layer) in block.module.children {
        let output = try block(features, name)
        features = layer.handsOnItsInput ? [output] : features + [output]
      }
      return try block.join(features)
    },
    "torchvision.models.densenet._DenseLayer": .list { layer, features in
      let x = try layer.join(features)
      let y = try layer(x, "norm1", "relu1", "conv1", "norm2", "relu2", "conv2")
      return layer.module.handsOnItsInput ? try layer.join([x, y]) : y
    },
    "torchvision.models.densenet._Transition": .sequential,
  ]
}

extension Module {
  /// Whether it is a layer of before 0.4, which brought the attribute.
  fileprivate var handsOnItsInput: Bool { attributes["memory_efficient"] == nil }
}

extension ForwardCall {
  fileprivate func join(_ features: [Value]) throws -> Value {
    features.count == 1 ? features[0] : try concatenate(features)
  }
}
