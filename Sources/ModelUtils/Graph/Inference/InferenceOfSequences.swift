import ModelCore

/// Recurrent layers, and what layers take beyond what their operations say.
extension Inference {
  static func recurrence(_ recurrence: Recurrence, _ operands: [TensorType]) throws -> [TensorType] {
    guard operands.count == recurrence.operandCount, !recurrence.isProjected || recurrence.kind == .lstm else {
      throw ModelError(.mismatch, "takes \(recurrence.operandCount) tensors, not \(operands.count)")
    }
    let (input, state) = (operands[0].shape, operands[1].shape)
    guard input.count == 3 else { throw ModelError(.mismatch, "takes 3 axes, but \(input) comes to it") }
    try requireFloating(operands[0])
    let weights = operands.dropFirst(recurrence.kind == .lstm ? 3 : 2).map(\.shape)
    let rows = weights[0].first ?? 0
    let hidden = rows / recurrence.kind.gates
    guard state.count == 2, weights[0].count == 2, hidden > 0, rows == hidden * recurrence.kind.gates,
      weights[1] == [rows, state[1]],
      weights.dropFirst(2).prefix(recurrence.hasBias ? 2 : 0).allSatisfy({ $0 == [rows] }),
      recurrence.isProjected ? weights[weights.count - 1] == [state[1], hidden] : state[1] == hidden
    else { throw ModelError(.malformed, "its configuration is no valid one") }
    guard input[2] == weights[0][1] else {
      throw ModelError(.mismatch, "takes \(weights[0][1]) features, but \(input[2]) come to it")
    }
    guard state[0] == input[1], recurrence.kind != .lstm || operands[2].shape == [input[1], hidden] else {
      throw ModelError(.mismatch, "its states \(state) do not fit a batch of \(input[1])")
    }
    let result = operands[0].with([input[0], input[1], state[1]])
    let last = operands[0].with([input[1], state[1]])
    return recurrence.kind == .lstm ? [result, last, operands[0].with([input[1], hidden])] : [result, last]
  }
}

extension Layer {
  /// - Throws: `ModelError` for an input that PyTorch's class refuses, or takes for something else than the layer's
  ///   operations do: an instance norm's picture without a batch, and places that are no whole numbers.
  /// - Parameter others: what comes to it beside the input, such as states.
  func check(_ input: TensorType, beside others: @autoclosure () -> [TensorType]) throws {
    func requireAxes(_ count: Int) throws {
      guard input.shape.count == count else {
        throw ModelError(.mismatch, "takes \(count) axes, but \(input.shape) comes to it")
      }
    }
    switch self {
    case .instanceNorm(let norm): try requireAxes(norm.rank + 2)
    case .unfold(let unfold):
      try requireAxes(unfold.outputSize == nil ? 4 : 3)
      guard unfold.outputSize == nil else { break }
      for (axis, size) in input.shape.dropFirst(2).enumerated() {
        let padding = unfold.padding[axis]
        _ = try Shape.windows(
          size, kernel: unfold.kernelSize[axis], stride: unfold.stride[axis], padding: (padding, padding),
          dilation: unfold.dilation[axis])
      }
    case .powerPool(let pool): try requireAxes(pool.kernelSize.count + 2)
    case .localResponseNorm:
      guard input.shape.count >= 3 else {
        throw ModelError(.mismatch, "takes 3 axes or more, but \(input.shape) comes to it")
      }
    case .embedding(let embedding):
      guard input.dtype.isInteger else {
        throw ModelError(.mismatch, "takes places, which are whole numbers, but \(input.dtype.rawValue) comes to it")
      }
      if embedding.mode != nil { try requireAxes(2) }
    case .recurrentCell:
      let inputs = [input] + others()
      guard (1...2).contains(input.shape.count), inputs.allSatisfy({ $0.shape.count == input.shape.count }) else {
        throw ModelError(.mismatch, "takes 2 axes, or 1 without a batch, but \(inputs.map(\.shape)) come to it")
      }
    case .convolution, .batchNorm, .linear, .layerNorm, .groupNorm, .activation, .softmax, .multiheadAttention,
      .dropout, .pool, .adaptivePool, .upsample, .pad, .flatten, .pixelShuffle, .rmsNorm, .glu, .recurrent, .unflatten,
      .channelShuffle, .bilinear, .identity, .sequential, .container, .opaque:
      break
    }
  }
}
