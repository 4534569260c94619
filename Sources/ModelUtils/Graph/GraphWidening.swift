import ModelCore

extension DType {
  /// float32 for float16 and bfloat16, and every other type itself.
  package var widened: DType { self == .float16 || self == .bfloat16 ? .float32 : self }
}

extension Graph {
  /// The same graph for float32 in place of float16 and bfloat16: weights, constants, and what values are converted to.
  /// - Throws: `ModelError` for a weight that cannot be read.
  package func widened() throws -> Graph {
    var graph = self
    for (path, weight) in weights { graph.weights[path]?.tensor = try weight.tensor.widened() }
    for (index, definition) in definitions.enumerated() {
      if case .constant(let tensor) = definition { graph.definitions[index] = .constant(try tensor.widened()) }
    }
    for (index, node) in nodes.enumerated() {
      guard case .convert(let dtype) = node.operation, dtype.widened != dtype else { continue }
      graph.nodes[index] = Node(
        operation: .convert(dtype.widened), operands: node.operands, results: node.results, scope: node.scope)
    }
    return graph
  }
}

extension Tensor {
  fileprivate func widened() throws -> Tensor { dtype.widened == dtype ? self : try converted(to: dtype.widened) }
}
