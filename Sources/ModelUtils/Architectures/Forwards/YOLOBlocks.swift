import ModelCore
import ModelGraph

/// Blocks that YOLOv5's repository and Ultralytics' package have in common.
extension Forward {
  /// Two blocks and a shortcut where the attribute says so.
  static let bottleneck = Forward { block, x in
    let y = try block(x, "cv1", "cv2")
    return block.isTrue("add") ? try block.add(x, y) : y
  }

  /// Two convolutions, and a batch norm of the input where there is one, side by side.
  static let repConv = Forward { block, x in
    let y = try block.add(block(x, "conv1"), block(x, "conv2"))
    return try block(block.has("bn") ? block.add(y, block(x, "bn")) : y, "act")
  }

  static let bottleneckCSP = Forward { block, x in
    let both = try block.concatenate([block(x, "cv1", "m", "cv3"), block(x, "cv2")])
    return try block(both, "bn", "act", "cv4")
  }

  static let c3 = Forward { block, x in
    try block(block.concatenate([block(x, "cv1", "m"), block(x, "cv2")]), "cv3")
  }

  static let focus = Forward { try $0($0.spaceToDepth($1), "conv") }

  static let ghostConv = Forward { block, x in
    let y = try block(x, "cv1")
    return try block.concatenate([y, block(y, "cv2")])
  }

  static let ghostBottleneck = Forward { try $0.add($0($1, "conv"), $0($1, "shortcut")) }

  static let spp = Forward { block, x in
    let x = try block(x, "cv1")
    return try block(block.concatenate([x] + block.list("m").map { try block(x, $0) }), "cv2")
  }

  static let transformerLayer = Forward { layer, x in
    let y = try layer.add(layer([layer(x, "q"), layer(x, "k"), layer(x, "v")], "ma"), x)
    return try layer.add(layer(y, "fc1", "fc2"), y)
  }

  static let transformerBlock = Forward { block, x in
    let x = block.has("conv") ? try block(x, "conv") : x
    let p = try block.permute(block.flatten(x, start: 2), [2, 0, 1])
    let y = try block.permute(block(block.add(p, block(p, "linear")), "tr"), [1, 2, 0])
    return try block.reshape(
      y, [.of(operand: 1, axis: 0), .fixed(block.int("c2")), .of(operand: 1, axis: 2), .of(operand: 1, axis: 3)],
      like: x)
  }

  /// The means of the distributions of a box's four distances, [batch, 4 · bins, positions] to [batch, 4, positions].
  static let meanDistance = Forward { block, x in
    let bins = try block.reshape(
      x, [.of(operand: 0, axis: 0), .fixed(4), .fixed(block.int("c1")), .of(operand: 0, axis: 2)])
    let weights = try block.softmax(block.permute(bins, [0, 2, 1, 3]), axis: 1)
    return try block.reshape(
      block(weights, "conv"), [.of(operand: 0, axis: 0), .fixed(4), .of(operand: 0, axis: 3)])
  }

  static let aConv = Forward { try $0($0.averagePool($1, kernel: 2, stride: 1), "cv1") }

  static let aDown = Forward { block, x in
    let parts = try block.chunks(block.averagePool(x, kernel: 2, stride: 1), 2)
    let pooled = try block.maxPool(parts[1], kernel: 3, stride: 2, padding: 1)
    return try block.concatenate([block(parts[0], "cv1"), block(pooled, "cv2")])
  }

  static let sppELAN = Forward { block, x in
    try block(block.concatenate(block.successive(["cv2", "cv3", "cv4"], from: [block(x, "cv1")])), "cv5")
  }

  static let elan = Forward { block, x in
    try block(
      block.concatenate(block.successive(["cv2", "cv3"], from: block.chunks(block(x, "cv1"), 2))), "cv4")
  }

  static let cbLinear = lists { block, inputs in
    guard inputs.count == 1 else {
      throw ModelError(.mismatch, "takes one tensor, not \(inputs.count)", subject: block.path)
    }
    guard let sizes = block.module.attributes["c2s"]?.intsValue else { throw block.missing("c2s") }
    return try block.split(block(inputs[0], "conv"), sizes)
  }

  /// Which output of each layer it takes is chosen where layers are routed.
  static let cbFuse = list { block, inputs in
    guard let target = inputs.last else { throw ModelError(.mismatch, "has no input", subject: block.path) }
    let resized = try inputs.dropLast().map { try block.resize($0, like: target) }
    return try block.emit(.reduce(.sum, axes: [0], keepsAxes: false), block.stack(resized + [target]))
  }
}

extension ForwardCall {
  /// Every second row and column, four times: [batch, 4 · channels, height / 2, width / 2].
  func spaceToDepth(_ x: Value) throws -> Value {
    let rows = try [0, 1].map { try slice(x, axis: 2, from: $0, step: 2) }
    return try concatenate(
      [0, 1].flatMap { column in try rows.map { try slice($0, axis: 3, from: column, step: 2) } })
  }
}
