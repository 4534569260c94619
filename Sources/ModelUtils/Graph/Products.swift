import ModelCore

extension Graph {
  /// The multiplications of convolutions and products of every node.
  /// - Throws: as `types(of:)`.
  package func products(of inputs: [TensorType]) throws -> [Double] {
    let types = try self.types(of: inputs)
    return nodes.map { node in
      node.operation.products(node.operands.map { types[$0].shape }, types[node.results[0]].shape)
    }
  }
}

extension Operation {
  /// Multiplications of a convolution or product; a transposed convolution's are counted over its input.
  package func products(_ operands: [[Int]], _ output: [Int]) -> Double {
    switch self {
    case .convolution(let geometry):
      return elements(geometry.isTransposed ? operands[0] : output) * elements(operands[1].dropFirst())
    case .linear: return elements(output) * Double(operands[1].last ?? 0)
    case .matrixProduct: return elements(output) * Double(operands[0].last ?? 1)
    case .einsum(let equation): return ((try? Einsum(equation, operands))?.sizes.values).map { elements($0) } ?? 0
    case .attention:
      // Queries by keys, then weights by values.
      return elements(operands[0].dropLast()) * Double(operands[1].dropLast().last ?? 1)
        * Double((operands[0].last ?? 0) + (operands[2].last ?? 0))
    case .recurrence(let recurrence): return recurrence.products(operands)
    // As many as the convolution's own.
    case .gradient(.convolutionInput(let geometry, let input)):
      return elements(geometry.isTransposed ? input : operands[1]) * elements(operands[0].dropFirst())
    case .gradient(.convolutionWeight(let geometry, let weight)):
      return elements(geometry.isTransposed ? operands[0] : operands[1]) * elements(weight.dropFirst())
    case .batchNorm, .layerNorm, .rmsNorm, .groupNorm, .softmax, .unary, .prelu, .binary, .compare, .select, .convert,
      .dropout, .reduce, .argmax, .topK, .pool, .adaptivePool, .resize, .pad, .samePad, .gridSample, .pixelShuffle,
      .concatenate, .stack, .split, .slice, .gather, .scatter, .reshape, .flatten, .permute, .expand, .coordinates,
      .shape, .gradient, .other:
      return 0
    }
  }
}

extension Recurrence {
  /// Multiplications of the weights with inputs and states, and of the projection.
  fileprivate func products(_ operands: [[Int]]) -> Double {
    guard operands[0].count == 3 else { return 0 }
    let steps = Double(operands[0][0]) * Double(operands[0][1])
    let weights = operands.dropFirst(kind == .lstm ? 3 : 2)
    return steps * weights.filter { $0.count == 2 }.reduce(0) { $0 + elements($1) }
  }
}

/// Doubles: exact up to 2^53, and never a trap.
private func elements(_ shape: some Sequence<Int>) -> Double { shape.reduce(1) { $0 * Double($1) } }
