import ModelCore

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

    package init(index: Int) { self.index = index }
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
    /// What it was added as; nil for one that was put in its place.
    var value: Value?

    /// A parameter that requires a gradient, unless it is said otherwise.
    public init(tensor: Tensor, requiresGrad: Bool = true, isBuffer: Bool = false) {
      self.tensor = tensor
      self.requiresGrad = requiresGrad
      self.isBuffer = isBuffer
    }
  }

  /// Where each value comes from, by its index.
  public internal(set) var definitions: [Definition] = []
  /// The operations, in the order in which they run.
  public internal(set) var nodes: [Node] = []
  /// What the model is given, in its forward's order.
  public internal(set) var inputs: [Value] = []
  /// What the model gives, tuples, lists and dicts as their elements in order: any of the graph's values.
  public var outputs: [Value] = []
  /// Every call of a module, parents before their children.
  public internal(set) var scopes: [Scope] = []
  /// By dotted path; one that stands in several places has the first place's.
  public var weights: OrderedDictionary<String, Weight> = [:]
  /// What weights become in one run in training: running statistics, by their paths.
  public internal(set) var updates: OrderedDictionary<String, Value> = [:]
  /// Nodes that compute anew what another has computed, with that other: places in `nodes`.
  public internal(set) var recomputations: [Int: Int] = [:]

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
  public internal(set) var omissions: [Omission] = []
  /// The shapes of the inputs for which alone it holds; nil where it holds for all.
  public package(set) var inputShapes: [[Int]]?

  var takenOperands = 0

  /// Beyond any model; shared modules that call each other again and again are stopped here.
  package static let nodeLimit = 1 << 20
  /// Dense connections grow with the square of the layers.
  package static let operandLimit = 1 << 22

  /// The calls that a caller's own operations stand in, the innermost last.
  var openScopes: [Int] = []

  /// An empty graph, to be built by hand: `addInput`, `addWeight`, `emit`.
  public init() {}

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
