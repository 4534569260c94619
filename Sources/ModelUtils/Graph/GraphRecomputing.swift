import ModelCore

/// What computes anew what has been computed, so that it need not be kept meanwhile.
extension Graph {
  /// The graph as it was before a node was appended and what it takes besides: constants that came later are not there.
  package func beforeNode(_ place: Int) -> Graph {
    guard let first = nodes[place...].first?.results.first else { return self }
    var graph = self
    graph.definitions.removeSubrange(first.index...)
    graph.nodes.removeSubrange(place...)
    graph.takenOperands = graph.nodes.reduce(0) { $0 + $1.operands.count }
    graph.recomputations = recomputations.filter { $0.key < place }
    return graph
  }

  /// Appends a node that computes anew what another has computed.
  /// - Throws: as `emit`.
  package mutating func appendAgain(_ place: Int, _ operands: [Value]) throws -> [Value] {
    let node = nodes[place]
    let results = try append(node.operation, operands, scope: node.scope)
    recomputations[nodes.count - 1] = place
    return results
  }

  /// The same graph, in which everything takes what was computed first and nothing what was computed anew.
  package func withoutRecomputations() -> Graph {
    guard !recomputations.isEmpty else { return self }
    var first: [Value: Value] = [:]
    for (place, original) in recomputations {
      for (copy, value) in zip(nodes[place].results, nodes[original].results) { first[copy] = value }
    }
    var graph = self
    graph.recomputations = [:]
    for (index, node) in nodes.enumerated() where recomputations[index] == nil {
      guard node.operands.contains(where: { first[$0] != nil }) else { continue }
      graph.nodes[index] = Node(
        operation: node.operation, operands: node.operands.map { first[$0] ?? $0 }, results: node.results,
        scope: node.scope)
    }
    return graph
  }
}
