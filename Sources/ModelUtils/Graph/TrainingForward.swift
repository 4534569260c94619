import ModelCore

/// A forward that a backward pass can be put behind: what is dropped at random draws by an input, and the outputs'
/// gradients are inputs where they come from outside.
package struct TrainingForward {
  package private(set) var graph: Graph
  /// Of each value of the source its value in `graph`.
  package private(set) var mapping: [Graph.Value]
  /// The input of seed and step; nil where nothing is drawn.
  package private(set) var seed: Graph.Value?
  /// The inputs for the gradients of the outputs.
  package private(set) var cuts: [Graph.Value] = []

  /// - Parameter isCut: whether the outputs' gradients come from outside.
  package init(_ source: Graph, isCut: Bool) {
    graph = source
    mapping = source.definitions.indices.map { Graph.Value(index: $0) }
    if source.nodes.contains(where: { $0.operation.draws }) { addSeed() }
    if isCut { cuts = source.outputs.indices.map { graph.addInput("gradient of output \($0)") } }
  }

  /// Puts the seed behind the inputs, which come first, and gives it to whatever draws.
  private mutating func addSeed() {
    let source = graph
    let inputs = source.inputs
    let others = source.definitions.indices.map { Graph.Value(index: $0) }.filter { !Set(inputs).contains($0) }
    for (place, value) in inputs.enumerated() { mapping[value.index] = Graph.Value(index: place) }
    let seed = Graph.Value(index: inputs.count)
    for (place, value) in others.enumerated() { mapping[value.index] = Graph.Value(index: inputs.count + 1 + place) }
    let moved = { [mapping] (value: Graph.Value) in mapping[value.index] }

    graph.definitions =
      inputs.map { source.definitions[$0.index] } + [.input(name: "seed")] + others.map { source.definitions[$0.index] }
    graph.inputs = inputs.map(moved) + [seed]
    graph.outputs = source.outputs.map(moved)
    graph.updates = source.updates.mapValues(moved)
    graph.weights = source.weights.mapValues { weight in
      var weight = weight
      weight.value = weight.value.map(moved)
      return weight
    }
    graph.scopes = source.scopes.map { scope in
      var copy = Graph.Scope(
        path: scope.path, className: scope.className, module: scope.module, layer: scope.layer, parent: scope.parent,
        inputs: scope.inputs.map(moved))
      copy.outputs = scope.outputs.map(moved)
      return copy
    }
    var stream = 0
    graph.nodes = source.nodes.map { node in
      var (operation, operands) = (node.operation, node.operands.map(moved))
      if case .dropout(var dropout) = operation, operation.draws, operands.count == 1 {
        dropout.stream = stream
        operation = .dropout(dropout)
        operands.append(seed)
        stream += 1
      }
      return Graph.Node(operation: operation, operands: operands, results: node.results.map(moved), scope: node.scope)
    }
    graph.inputShapes = source.inputShapes.map { $0 + [[2]] }
    self.seed = seed
  }
}

extension Operation {
  /// Whether it draws random numbers.
  package var draws: Bool {
    if case .dropout(let dropout) = self { dropout.probability > 0 && dropout.probability < 1 } else { false }
  }
}
