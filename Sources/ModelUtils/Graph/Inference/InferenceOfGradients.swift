import ModelCore

/// Gradients have the types of what they are gradients of.
extension Inference {
  static func gradient(_ gradient: Gradient, _ operands: [TensorType]) throws -> [TensorType] {
    func require(_ count: Int) throws {
      guard operands.count == count else {
        throw ModelError(.mismatch, "a gradient takes \(count) operands, not \(operands.count)")
      }
    }
    func same(_ a: [Int], _ b: [Int]) throws {
      guard a == b else { throw ModelError(.mismatch, "a gradient is \(b), but its function gives \(a)") }
    }
    for operand in operands { try requireFloating(operand) }
    switch gradient {
    case .convolutionInput(let geometry, let shape):
      try require(2)
      let input = operands[1].with(try Shape.checked(shape))
      try same(try convolution(geometry, [input, operands[0]]).shape, operands[1].shape)
      return [input]
    case .convolutionWeight(let geometry, let shape):
      try require(2)
      let weight = operands[1].with(try Shape.checked(shape))
      try same(try convolution(geometry, [operands[0], weight]).shape, operands[1].shape)
      return [weight]
    case .unary:
      try require(2)
      try same(operands[0].shape, operands[1].shape)
      return [operands[0]]
    case .prelu:
      try require(3)
      _ = try prelu(Array(operands.prefix(2)))
      try same(operands[0].shape, operands[2].shape)
      return Array(operands.prefix(2))
    case .batchNorm:
      try require(5)
      let channels = operands[1].shape
      guard operands[0].shape.count >= 2, channels == [operands[0].shape[1]],
        operands[2].shape == channels, operands[3].shape == channels
      else { throw ModelError(.mismatch, "takes statistics of each channel") }
      try same(operands[0].shape, operands[4].shape)
      return [operands[0], operands[1], operands[1]]
    case .layerNorm(let axes, _, let isAffine):
      return try norm(operands, isAffine, results: 3) { try layerNorm(axes, $0) }
    case .rmsNorm(let axes, _, let hasWeight):
      return try norm(operands, hasWeight, results: 2) { try layerNorm(axes, $0) }
    case .groupNorm(let groups, _, let isAffine):
      return try norm(operands, isAffine, results: 3) { try groupNorm(groups, $0) }
    case .pool(let pool):
      try require(3)
      try same(try pool.outputShape(of: operands[0].shape), operands[2].shape)
      try same(operands[1].shape, operands[2].shape)
      return [operands[0]]
    case .adaptivePool(let pool):
      try require(3)
      try same(try pool.outputShape(of: operands[0].shape), operands[2].shape)
      try same(operands[1].shape, operands[2].shape)
      return [operands[0]]
    case .resize(let resize, let shape):
      try require(1)
      if case .operand = resize.target { throw ModelError(.mismatch, "a gradient's size is known") }
      try same(try resize.outputShape(of: [try Shape.checked(shape)]), operands[0].shape)
      return [operands[0].with(shape)]
    case .pad(let margins, let mode, let shape):
      try require(1)
      try same(try padded(try Shape.checked(shape), margins, mode), operands[0].shape)
      return [operands[0].with(shape)]
    }
  }

  /// Input, perhaps a weight, gradient.
  private static func norm(
    _ operands: [TensorType], _ hasWeight: Bool, results: Int, _ check: ([TensorType]) throws -> TensorType
  ) throws -> [TensorType] {
    guard operands.count == (hasWeight ? 3 : 2), operands[0].shape == operands.last?.shape else {
      throw ModelError(.mismatch, "a norm's gradient takes its input, its weight and a gradient")
    }
    _ = try check(Array(operands.dropLast()))
    return [operands[0]] + (hasWeight ? [TensorType](repeating: operands[1], count: results - 1) : [])
  }
}
