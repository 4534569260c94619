extension Graph {
  /// A convolution or linear layer and the batch norm that alone takes its output, as places in `nodes`.
  package struct NormalizedLayer {
    package let layer: Int
    package let batchNorm: Int
  }

  /// Every batch norm behind a convolution or linear layer whose output goes nowhere else.
  ///
  /// Where the two run several times, each run of either must go with one of the other: a layer that also runs alone is
  /// no pair.
  package func normalizedLayers() -> [NormalizedLayer] {
    let users = users()
    let results = Set(outputs)
    var candidates: [NormalizedLayer] = []
    var partners: [Identity: Identity] = [:]
    var runs: [Identity: Int] = [:]
    var pairedRuns: [Identity: Int] = [:]
    for (index, node) in nodes.enumerated() {
      guard let module = node.module else { continue }
      runs[module, default: 0] += 1
      guard case .layer(.batchNorm) = node.operation, let source = node.inputs.first, node.inputs.count == 1,
        nodes[source.node].operation.isLinear, let layer = nodes[source.node].module, users[source.node] == [index],
        !results.contains(source), partners[module, default: layer] == layer, partners[layer, default: module] == module
      else { continue }
      (partners[module], partners[layer]) = (layer, module)
      pairedRuns[module, default: 0] += 1
      pairedRuns[layer, default: 0] += 1
      candidates.append(NormalizedLayer(layer: source.node, batchNorm: index))
    }
    return candidates.filter { pair in
      [pair.layer, pair.batchNorm].allSatisfy { place in
        nodes[place].module.map { runs[$0] == pairedRuns[$0] } ?? false
      }
    }
  }
}

extension Graph.Operation {
  /// A convolution or a linear layer.
  package var isLinear: Bool {
    switch self {
    case .layer(.convolution), .layer(.linear): true
    default: false
    }
  }
}
