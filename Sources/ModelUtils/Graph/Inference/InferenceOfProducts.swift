import ModelCore

/// Convolutions, products and normalisations.
extension Inference {
  /// [batch, channels, spatial…] to the same.
  static func convolution(_ geometry: ConvolutionGeometry, _ operands: [TensorType]) throws -> TensorType {
    let rank = geometry.stride.count
    guard operands.count == 2 || operands.count == 3 else {
      throw ModelError(.mismatch, "takes an input, a weight and a bias")
    }
    try checkNumbers(operands)
    let (input, weight) = (operands[0].shape, operands[1].shape)
    guard input.count == rank + 2 else {
      throw ModelError(.mismatch, "takes \(rank + 2) axes, but \(input) comes to it")
    }
    guard (1...3).contains(rank), weight.count == rank + 2, geometry.padding.count == rank,
      geometry.dilation.count == rank, geometry.outputPadding.count == rank, (1...Shape.limit).contains(geometry.groups)
    else { throw ModelError(.malformed, "its configuration is no valid one") }
    let channels = geometry.isTransposed ? weight[0] : weight[1] * geometry.groups
    guard input[1] == channels else {
      throw ModelError(.mismatch, "takes \(channels) channels, but \(input[1]) come to it")
    }
    let outputs = geometry.isTransposed ? weight[1] * geometry.groups : weight[0]
    guard outputs % geometry.groups == 0, input[1] % geometry.groups == 0,
      operands.count < 3 || operands[2].shape == [outputs]
    else { throw ModelError(.malformed, "its configuration is no valid one") }
    var output = [input[0], outputs]
    for axis in 0..<rank {
      let margin = geometry.padding[axis]
      output.append(
        try geometry.isTransposed
          ? transposed(
            input[axis + 2], kernel: weight[axis + 2], stride: geometry.stride[axis],
            dilation: geometry.dilation[axis], margin, geometry.outputPadding[axis])
          : Shape.windows(
            input[axis + 2], kernel: weight[axis + 2], stride: geometry.stride[axis],
            padding: (margin.before, margin.after), dilation: geometry.dilation[axis]))
    }
    return TensorType(.promoted(Array(operands.prefix(2))), output)
  }

  /// Whole numbers do not go with a weight of floating ones, in PyTorch as here.
  private static func checkNumbers(_ operands: [TensorType]) throws {
    guard operands[1].dtype.isFloatingPoint, operands[0].dtype.isInteger else { return }
    throw ModelError(
      .mismatch, "takes floating numbers, but \(operands[0].dtype.rawValue) comes to it",
      advice: "convert the input to float32")
  }

  private static func transposed(
    _ size: Int, kernel: Int, stride: Int, dilation: Int, _ margin: Margin, _ outputPadding: Int
  ) throws -> Int {
    guard size > 0, kernel > 0, stride > 0, dilation > 0,
      [kernel, stride, dilation, margin.before, margin.after, outputPadding].allSatisfy({
        (0...Shape.limit >> 8).contains($0)
      })
    else { throw ModelError(.malformed, "its configuration is no valid one") }
    let length =
      (size - 1) * stride - margin.before - margin.after + dilation * (kernel - 1) + outputPadding + 1
    guard length > 0 else { throw ModelError(.mismatch, "its output would be empty") }
    return length
  }

  static func linear(_ operands: [TensorType]) throws -> TensorType {
    guard operands.count == 2 || operands.count == 3, operands[1].shape.count == 2 else {
      throw ModelError(.mismatch, "takes an input, a weight and a bias")
    }
    try checkNumbers(operands)
    let (input, weight) = (operands[0].shape, operands[1].shape)
    guard let features = input.last else { throw ModelError(.mismatch, "axis -1 is none of 0") }
    guard features == weight[1] else {
      throw ModelError(.mismatch, "takes \(weight[1]) channels, but \(features) come to it")
    }
    guard operands.count < 3 || operands[2].shape == [weight[0]] else {
      throw ModelError(.malformed, "its configuration is no valid one")
    }
    return TensorType(.promoted(Array(operands.prefix(2))), input.dropLast() + [weight[0]])
  }

  static func matrixProduct(_ operands: [TensorType]) throws -> TensorType {
    let shapes = try pair(operands).map(\.shape)
    guard shapes.allSatisfy({ $0.count >= 2 }), let inner = shapes[0].last, inner == shapes[1][shapes[1].count - 2]
    else { throw ModelError(.mismatch, "cannot multiply \(shapes.map(\.description).joined(separator: " by "))") }
    return TensorType(
      .promoted(operands),
      try Shape.broadcast(shapes.map { Array($0.dropLast(2)) })
        + [shapes[0][shapes[0].count - 2], shapes[1][shapes[1].count - 1]])
  }

