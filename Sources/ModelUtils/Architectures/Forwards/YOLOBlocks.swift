import ModelCore

/// Blocks that YOLOv5's repository and Ultralytics' package have in common.
extension Forward {
  /// Two blocks and a shortcut where the attribute says so.
  static let bottleneck = Forward { block, x in
    let y = try block(x, "cv1", "cv2")
    return block.isTrue("add") ? try block.add(x, y) : y
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
}

extension ForwardCall {
  /// Every second row and column, four times: [batch, 4 · channels, height / 2, width / 2].
  func spaceToDepth(_ x: Value) throws -> Value {
    let rows = try [0, 1].map { try slice(x, axis: 2, from: $0, step: 2) }
    return try concatenate(
      [0, 1].flatMap { column in try rows.map { try slice($0, axis: 3, from: column, step: 2) } })
  }
}
