import ModelCheckpoints
import ModelCore
import ModelGraph

/// Operations that move elements without changing them.
extension ONNXLowering {
  /// The elements in another shape.
  mutating func reshaped(
    _ x: ONNXValue, to shapes: [[Int]], beside others: [ONNXValue] = []
  ) throws -> ONNXValue {
    if shapes == x.shapes { return x }
    if shapes[0].count == 2, x.rank > 2, shapes.map({ $0[0] }) == x.lengths(0) {
      return node("Flatten", [x], [ONNXAttribute("axis", 1)], x.dtype, shapes)
    }
    let target = try shapeOperand(shapes, of: x, beside: [x] + others)
    return node("Reshape", [x, target], [], x.dtype, shapes)
  }

  mutating func unsqueezed(_ x: ONNXValue, axes: [Int]) throws -> ONNXValue {
    let shapes = x.shapes.map { shape in
      axes.sorted().reduce(into: shape) { $0.insert(1, at: min($1, $0.count)) }
    }
    return try axesNode("Unsqueeze", x, axes, shapes)
  }

  mutating func squeezed(_ x: ONNXValue, axes: [Int]) throws -> ONNXValue {
    let shapes = x.shapes.map { shape in shape.indices.filter { !axes.contains($0) }.map { shape[$0] } }
    return try axesNode("Squeeze", x, axes, shapes)
  }

  /// Before opset 13 axes are an attribute.
  private mutating func axesNode(
    _ operation: String, _ x: ONNXValue, _ axes: [Int], _ shapes: [[Int]]
  ) throws -> ONNXValue {
    guard opset >= 13 else { return node(operation, [x], [ONNXAttribute("axes", axes)], x.dtype, shapes) }
    return node(operation, [x, try integers(axes)], [], x.dtype, shapes)
  }

  mutating func transposed(_ x: ONNXValue, _ axes: [Int]) -> ONNXValue {
    let order = axes.map { $0 < 0 ? $0 + x.rank : $0 }
    if order == Array(0..<x.rank) { return x }
    return node(
      "Transpose", [x], [ONNXAttribute("perm", order)], x.dtype, x.shapes.map { shape in order.map { shape[$0] } })
  }

  mutating func pixelShuffle(_ shuffle: PixelShuffle, _ x: ONNXValue, _ shapes: [[Int]]) throws -> ONNXValue {
    let factor = shuffle.factor
    if !shuffle.isInverse, x.rank == 4 {
      let attributes = [ONNXAttribute("blocksize", factor), ONNXAttribute("mode", "CRD")]
      return node("DepthToSpace", [x], attributes, x.dtype, shapes)
    }
    // ONNX's SpaceToDepth puts channels in another order than PyTorch.
    let outer = x.rank - 3
    let parts = x.shapes.map { shape -> [Int] in
      let (channels, height, width) = (shape[outer], shape[outer + 1], shape[outer + 2])
      return shape.prefix(outer)
        + (shuffle.isInverse
          ? [channels, height / factor, factor, width / factor, factor]
          : [channels / (factor * factor), factor, factor, height, width])
    }
    let order = (shuffle.isInverse ? [0, 2, 4, 1, 3] : [0, 3, 1, 4, 2]).map { $0 + outer }
    let turned = transposed(try reshaped(x, to: parts), Array(0..<outer) + order)
    return try reshaped(turned, to: shapes, beside: [x])
  }

  mutating func concatenate(_ operands: [ONNXValue], axis: Int, _ dtype: DType, _ shapes: [[Int]]) -> ONNXValue {
    let parts = operands.map { cast($0, to: dtype) }
    return parts.count == 1 ? parts[0] : node("Concat", parts, [ONNXAttribute("axis", axis)], dtype, shapes)
  }

  mutating func stack(_ operands: [ONNXValue], axis: Int, _ dtype: DType, _ shapes: [[Int]]) throws -> ONNXValue {
    let place = axis < 0 ? axis + operands[0].rank + 1 : axis
    return concatenate(
      try operands.map { try unsqueezed($0, axes: [place]) }, axis: place, dtype, shapes)
  }

