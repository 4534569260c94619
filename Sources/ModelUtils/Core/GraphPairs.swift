extension Graph {
  /// A convolution or linear layer and the batch norm that alone takes its output, as places in `nodes`.
  package struct NormalizedLayer {
    package let layer: Int
    package let batchNorm: Int
  }

  /// Every batch norm whose input is the output of a convolution or linear layer that goes nowhere else, each module being called once.
  package func normalizedLayers() -> [NormalizedLayer] {
    let users = users()
    let results = Set(outputs)
    var calls: [Identity: Int] = [:]
    for node in nodes { if let module = node.module { calls[module, default: 0] += 1 } }
    func isCalledOnce(_ node: Node) -> Bool { node.module.map { calls[$0] == 1 } ?? false }
    return nodes.indices.compactMap { index in
      guard case .layer(.batchNorm) = nodes[index].operation, isCalledOnce(nodes[index]),
        nodes[index].inputs.count == 1
      else { return nil }
      let source = nodes[index].inputs[0]
      switch nodes[source.node].operation {
      case .layer(.convolution), .layer(.linear): break
      default: return nil
      }
      guard isCalledOnce(nodes[source.node]), users[source.node] == [index], !results.contains(source) else {
        return nil
      }
      return NormalizedLayer(layer: source.node, batchNorm: index)
    }
  }
}
