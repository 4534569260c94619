import ModelCore
import ModelGraph

/// From what convolutions predict to boxes, classes, angles and keypoints in pixels.
extension ForwardCall {
  /// The middles of all levels' cells, x and y, [2, positions] in cells, and the cells' sizes in pixels [1, positions].
  func grid(_ levels: [Value]) throws -> (middles: Value, strides: Value) {
    let strides = try doubles("stride")
    guard strides.count == levels.count else { throw missing("stride") }
    let middles = try levels.map { try add(flatten(coordinates($0)), 0.5) }
    // Zero times a row: a tensor of its type and length.
    let sizes = try zip(middles, strides).map { try add(multiply(slice($0, axis: 0, to: 1), 0), $1) }
    return (try concatenate(middles, axis: 1), try concatenate(sizes, axis: 1))
  }

  /// The columns and rows of a picture's places, [2, height, width].
  func coordinates(_ picture: Value) throws -> Value {
    let size: [Extent] = [.of(operand: 1, axis: 2), .of(operand: 1, axis: 3)]
    let columns = try emit(.coordinates(axis: 3), picture)
    let rows = try reshape(emit(.coordinates(axis: 2), picture), [.inferred, .fixed(1)])
    return try stack([columns, rows].map { try expand($0, size, like: picture) })
  }

  /// Boxes [batch, 4, positions] of what is predicted for the distances to their sides: by their corners, or by their
  /// middles and sizes.
  func boxes(
    _ predictions: Value, _ grid: (middles: Value, strides: Value), _ kind: DetectionKind, extra: Value?, corners: Bool
  ) throws -> Value {
    let distances = try chain(predictions, has("dfl") ? ["dfl"] : [])
    let (near, far) = (try slice(distances, axis: 1, to: 2), try slice(distances, axis: 1, from: 2))
    let boxes: Value
    if kind == .angles || kind == .rawAngles {
      guard let extra else { throw missing("cv4") }
      let middle = try multiply(subtract(far, near), 0.5)
      let (x, y) = (try slice(middle, axis: 1, to: 1), try slice(middle, axis: 1, from: 1))
      let (cosine, sine) = (try unary(.cos, extra), try unary(.sin, extra))
      let turned = try concatenate([
        subtract(multiply(x, cosine), multiply(y, sine)), add(multiply(x, sine), multiply(y, cosine)),
      ])
      boxes = try concatenate([add(turned, grid.middles), add(near, far)])
    } else {
      let (first, last) = (try subtract(grid.middles, near), try add(grid.middles, far))
      boxes = try concatenate(corners ? [first, last] : [multiply(add(first, last), 0.5), subtract(last, first)])
    }
    return try multiply(boxes, grid.strides)
  }

  /// Keypoints in pixels; other predictions stay as they are.
  func decodeExtra(_ extra: Value, _ grid: (middles: Value, strides: Value), _ kind: DetectionKind) throws -> Value {
    guard kind == .keypoints || kind == .keypoints26 else { return extra }
    guard let shape = module.attributes["kpt_shape"]?.intsValue, shape.count == 2, shape[0] > 0,
      (2...3).contains(shape[1])
    else { throw missing("kpt_shape") }
    let points = try reshape(
      extra, [.of(operand: 0, axis: 0), .fixed(shape[0]), .fixed(shape[1]), .of(operand: 0, axis: 2)])
    let places = try slice(points, axis: 2, to: 2)
    let moved =
      kind == .keypoints
      ? try add(multiply(places, 2), add(grid.middles, -0.5)) : try add(places, grid.middles)
    let pixels = try multiply(moved, grid.strides)
    guard shape[1] == 3 else { return try flatten(pixels, start: 1, end: 2) }
    let visible = try sigmoid(slice(points, axis: 2, from: 2))
    return try flatten(concatenate([pixels, visible], axis: 2), start: 1, end: 2)
  }

  /// The `max_det` best of the best positions' classes: box, score, class and what else there is, [batch, count, …].
  func best(_ boxes: Value, _ scores: Value, _ others: [Value]) throws -> Value {
    let count = module.attributes["max_det"] == nil ? 300 : try int("max_det")
    let scores = try permute(scores, [0, 2, 1])
    func choose(_ values: Value, _ places: Value) throws -> Value { try gather(permute(values, [0, 2, 1]), places) }
    func column(_ values: Value) throws -> Value {
      try reshape(values, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(1)])
    }
    if isTrue("agnostic_nms") {
      let results = try emitAll(.topK(axis: 1, count: count), [max(scores, axis: 2)])
      let classes = try gather(emit(.argmax(axis: 2, keepsAxis: false), scores), results[1])
      return try concatenate(
        [choose(boxes, results[1]), column(results[0]), convert(column(classes), .float32)]
          + others.map { try choose($0, results[1]) }, axis: 2)
    }
    let positions = try places(ofLargest: count, max(scores, axis: 2), axis: 1)
    let results = try emitAll(.topK(axis: 1, count: count), [flatten(gather(scores, positions))])
    // No more than there are positions, though these have several classes each.
    let order = try emit(.coordinates(axis: 1), positions)
    let (values, places) = (try pick(results[0], order), try pick(results[1], order))
    // Scores stand position by position, class by class.
    let classes = try slice(emit(.shape, scores), axis: 0, from: 2, to: 3)
    let chosen = try gather(positions, binary(.floorDivide, places, classes))
    return try concatenate(
      [
        choose(boxes, chosen), column(values),
        convert(column(binary(.remainder, places, classes)), .float32),
      ] + others.map { try choose($0, chosen) }, axis: 2)
  }

  /// Columns of [batch, length] by their places, the same for the whole batch.
  private func pick(_ values: Value, _ places: Value) throws -> Value {
    try emit(.gather(axis: 1, batchAxes: 0), values, places)
  }
}
