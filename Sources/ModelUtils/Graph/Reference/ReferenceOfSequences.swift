import ModelCore

/// Recurrent layers.
extension Reference {
  /// All states, the last, and an LSTM's last cell. Gates stand in PyTorch's order: reset, update, new of a GRU; input,
  /// forget, cell, output of an LSTM.
  static func recurrence(_ recurrence: Recurrence, _ operands: [ReferenceArray]) -> [[Double]] {
    let input = operands[0]
    let (length, batch) = (input.shape[0], input.shape[1])
    let weights = Array(operands.dropFirst(recurrence.kind == .lstm ? 3 : 2))
    let rows = weights[0].shape[0]
    let hidden = rows / recurrence.kind.gates
    let biases = recurrence.hasBias ? [weights[2], weights[3]] : []
    let projection = recurrence.isProjected ? weights[weights.count - 1] : nil
    let fromInput = linear([input, weights[0]] + biases.prefix(1))
    var state = operands[1].values
    var cell = recurrence.kind == .lstm ? operands[2].values : []
    var states = [Double](repeating: 0, count: length * state.count)
    for step in 0..<length {
      let place = recurrence.isReversed ? length - 1 - step : step
      let last = ReferenceArray(operands[1].type, state)
      let fromState = linear([last, weights[1]] + biases.dropFirst())
      var next = [Double](repeating: 0, count: batch * hidden)
      for entry in 0..<batch {
        let row = entry * rows
        let start = place * batch * rows + row
        for unit in 0..<hidden {
          func sum(_ gate: Int) -> Double {
            fromInput[start + gate * hidden + unit] + fromState[row + gate * hidden + unit]
          }
          let index = entry * hidden + unit
          switch recurrence.kind {
          case .rnnTanh: next[index] = CMath.tanh(sum(0))
          case .rnnReLU: next[index] = Unary.relu(sum(0))
          case .gru:
            let reset = Unary.sigmoid(sum(0))
            let update = Unary.sigmoid(sum(1))
            let new = CMath.tanh(
              fromInput[start + 2 * hidden + unit] + reset * fromState[row + 2 * hidden + unit])
            next[index] = (1 - update) * new + update * state[index]
          case .lstm:
            cell[index] = Unary.sigmoid(sum(1)) * cell[index] + Unary.sigmoid(sum(0)) * CMath.tanh(sum(2))
            next[index] = Unary.sigmoid(sum(3)) * CMath.tanh(cell[index])
          }
        }
      }
      if let projection {
        next = linear([ReferenceArray(TensorType(input.type.dtype, [batch, hidden]), next), projection])
      }
      state = next
      states.replaceSubrange(place * state.count..<(place + 1) * state.count, with: state)
    }
    return recurrence.kind == .lstm ? [states, state, cell] : [states, state]
  }
}