  static func attention(_ operands: [TensorType]) throws -> TensorType {
    guard (3...4).contains(operands.count), operands.prefix(3).allSatisfy({ $0.shape.count >= 2 }) else {
      throw ModelError(.mismatch, "attention takes queries, keys and values")
    }
    let (queries, keys, values) = (operands[0].shape, operands[1].shape, operands[2].shape)
    guard queries.last == keys.last, keys.dropLast() == values.dropLast(), queries.count == keys.count,
      queries.dropLast(2) == keys.dropLast(2)
    else { throw ModelError(.mismatch, "attention takes queries, keys and values that go together") }
    if operands.count == 4 {
      let scores = queries.dropLast() + [keys[keys.count - 2]]
      guard try Shape.broadcast([Array(scores), operands[3].shape]) == Array(scores) else {
        throw ModelError(.mismatch, "the mask \(operands[3].shape) does not fit scores \(scores)")
      }
    }
    return operands[0].with(queries.dropLast() + [values[values.count - 1]])
  }

  static func batchNorm(_ mode: BatchNormMode, _ operands: [TensorType]) throws -> [TensorType] {
    guard (5...6).contains(operands.count), operands[0].shape.count >= 2 else {
      throw ModelError(.mismatch, "takes an input of two axes or more")
    }
    let features = operands[1].shape
    guard features.count == 1, operands[2..<5].allSatisfy({ $0.shape == features }),
      operands.dropFirst(5).allSatisfy(\.shape.isEmpty)
    else {
      throw ModelError(.malformed, "its configuration is no valid one")
    }
    guard operands[0].shape[1] == features[0] else {
      throw ModelError(.mismatch, "takes \(features[0]) channels, but \(operands[0].shape[1]) come to it")
    }
    try requireFloating(operands[0])
    guard case .training = mode else { return [operands[0]] }
    guard Shape.count(operands[0].shape) > features[0] else {
      throw ModelError(.mismatch, "a batch norm in training needs more than one value per channel")
    }
    return [operands[0], operands[3], operands[4], operands[3], operands[4]]
  }

  static func layerNorm(_ axes: Int, _ operands: [TensorType]) throws -> TensorType {
    try requireFloating(operands[0])
    let input = operands[0].shape
    guard (1...max(input.count, 1)).contains(axes), axes <= input.count, operands.count <= 3 else {
      throw ModelError(.mismatch, "normalises \(axes) axes, but \(input) comes to it")
    }
    for weight in operands.dropFirst() where weight.shape[...] != input.suffix(axes) {
      throw ModelError(.mismatch, "normalises \(weight.shape), but \(input) comes to it")
    }
    return operands[0]
  }

  static func groupNorm(_ groups: Int, _ operands: [TensorType]) throws -> TensorType {
    try requireFloating(operands[0])
    let input = operands[0].shape
    guard input.count >= 2, operands.count <= 3, groups > 0, input[1] % groups == 0 else {
      throw ModelError(.mismatch, "cannot divide \(input) into \(groups) groups")
    }
    for weight in operands.dropFirst() where weight.shape != [input[1]] {
      throw ModelError(.mismatch, "takes \(weight.shape.first ?? 0) channels, but \(input[1]) come to it")
    }
    return operands[0]
  }

  // MARK: Element by element, and over axes

  static func prelu(_ operands: [TensorType]) throws -> TensorType {
    let (input, slope) = (operands[0].shape, try pair(operands)[1].shape)
    guard slope.count <= 1, slope.isEmpty || slope == [1] || (input.count >= 2 && slope == [input[1]]) else {
      throw ModelError(.mismatch, "has slopes \(slope), but \(input) comes to it")
    }
    return operands[0]
  }

  static func binary(_ function: Binary, _ operands: [TensorType]) throws -> TensorType {
    let shape = try Shape.broadcast(try pair(operands).map(\.shape))
    let dtype = DType.promoted(operands)
    return TensorType(function == .divide && dtype.isInteger ? .float32 : dtype, shape)
  }

  static func reduced(_ input: [Int], _ axes: [Int], _ keepsAxes: Bool) throws -> [Int] {
    let axes = Set(try axes.map { try Shape.axis($0, input.count) })
    return input.indices.compactMap { axes.contains($0) ? (keepsAxes ? 1 : nil) : input[$0] }
  }

  static func topK(_ input: [Int], _ axis: Int, _ count: Int) throws -> [Int] {
    var output = input
    let axis = try Shape.axis(axis, input.count)
    guard count >= 0 else { throw ModelError(.mismatch, "cannot choose \(count)") }
    output[axis] = min(count, input[axis])
    return output
  }
}
