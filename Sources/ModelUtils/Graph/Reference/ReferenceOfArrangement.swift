import ModelCore

/// Operations that move elements without changing them.
extension Reference {
  /// To [channels / factor², height · factor, width · factor], or back.
  static func pixelShuffle(_ input: ReferenceArray, _ shuffle: PixelShuffle) -> [Double] {
    let factor = shuffle.factor
    let (channels, height, width) = (
      input.shape.suffix(3).first ?? 0, input.shape.suffix(2).first ?? 0, input.shape.last ?? 0
    )
    let planes = Shape.count(input.shape.dropLast(3))
    // Permutes [planes, channels, factor, factor, height, width] or [planes, channels, height, factor, width, factor].
    let shape =
      shuffle.isInverse
      ? [planes, channels, height / factor, factor, width / factor, factor]
      : [planes, channels / (factor * factor), factor, factor, height, width]
    let order = shuffle.isInverse ? [0, 1, 3, 5, 2, 4] : [0, 1, 4, 2, 5, 3]
    return permuted(input, shape, order)
  }

  static func permute(_ input: ReferenceArray, _ axes: [Int]) throws -> [Double] {
    permuted(input, input.shape, try axes.map { try Shape.axis($0, input.shape.count) })
  }

  private static func permuted(_ input: ReferenceArray, _ shape: [Int], _ order: [Int]) -> [Double] {
    let strides = Tensor.contiguousStrides(shape)
    return input.elements(at: places(of: order.map { shape[$0] }, strides: order.map { strides[$0] }))
  }

  static func concatenate(_ operands: [ReferenceArray], _ axis: Int) throws -> [Double] {
    joined(operands.map(\.values), try operands.map { try AxisView($0.shape, counting: axis) })
  }

  static func stack(_ operands: [ReferenceArray], _ axis: Int) throws -> [Double] {
    let axis = try Shape.axis(axis, operands[0].shape.count + 1)
    var shape = operands[0].shape
    shape.insert(1, at: axis)
    return joined(operands.map(\.values), operands.map { _ in AxisView(shape, axis: axis) })
  }

  private static func joined(_ parts: [[Double]], _ views: [AxisView]) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(parts.reduce(0) { $0 + $1.count })
    for outer in 0..<views[0].outer {
      for (part, view) in zip(parts, views) {
        result += part[view.place(outer, 0, 0)..<view.place(outer + 1, 0, 0)]
      }
    }
    return result
  }

  static func split(_ input: ReferenceArray, _ axis: Int, _ types: [TensorType]) throws -> [[Double]] {
    let axis = try Shape.axis(axis, input.shape.count)
    let view = AxisView(input.shape, axis: axis)
    var start = 0
    return types.map { type in
      defer { start += type.shape[axis] }
      return view.picking(Array(start..<start + type.shape[axis]), of: input.values)
    }
  }

  static func slice(_ input: ReferenceArray, _ axis: Int, _ start: Int, _ end: Int?, _ step: Int) throws -> [Double] {
    let view = try AxisView(input.shape, counting: axis)
    let bounds = Inference.bounds(view.length, start, end)
    return view.picking(Array(stride(from: bounds.lowerBound, to: bounds.upperBound, by: step)), of: input.values)
  }

  /// Places below 0 count from the end of the axis.
  static func gather(_ operands: [ReferenceArray], _ axis: Int, _ batchAxes: Int) throws -> [Double] {
    let (input, places) = (operands[0], operands[1])
    let view = try AxisView(input.shape, counting: axis)
    let indices = try places.values.map { value in
      guard value == value.rounded(.down), value >= -Double(view.length), value < Double(view.length) else {
        throw ModelError(.mismatch, "place \(value) is none of \(view.length)")
      }
      return Int(value) + (value < 0 ? view.length : 0)
    }
    let batches = Shape.count(input.shape.prefix(batchAxes))
    guard batches > 0 else { return [] }
    let (size, count) = (input.values.count / batches, indices.count / batches)
    let part = AxisView([view.outer / batches, view.length, view.inner], axis: 1)
    return (0..<batches).flatMap { batch in
      part.picking(
        Array(indices[batch * count..<(batch + 1) * count]),
        of: Array(input.values[batch * size..<(batch + 1) * size]))
    }
  }
  /// Places below 0 count from the end.
  static func scatter(_ operands: [ReferenceArray], _ reduction: ScatterReduction) throws -> [Double] {
    var result = operands[0].values
    let (count, length) = (operands[0].shape[0], operands[0].shape[1])
    for (index, value) in operands[1].values.enumerated() {
      guard value >= -Double(count), value < Double(count) else {
        throw ModelError(.mismatch, "place \(value) is none of \(count)")
      }
      let start = (Int(value) + (value < 0 ? count : 0)) * length
      for column in 0..<length {
        let update = operands[2].values[index * length + column]
        let held = result[start + column]
        result[start + column] =
          switch reduction {
          case .none: update
          case .add: held + update
          case .mul: held * update
          case .max: Binary.maximum(held, update)
          case .min: Binary.minimum(held, update)
          }
      }
    }
    return result
  }
}
