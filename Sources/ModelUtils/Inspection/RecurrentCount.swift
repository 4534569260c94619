import ModelCore
import ModelGraph

extension Recurrent {
  /// As thop and ultralytics-thop count: products, biases, gates and what is computed with them, for every step and
  /// entry of the batch. thop takes no notice of a projection.
  func operations(_ input: [Int], countsProjection: Bool) -> Double {
    let projection = countsProjection ? projectionSize : 0
    let stacked = Double(projection > 0 ? projection : hiddenSize) * (isBidirectional ? 2 : 1)
    var total = cell(Double(inputSize), projection)
    if layers > 1 { total += Double(layers - 1) * cell(stacked, projection) }
    let evaluations = input.count == 2 ? Double(input[0]) : OperationCount.count(input.prefix(2))
    return total * (isBidirectional ? 2 : 1) * evaluations
  }

  /// One step of one layer in one direction.
  fileprivate func cell(_ inputs: Double, _ projection: Int) -> Double {
    let hidden = Double(hiddenSize)
    let states = projection > 0 ? Double(projection) : hidden
    let gate = hidden * (inputs + states) + hidden + (hasBias ? 2 * hidden : 0)
    switch kind {
    case .rnnTanh, .rnnReLU: return gate
    // The reset of the state; (1 - z) · n + z · h.
    case .gru: return 3 * gate + 4 * hidden
    // f · c + i · g; o · tanh(c), and its projection.
    case .lstm: return 4 * gate + 4 * hidden + hidden * Double(projection)
    }
  }
}

extension RecurrentCell {
  /// One step of one entry of the batch.
  var operations: Double {
    Recurrent(kind, inputSize: inputSize, hiddenSize: hiddenSize, hasBias: hasBias).cell(Double(inputSize), 0)
  }
}
