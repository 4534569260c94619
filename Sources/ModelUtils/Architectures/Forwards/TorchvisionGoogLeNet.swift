import ModelCore

extension Forward {
  /// GoogLeNet. Its auxiliary heads run in training only.
  static let torchvisionGoogLeNet: [String: Forward] = [
    "torchvision.models.googlenet.GoogLeNet": Forward.lists { net, inputs in
      let stem = try net(net.transformInput(net.only(inputs)), "conv1", "maxpool1", "conv2", "conv3", "maxpool2")
      let first = try net(stem, "inception3a", "inception3b", "maxpool3", "inception4a")
      let second = try net(first, "inception4b", "inception4c", "inception4d")
      let features = try net(second, "inception4e", "maxpool4", "inception5a", "inception5b")
      let classes = try net(net.flatten(net(features, "avgpool")), "dropout", "fc")
      guard net.isTraining, net.has("aux1"), net.has("aux2") else { return [classes] }
      return try [classes, net(second, "aux2"), net(first, "aux1")]
    }.leaving("aux1", "aux2"),
    "torchvision.models.googlenet.InceptionAux": Forward { head, x in
      let pooled = try head.emit(.adaptivePool(AdaptivePool(.average, outputSize: [4, 4])), x)
      let y = try head.relu(head(head.flatten(head(pooled, "conv")), "fc1"))
      return try head.chain(y, (head.has("dropout") ? ["dropout"] : []) + ["fc2"])
    },
    "torchvision.models.googlenet.Inception": Forward { block, x in
      try block.concatenate(["branch1", "branch2", "branch3", "branch4"].map { try block(x, $0) })
    },
    "torchvision.models.googlenet.BasicConv2d": .convNormReLU,
  ]

  /// The convolution of GoogLeNet and Inception: its activation is a function.
  static let convNormReLU = Forward { try $0.relu($0($1, "conv", "bn")) }
}

extension ForwardCall {
  /// From torchvision's normalisation of the three channels to the one that the weights were trained with, where the
  /// model does so.
  func transformInput(_ x: Value) throws -> Value {
    guard try bool("transform_input") else { return x }
    // Each channel's mean and deviation, for which the weights were trained with 0.5 and 0.5.
    let statistics: [(mean: Double, deviation: Double)] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]
    return try concatenate(
      statistics.enumerated().map { channel, statistics in
        let plane = try slice(x, axis: 1, from: channel, to: channel + 1)
        return try add(multiply(plane, statistics.deviation / 0.5), (statistics.mean - 0.5) / 0.5)
      })
  }
}
