import ModelCheckpoints
import ModelCore
import ModelGraph

/// Recurrent layers.
extension ONNXLowering {
  /// One layer in one direction: all states, the last, and an LSTM's last cell.
  mutating func recurrence(
    _ recurrence: Recurrence, _ operands: [ONNXValue], _ results: [(dtype: DType, shapes: [[Int]])]
  ) throws -> [ONNXValue] {
    guard !recurrence.isProjected else {
      throw ModelError(.unsupported, "ONNX has no LSTM whose states are projected")
    }
    let isLSTM = recurrence.kind == .lstm
    let (input, states) = (operands[0], Array(operands[1..<(isLSTM ? 3 : 2)]))
    let weights = Array(operands.dropFirst(isLSTM ? 3 : 2))
    let hidden = weights[1].shape[1]
    var attributes = [ONNXAttribute("hidden_size", hidden)]
    if recurrence.isReversed { attributes.append(ONNXAttribute("direction", "reverse")) }
    let operation: String
    switch recurrence.kind {
    case .lstm: operation = "LSTM"
    case .gru:
      operation = "GRU"
      attributes.append(ONNXAttribute("linear_before_reset", 1))
    case .rnnTanh, .rnnReLU:
      operation = "RNN"
      let name = recurrence.kind == .rnnReLU ? "Relu" : "Tanh"
      attributes.append(ONNXAttribute("activations", .strings([Array(name.utf8)])))
    }
    let gates = try weights.map { try ordered($0, recurrence.kind) }
    let directed = try gates.prefix(2).map { try unsqueezed($0, axes: [0]) }
    var bias: ONNXValue?
    if recurrence.hasBias {
      let both = concatenate([gates[2], gates[3]], axis: 0, input.dtype, gates[2].shapes.map { [2 * $0[0]] })
      bias = try unsqueezed(both, axes: [0])
    }
    let initial = try states.map { try unsqueezed($0, axes: [0]) }
    let all = input.shapes.map { [$0[0], 1, $0[1], hidden] }
    let last = input.shapes.map { [1, $0[1], hidden] }
    let types = [(input.dtype, all)] + [(DType, [[Int]])](repeating: (input.dtype, last), count: isLSTM ? 2 : 1)
    let made = node(operation, [input] + directed + [bias, nil] + initial, attributes, types)
    return try [squeezed(made[0], axes: [1])] + made.dropFirst().map { try squeezed($0, axes: [0]) }
  }

  /// Rows by gates in ONNX's order: of an LSTM input, output, forget, cell, of a GRU update, reset, new.
  private mutating func ordered(_ weight: ONNXValue, _ kind: Recurrent.Kind) throws -> ONNXValue {
    let order: [Int]
    switch kind {
    case .lstm: order = [0, 3, 1, 2]
    case .gru: order = [1, 0, 2]
    case .rnnTanh, .rnnReLU: return weight
    }
    let part = weight.shapes.map { [$0[0] / order.count] + $0.dropFirst() }
    let parts = try split(weight, axis: 0, beside: [], order.map { _ in (weight.dtype, part) })
    return concatenate(order.map { parts[$0] }, axis: 0, weight.dtype, weight.shapes)
  }
}
