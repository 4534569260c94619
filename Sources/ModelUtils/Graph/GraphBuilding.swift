import ModelCore

/// Building a graph: values are defined before they are used, and what is refused leaves the graph as it was.
///
///     var graph = Graph()
///     let pixels = graph.addInput("pixels")
///     let weight = graph.addWeight("fc.weight", Graph.Weight(tensor: try Tensor(floats, [10, 64])))
///     graph.outputs = [try graph.emit(.unary(.relu), graph.emit(.linear, pixels, weight))]
///
/// Whether shapes and types fit is found by `types(of:)`.
extension Graph {
  /// Defines an input; tensors come to them in the order in which they are added.
  public mutating func addInput(_ name: String) -> Value {
    let value = define(.input(name: name))
    inputs.append(value)
    return value
  }

  /// The value of a weight by its dotted path: the one that there is, or the one given.
  public mutating func addWeight(_ path: String, _ weight: Weight) -> Value {
    let next = Value(index: definitions.count)
    let value = weights.updateValue(forKey: path, default: weight) { held in
      let value = held.value ?? next
      held.value = value
      return value
    }
    if value == next { definitions.append(.weight(path)) }
    return value
  }

  /// Defines a tensor that does not depend on the inputs and is no weight.
  public mutating func addConstant(_ tensor: Tensor) -> Value { define(.constant(tensor)) }

  /// Appends an operation of one result.
  /// - Throws: `ModelError` for an operation of several results, values of another graph, and a graph larger than any
  ///   model's.
  public mutating func emit(_ operation: Operation, _ operands: Value...) throws -> Value {
    guard operation.resultCount == 1 else { throw ModelError(.mismatch, "gives several results") }
    return try emitAll(operation, operands)[0]
  }

  /// Appends an operation and gives all its results.
  /// - Throws: as `emit`.
  public mutating func emitAll(_ operation: Operation, _ operands: [Value]) throws -> [Value] {
    try checkAreOwn(operands)
    let scope = try openScopes.last ?? (scopes.isEmpty ? enter("", parent: nil, inputs: inputs) : 0)
    return try append(operation, operands, scope: scope)
  }

  /// A call of a module: what the body emits belongs to its path, under which errors and reports name it.
  /// - Throws: what the body throws, and as `emit`.
  public mutating func call(
    _ path: String, className: ClassName? = nil, _ inputs: [Value], _ body: (inout Graph) throws -> [Value]
  ) throws -> [Value] {
    try checkAreOwn(inputs)
    let parent = try openScopes.last ?? (scopes.isEmpty ? enter("", parent: nil, inputs: self.inputs) : 0)
    openScopes.append(try enter(path, className: className, parent: parent, inputs: inputs))
    defer { openScopes.removeLast() }
    let outputs = try body(&self)
    try checkAreOwn(outputs)
    if let scope = openScopes.last { leave(scope, outputs: outputs) }
    return outputs
  }

  /// - Throws: `ModelError` for a value that the graph does not have.
  func checkAreOwn(_ values: [Value]) throws {
    for value in values where !definitions.indices.contains(value.index) {
      throw ModelError(.invalid, "value \(value.index) is none of the graph's \(definitions.count)")
    }
  }

  private mutating func define(_ definition: Definition) -> Value {
    definitions.append(definition)
    return Value(index: definitions.count - 1)
  }

  // MARK: What tracers do besides

  /// Notes a module that the graph leaves out.
  package mutating func omit(_ path: String, className: ClassName, reason: String) {
    omissions.append(Omission(path: path, className: className.description, reason: reason))
  }

  /// Notes what a weight becomes in a run.
  package mutating func update(_ path: String, to value: Value) { updates[path] = value }

  /// - Throws: `ModelError` when the graph becomes larger than any model's.
  package mutating func append(_ operation: Operation, _ operands: [Value], scope: Int) throws -> [Value] {
    guard nodes.count < Self.nodeLimit else { throw ModelError(.limit, "runs more than \(Self.nodeLimit) operations") }
    takenOperands += operands.count
    guard takenOperands <= Self.operandLimit, definitions.count < 2 * Self.operandLimit else {
      throw ModelError(.limit, "its operations take more than \(Self.operandLimit) inputs", subject: scopes[scope].path)
    }
    let count = operation.resultCount
    guard (1...1 << 16).contains(count) else {
      throw ModelError(.mismatch, "cannot make \(count) parts", subject: scopes[scope].path)
    }
    let results = (0..<count).map { define(.result(node: nodes.count, position: $0)) }
    nodes.append(Node(operation: operation, operands: operands, results: results, scope: scope))
    return results
  }

  /// Notes a call of a module; its outputs follow when it is left.
  /// - Throws: `ModelError` when there are more calls than any model's.
  package mutating func enter(
    _ path: String, className: ClassName? = nil, module: Identity? = nil, layer: Layer? = nil, parent: Int?,
    inputs: [Value]
  ) throws -> Int {
    guard scopes.count < Self.nodeLimit else { throw ModelError(.limit, "calls more than \(Self.nodeLimit) modules") }
    scopes.append(
      Scope(path: path, className: className, module: module, layer: layer, parent: parent, inputs: inputs))
    return scopes.count - 1
  }

  package mutating func leave(_ scope: Int, outputs: [Value]) { scopes[scope].outputs = outputs }
}
