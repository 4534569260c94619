/// A model as the operations that it runs, in execution order: flat, in evaluation mode, and the same for every size of
/// input.
///
/// `shapes(of:)` propagates the shapes of a given input through it.
public struct Graph: Sendable {
  /// The output of a node.
  public struct Value: Hashable, Sendable {
    /// The node's place in `nodes`.
    public let node: Int
  }

  public struct Node: Sendable {
    public let operation: Operation
    public let inputs: [Value]
    /// The dotted path of the module that it is, or of the one whose forward calls the function.
    public let path: String
    /// The module that it is; nil for functions.
    public let module: Identity?
    /// The module's class, or that of the module whose forward calls the function; nil for the graph's inputs.
    public let className: ClassName?
  }

  public enum Operation: Sendable, Hashable {
    /// One of the model's inputs.
    case input
    /// A module, or a function that computes the same as one.
    case layer(Layer)
    case function(Function)
  }

  /// A call of a module, those of its children included.
  public struct Call: Sendable {
    public let path: String
    public let module: Identity
    public let outputs: [Value]
  }

  public private(set) var nodes: [Node] = []
  public private(set) var inputs: [Value] = []
  public package(set) var outputs: [Value] = []
  /// Every call of a module, children before their parents.
  public private(set) var calls: [Call] = []

  /// Beyond any model; shared modules that call each other again and again are stopped here.
  package static let nodeLimit = 1 << 20
  /// Dense connections grow with the square of the layers.
  package static let inputLimit = 1 << 22
  private var takenInputs = 0

  package init() {}

  /// - Throws: `ModelError` when the graph becomes larger than any model's.
  package mutating func append(
    _ operation: Operation, _ inputs: [Value], path: String, module: Identity? = nil, className: ClassName? = nil
  ) throws -> Value {
    guard nodes.count < Self.nodeLimit else { throw ModelError("runs more than \(Self.nodeLimit) operations") }
    takenInputs += inputs.count
    guard takenInputs <= Self.inputLimit else {
      throw ModelError("its operations take more than \(Self.inputLimit) inputs", subject: path)
    }
    let value = Value(node: nodes.count)
    nodes.append(Node(operation: operation, inputs: inputs, path: path, module: module, className: className))
    if case .input = operation { self.inputs.append(value) }
    return value
  }

  /// Notes a call of a module.
  package mutating func append(callOf module: Identity, path: String, outputs: [Value]) throws {
    guard calls.count < Self.nodeLimit else { throw ModelError("calls more than \(Self.nodeLimit) modules") }
    calls.append(Call(path: path, module: module, outputs: outputs))
  }

  /// For every node the nodes that take its output, in order.
  public func users() -> [[Int]] {
    var users = [[Int]](repeating: [], count: nodes.count)
    for (index, node) in nodes.enumerated() {
      for input in node.inputs where users[input.node].last != index { users[input.node].append(index) }
    }
    return users
  }
}

/// What a forward computes without a module.
public enum Function: Sendable, Hashable {
  /// A tensor that does not depend on the input, such as a parameter or a grid.
  case constant([Int])
  /// Element by element, the inputs broadcast: add, multiply, …
  case elementwise(String)
  case concatenate(axis: Int)
  /// `stack`: along a new axis.
  case stack(axis: Int)
  /// The batched product of two inputs.
  case matrixProduct
  /// Two-operand einsum, by its equation.
  case einsum(String)
  /// `scaled_dot_product_attention` of queries, keys and values.
  case attention
  /// Some elements of an axis: from `start` to `end` (nil: to the last) in steps.
  case slice(axis: Int, start: Int, end: Int?, step: Int)
  /// Part `index` of `count` parts of an axis, as `chunk` makes them: equal ones, the last perhaps shorter.
  case chunk(axis: Int, index: Int, count: Int)
  case reshape([Extent])
  case permute([Int])
  /// A mean, sum or maximum over axes.
  case reduce(String, axes: [Int], keepsAxes: Bool)
  /// The first input in the spatial size of the second.
  case resize(mode: String)
  /// `topk`: the places of the largest elements along an axis, of all where there are fewer.
  case largest(axis: Int, count: Int)
  /// Elements of an axis of the first input, at the places that the second one names.
  case gather(axis: Int)
  /// Values [batch, positions, heads, features], sampled at locations [batch, queries, heads, points, 2] and summed
  /// with weights [batch, queries, heads, points]: [batch, queries, heads · features].
  case deformableAttention

  /// An axis of a reshaped tensor.
  public enum Extent: Sendable, Hashable {
    case fixed(Int)
    /// What remains; at most one axis may be so.
    case inferred
    /// `multiple / divisor` of an axis of an input (0: the tensor that is reshaped).
    case of(input: Int, axis: Int, multiple: Int = 1, divisor: Int = 1)
  }
}