  mutating func split(
    _ x: ONNXValue, axis: Int, beside others: [ONNXValue], _ results: [(DType, [[Int]])]
  ) throws -> [ONNXValue] {
    if results.count == 1 { return [x] }
    let place = axis < 0 ? axis + x.rank : axis
    let lengths = results.map { $0.1.map { $0[place] } }
    let attribute = ONNXAttribute("axis", place)
    guard opset >= 13 else {
      guard lengths.allSatisfy({ isFixed($0) }) else {
        throw ModelError(
          .unsupported, "opset \(opset) splits only into parts of fixed lengths", advice: "use --opset 13")
      }
      return node("Split", [x], [attribute, ONNXAttribute("split", lengths.map { $0[0] })], results)
    }
    return node("Split", [x, try lengthsOperand(lengths, beside: [x] + others)], [attribute], results)
  }

  mutating func slice(
    _ x: ONNXValue, axis: Int, start: Int, end: Int?, step: Int, _ shapes: [[Int]]
  ) throws -> ONNXValue {
    if shapes == x.shapes, isFixed(shapes) || (start == 0 && end == nil) { return x }
    let steps = step == 1 ? nil : try integers([step])
    let inputs = [x, try integers([start]), try integers([end ?? Int.max]), try integers([axis]), steps]
    return node("Slice", inputs, [], x.dtype, shapes)
  }

  mutating func gather(
    _ x: ONNXValue, _ places: ONNXValue, axis: Int, batchAxes: Int, _ shapes: [[Int]]
  ) throws -> ONNXValue {
    let axis = axis < 0 ? axis + x.rank : axis
    let places = [.int32, .int64].contains(places.dtype) ? places : cast(places, to: .int64)
    if batchAxes == 0 { return node("Gather", [x, places], [ONNXAttribute("axis", axis)], x.dtype, shapes) }
    guard axis == batchAxes else {
      throw ModelError(.unsupported, "a gather along axis \(axis) behind \(batchAxes) batch axes is not exported")
    }
    let rows = try unsqueezed(cast(places, to: .int64), axes: [places.rank])
    return node("GatherND", [x, rows], [ONNXAttribute("batch_dims", batchAxes)], x.dtype, shapes)
  }

  mutating func scatter(_ x: ONNXValue, _ others: [ONNXValue], _ reduction: ScatterReduction) throws -> ONNXValue {
    let needed = reduction == .none ? 12 : reduction == .add || reduction == .mul ? 16 : 18
    guard opset >= needed, others.count == 2 else {
      throw ModelError(
        .unsupported, "opset \(opset) has no ScatterND that takes the \(reduction.rawValue)",
        advice: "export with --opset \(needed)")
    }
    let places = try unsqueezed(others[0], axes: [others[0].rank])
    let attributes = reduction == .none ? [] : [ONNXAttribute("reduction", reduction.rawValue)]
    return node("ScatterND", [x, places, others[1]], attributes, like: x)
  }

  mutating func expand(_ x: ONNXValue, beside others: [ONNXValue], _ shapes: [[Int]]) throws -> ONNXValue {
    if shapes == x.shapes { return x }
    let target = try shapeOperand(shapes, of: nil, beside: [x] + others)
    return node("Expand", [x, target], [], x.dtype, shapes)
  }

  /// 0, 1, 2, … along an axis whose length is dynamic.
  mutating func coordinates(_ x: ONNXValue, axis: Int, _ shapes: [[Int]]) throws -> ONNXValue {
    let axis = axis < 0 ? axis + x.rank : axis
    let count = try squeezed(length1(x.lengths(axis), beside: [x]), axes: [0])
    let (zero, one) = (try scalar(0, like: count), try scalar(1, like: count))
    return cast(node("Range", [zero, count, one], [], .int64, shapes), to: x.dtype)
  }

  mutating func shape(of x: ONNXValue) -> ONNXValue {
    node("Shape", [x], [], .int64, x.shapes.map { [$0.count] })
  }
}
