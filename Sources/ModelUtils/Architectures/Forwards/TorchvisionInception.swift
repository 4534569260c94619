import ModelCore

extension Forward {
  /// Inception v3. Its auxiliary head runs in training only.
  static let torchvisionInception: [String: Forward] = [
    "torchvision.models.inception.Inception3": Forward.lists { net, inputs in
      let first = try net(net.transformInput(net.only(inputs)), "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
      let second = try net(net.maxPool(first, "maxpool1"), "Conv2d_3b_1x1", "Conv2d_4a_3x3")
      let middle = try net(
        net.maxPool(second, "maxpool2"), "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c",
        "Mixed_6d", "Mixed_6e")
      let features = try net(middle, "Mixed_7a", "Mixed_7b", "Mixed_7c")
      let pooled = net.has("avgpool") ? try net(features, "avgpool", "dropout") : try net.averagePool(features)
      let classes = try net(net.flatten(pooled), "fc")
      return net.isTraining && net.has("AuxLogits") ? try [classes, net(middle, "AuxLogits")] : [classes]
    }.leaving("AuxLogits"),
    "torchvision.models.inception.InceptionAux": Forward { head, x in
      let y = try head(head.averagePool(x, kernel: 5, stride: 3), "conv0", "conv1")
      return try head(head.flatten(head.averagePool(y)), "fc")
    },
    "torchvision.models.inception.InceptionA": Forward { block, x in
      try block.concatenate([
        block(x, "branch1x1"), block(x, "branch5x5_1", "branch5x5_2"),
        block(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
        block(block.averageOfNeighbours(x), "branch_pool"),
      ])
    },
    "torchvision.models.inception.InceptionB": Forward { block, x in
      try block.concatenate([
        block(x, "branch3x3"), block(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), block.maxPool(x),
      ])
    },
    "torchvision.models.inception.InceptionC": Forward { block, x in
      try block.concatenate([
        block(x, "branch1x1"), block(x, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
        block(x, "branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
        block(block.averageOfNeighbours(x), "branch_pool"),
      ])
    },
    "torchvision.models.inception.InceptionD": Forward { block, x in
      try block.concatenate([
        block(x, "branch3x3_1", "branch3x3_2"),
        block(x, "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"), block.maxPool(x),
      ])
    },
    "torchvision.models.inception.InceptionE": Forward { block, x in
      let single = try block(x, "branch3x3_1")
      let double = try block(x, "branch3x3dbl_1", "branch3x3dbl_2")
      return try block.concatenate([
        block(x, "branch1x1"), block.concatenate([block(single, "branch3x3_2a"), block(single, "branch3x3_2b")]),
        block.concatenate([block(double, "branch3x3dbl_3a"), block(double, "branch3x3dbl_3b")]),
        block(block.averageOfNeighbours(x), "branch_pool"),
      ])
    },
    "torchvision.models.inception.BasicConv2d": .convNormReLU,
  ]
}

extension ForwardCall {
  /// The module, or the function that it was until 0.7.
  fileprivate func maxPool(_ x: Value, _ child: String) throws -> Value {
    has(child) ? try self(x, child) : try maxPool(x)
  }

  fileprivate func maxPool(_ x: Value) throws -> Value {
    try maxPool(x, kernel: 3, stride: 2)
  }

  fileprivate func averageOfNeighbours(_ x: Value) throws -> Value {
    try averagePool(x, kernel: 3, stride: 1, padding: 1)
  }
}
