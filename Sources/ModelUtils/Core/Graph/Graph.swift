/// A model as the operations that it runs, in execution order: flat, self-contained, and the same for every size of
/// input, but where a forward asks for the size (`inputShapes`).
///
/// Every value is defined once. The graph computes without the module tree that it came from: it holds the weights,
/// which share their storage with the tree's, and `Module.setWeights(of:)` hands changed ones back.
public struct Graph: Sendable {
  /// A tensor that is an input, a weight, a constant, or a result of a node.
  public struct Value: Hashable, Sendable {
    /// The place in `definitions`.
    public let index: Int
  }

  /// Where a value comes from.
  public enum Definition: Sendable {
    /// What the model is given.
    case input(name: String)
    /// A parameter or buffer, by its dotted path.
    case weight(String)
    /// A tensor that is no weight: it belongs to the forward.
    case constant(Tensor)
    /// What a node makes: its place in `nodes`, and which of its results.
    case result(node: Int, position: Int)
  }

  /// An operation with what it takes and gives.
  public struct Node: Sendable {
    /// What it computes.
    public let operation: Operation
    /// What it takes, in the operation's order.
    public let operands: [Value]
    /// What it makes: as many as the operation has results.
    public let results: [Value]
    /// The call that it belongs to, as a place in `scopes`.
    public let scope: Int
  }

  /// A call of a module, those of its children being scopes of their own.
  public struct Scope: Sendable {
    /// The dotted path of the module; empty for the root.
    public let path: String
    /// The class of the module; nil where the call is no module's own.
    public let className: ClassName?
    /// The module, the same in all its calls; nil where the call is no module's own.
    public let module: Identity?
    /// What the module is, where it is one that computes by itself: its nodes then do that and nothing else.
    public let layer: Layer?
    /// The call from which it is called, as a place in `scopes`; nil for the root.
    public let parent: Int?
    /// What the call is given.
    public let inputs: [Value]
    /// What the call gives.
    public package(set) var outputs: [Value] = []
  }

  /// A parameter or buffer that the graph takes.
  public struct Weight: Sendable {
    /// Its elements, sharing their memory with the module's until one of them is changed.
    public var tensor: Tensor
    /// Whether it is a parameter that requires a gradient.
    public let requiresGrad: Bool
    /// Whether it is no parameter, such as a running mean.
    public let isBuffer: Bool

    package init(tensor: Tensor, requiresGrad: Bool, isBuffer: Bool) {
      self.tensor = tensor
      self.requiresGrad = requiresGrad
      self.isBuffer = isBuffer
    }
  }

  /// Where each value comes from, by its index.
  public private(set) var definitions: [Definition] = []
  /// The operations, in the order in which they run.
  public private(set) var nodes: [Node] = []
  /// What the model is given, in its forward's order.
  public private(set) var inputs: [Value] = []
  /// What the model gives, tuples, lists and dicts as their elements in order.
  public package(set) var outputs: [Value] = []
  /// Every call of a module, parents before their children.
  public private(set) var scopes: [Scope] = []
  /// By dotted path; one that stands in several places has the first place's.
  public var weights: OrderedDictionary<String, Weight> = [:]
  /// What weights become in one run in training: running statistics, by their paths.
  public private(set) var updates: OrderedDictionary<String, Value> = [:]

  /// A part of a model that is not in the graph.
  public struct Omission: Sendable, Hashable, Codable {
    /// The dotted path of the module.
    public let path: String
    /// The full path of its class.
    public let className: String
    /// What is not there, and why, in words.
    public let reason: String
  }

  /// What the model does besides, such as suppressing boxes that overlap.
  public private(set) var omissions: [Omission] = []
  /// The shapes of the inputs for which alone it holds; nil where it holds for all.
  public package(set) var inputShapes: [[Int]]?

  private var weightValues: [String: Value] = [:]
  private var takenOperands = 0

  /// Beyond any model; shared modules that call each other again and again are stopped here.
  package static let nodeLimit = 1 << 20
  /// Dense connections grow with the square of the layers.
  package static let operandLimit = 1 << 22

  package init() {}

  private mutating func define(_ definition: Definition) -> Value {
    definitions.append(definition)
    return Value(index: definitions.count - 1)
  }

  package mutating func addInput(_ name: String) -> Value {
    let value = define(.input(name: name))
    inputs.append(value)
    return value
  }

  /// The value of a weight, the same each time it is asked for.
  package mutating func weight(_ path: String, _ weight: @autoclosure () -> Weight) -> Value {
    if let value = weightValues[path] { return value }
    let value = define(.weight(path))
    weightValues[path] = value
    weights[path] = weight()
    return value
  }

  package mutating func constant(_ tensor: Tensor) -> Value { define(.constant(tensor)) }

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

  // MARK: Reading

  /// The node that makes a value; nil for inputs, weights and constants.
  public func producer(of value: Value) -> Int? {
    if case .result(let node, _) = definitions[value.index] { node } else { nil }
  }

  /// For every value the nodes that take it, in order, each once.
  public func users() -> [[Int]] {
    var users = [[Int]](repeating: [], count: definitions.count)
    for (index, node) in nodes.enumerated() {
      for operand in node.operands where users[operand.index].last != index { users[operand.index].append(index) }
    }
    return users
  }

  /// The operands that depend on the graph's inputs or are computed from weights: no weights, no constants.
  public func activations(of node: Node) -> [Value] {
    node.operands.filter { operand in
      switch definitions[operand.index] {
      case .input, .result: true
      case .weight, .constant: false
      }
    }
  }
}

extension Module {
  /// Takes over a graph's weights, by their paths, in every place where a parameter or buffer stands.
  public mutating func setWeights(of graph: Graph) {
    setTensors(includesNonPersistent: true) { graph.weights[$0]?.tensor }
  }
}
