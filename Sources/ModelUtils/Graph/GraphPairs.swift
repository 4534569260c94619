import ModelCore

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
  /// - Parameter allowsOtherUses: whether functions may take their weights too, such as a penalty that is not fused.
  package func normalizedLayers(allowsOtherUses: Bool = false) -> [NormalizedLayer] {
    let soleUsers = soleUsers()
    let results = Set(outputs)
    let sharedWeights = allowsOtherUses ? [] : weightsUsedElsewhere()
    var candidates: [NormalizedLayer] = []
    var partners: [Identity: Identity] = [:]
    var runs: [Identity: Int] = [:]
    var pairedRuns: [Identity: Int] = [:]
    for (index, node) in nodes.enumerated() {
      guard let module = ownModule(of: node) else { continue }
      runs[module, default: 0] += 1
      guard node.operation.isBatchNorm, let source = node.operands.first, let place = producer(of: source),
        nodes[place].operation.isLinear, hasStoredWeight(nodes[place]), let layer = ownModule(of: nodes[place]),
        soleUsers[source.index] == index,
        !results.contains(source), !takes(sharedWeights, node), !takes(sharedWeights, nodes[place]),
        partners[module, default: layer] == layer, partners[layer, default: module] == module
      else { continue }
      (partners[module], partners[layer]) = (layer, module)
      pairedRuns[module, default: 0] += 1
      pairedRuns[layer, default: 0] += 1
      candidates.append(NormalizedLayer(layer: place, batchNorm: index))
    }
    return candidates.filter { pair in
      [pair.layer, pair.batchNorm].allSatisfy { place in
        ownModule(of: nodes[place]).map { runs[$0] == pairedRuns[$0] } ?? false
      }
    }
  }

  /// For every value the node that alone takes it; nil where none does or several do.
  private func soleUsers() -> [Int?] {
    var last = [Int](repeating: -1, count: definitions.count)
    var isShared = [Bool](repeating: false, count: definitions.count)
    for (index, node) in nodes.enumerated() {
      for operand in node.operands where last[operand.index] != index {
        isShared[operand.index] = last[operand.index] >= 0
        last[operand.index] = index
      }
    }
    return zip(last, isShared).map { $0 < 0 || $1 ? nil : $0 }
  }

  /// Weights that a function takes beside the layers whose they are, or that the model gives: a factor in them would go
  /// there too.
  package func weightsUsedElsewhere() -> Set<Value> {
    var found = Set(outputs)
    for node in nodes where ownModule(of: node) == nil {
      for operand in node.operands {
        if case .weight = definitions[operand.index] { found.insert(operand) }
      }
    }
    return found
  }

  /// Whether a node takes one of the weights.
  package func takes(_ weights: Set<Value>, _ node: Node) -> Bool {
    !weights.isEmpty && node.operands.dropFirst().contains(where: weights.contains)
  }

  /// Whether a layer's weight is a weight as it is stored, and not computed when it runs.
  package func hasStoredWeight(_ node: Node) -> Bool {
    guard node.operands.count > 1, case .weight = definitions[node.operands[1].index] else { return false }
    return true
  }

  /// The module whose own convolution, product or batch norm a node is; nil for what prepares its input, and for
  /// functions.
  package func ownModule(of node: Node) -> Identity? {
    let scope = scopes[node.scope]
    switch (node.operation, scope.layer) {
    case (.convolution, .convolution), (.linear, .linear), (.batchNorm, .batchNorm): return scope.module
    default: return nil
    }
  }
}

extension Operation {
  /// A convolution or a linear layer.
  package var isLinear: Bool {
    switch self {
    case .convolution, .linear: true
    default: false
    }
  }

  package var isBatchNorm: Bool {
    if case .batchNorm = self { true } else { false }
  }
}
