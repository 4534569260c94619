import ModelCore

extension Graph {
  /// What the graph computes, plainly and in double precision: slow, and meant to judge faster ways.
  ///
  /// Only what the outputs need is computed; a value is let go after its last use.
  /// - Parameters:
  ///   - inputs: one for each of the graph's inputs.
  ///   - memoryLimit: bytes that the values in use may take at once, at 8 an element.
  /// - Returns: the outputs, rounded to their types.
  /// - Throws: `ModelError` naming the module: for inputs that it cannot take, an operation that is not known or draws
  ///   random numbers, and values larger than the limit.
  public func reference(_ inputs: [Tensor], memoryLimit: Int = 8 << 30) throws -> [Tensor] {
    try reference(inputs, of: outputs, memoryLimit: memoryLimit)
  }

  /// The same for any of its values, such as the `updates` of training or the outputs of a scope.
  public func reference(_ inputs: [Tensor], of chosen: [Value], memoryLimit: Int = 8 << 30) throws -> [Tensor] {
    try checkAreOwn(chosen)
    let types = try self.types(of: inputs.map { TensorType($0.dtype, $0.shape) })
    var run = ReferenceRun(self, types, inputs, of: chosen, memoryLimit: memoryLimit)
    for node in nodes.indices where run.isNeeded[node] { try run.compute(node) }
    return try chosen.map { try run.array($0).tensor() }
  }

  /// What a module gave in every call, by its dotted path.
  public func outputs(ofModule path: String) -> [Value] { scopes.filter { $0.path == path }.flatMap(\.outputs) }
}

/// The values in use while a graph runs.
private struct ReferenceRun {
  let graph: Graph
  let types: InferredTypes
  let memoryLimit: Int
  /// Of each node whether a chosen value follows from it.
  private(set) var isNeeded: [Bool]
  /// For each value how many needed nodes and choices still take it.
  private var uses: [Int]
  private var arrays: [Int: ReferenceArray] = [:]
  private var sources: [Int: Tensor] = [:]
  private var bytes = 0

  init(_ graph: Graph, _ types: InferredTypes, _ inputs: [Tensor], of chosen: [Graph.Value], memoryLimit: Int) {
    (self.graph, self.types, self.memoryLimit) = (graph, types, memoryLimit)
    isNeeded = graph.nodes.map { _ in false }
    uses = graph.definitions.map { _ in 0 }
    for value in chosen { uses[value.index] += 1 }
    for (index, node) in graph.nodes.enumerated().reversed() where node.results.contains(where: { uses[$0.index] > 0 })
    {
      isNeeded[index] = true
      for operand in node.operands { uses[operand.index] += 1 }
    }
    for (value, tensor) in zip(graph.inputs, inputs) { sources[value.index] = tensor }
  }

  /// The value of what is not a node's result is read when it is first asked for.
  mutating func array(_ value: Graph.Value) throws -> ReferenceArray {
    if let array = arrays[value.index] { return array }
    let tensor: Tensor? =
      switch graph.definitions[value.index] {
      case .input: sources[value.index]
      case .weight(let path): graph.weights[path]?.tensor
      case .constant(let tensor): tensor
      case .result: nil
      }
    guard let tensor else {
      throw ModelError(.mismatch, "is asked for before it is computed", subject: "value \(value.index)")
    }
    try take(types[value])
    let array = try ReferenceArray(tensor)
    arrays[value.index] = array
    return array
  }

  mutating func compute(_ index: Int) throws {
    let node = graph.nodes[index]
    do {
      let operands = try node.operands.map { try array($0) }
      let resultTypes = node.results.map { types[$0] }
      for type in resultTypes { try take(type) }
      let results = try Reference.compute(node.operation, operands, resultTypes)
      for (value, array) in zip(node.results, results) { arrays[value.index] = array }
    } catch let error as ModelError {
      throw error.about(graph.scopes[node.scope].path)
    }
    for operand in node.operands {
      uses[operand.index] -= 1
      free(operand)
    }
    for result in node.results { free(result) }
  }

  private mutating func take(_ type: TensorType) throws {
    bytes += Shape.count(type.shape) * 8
    guard bytes <= memoryLimit else {
      throw ModelError(.limit, "the values in use take more than \(memoryLimit) bytes", advice: "take a smaller input")
    }
  }

  private mutating func free(_ value: Graph.Value) {
    guard uses[value.index] == 0, let array = arrays.removeValue(forKey: value.index) else { return }
    bytes -= array.values.count * 8
  }
}
