import ModelCheckpoints
import ModelCore
import ModelGraph

/// What an ONNX model computes for inputs of certain types: every value's type, and a graph that runs.
///
///     let trace = try ONNXModel(contentsOf: "best.onnx").trace()
///     let plan = try Plan(trace.runnableGraph(), for: trace.inputs.map(\.type))
///
/// A node whose operator is not known is no error: it is listed, and so is what follows from it.
public struct ONNXTrace: Sendable {
  /// What the model is given.
  public struct Input: Sendable {
    /// The name in the file.
    public let name: String
    /// The type that it was traced for.
    public let type: TensorType
  }

  /// What the model gives.
  public struct Output: Sendable {
    /// The name in the file.
    public let name: String
    /// Its value in the graph; nil where the graph does not have it.
    public let value: Graph.Value?
    /// Its type; nil where that is not known.
    public let type: TensorType?
  }

  /// A node of the main graph, those within it counted with it.
  public struct Node: Sendable {
    /// Its name, or its first output's where it has none.
    public let name: String
    /// The operator, with its domain unless that is ONNX's own.
    public let operation: String
    /// The types of its outputs, in order; nil where one is left out or not known.
    public let outputs: [TensorType?]
    /// Multiplications of convolutions and products, undoubled.
    public let macs: Double
  }

  /// What could not be sized.
  public struct Unsized: Sendable, Hashable {
    /// The node's name, or its first output's.
    public let name: String
    /// The operator, with its domain unless that is ONNX's own; `input` for an input.
    public let operation: String
    /// Why, in words.
    public let reason: String
    /// Whether it is itself the cause, and not one that follows from another.
    public let isCause: Bool

    /// The operator and the reason, the operator only where neither the name that stands before says it nor the reason.
    func description(besides subject: String) -> String {
      let own = operation.split(separator: ".").last.map(String.init) ?? operation
      let isSaid = [operation, own].contains(subject) || ["input", "initializer"].contains(operation)
      return isSaid || reason.hasPrefix("\(operation):") ? reason : "\(operation): \(reason)"
    }
  }

  /// The operations; those that follow from what is not known are left out.
  public internal(set) var graph: Graph
  /// What the graph is given, in its order; inputs whose elements were said are not among them.
  public internal(set) var inputs: [Input]
  /// What the model gives, in the file's order.
  public let outputs: [Output]
  /// The types of the values of the main graph, by their names, in the order in which they are computed.
  public let types: OrderedDictionary<String, TensorType>
  /// One for each node of the main graph, in the file's order.
  public let nodes: [Node]
  /// Multiplications by operator, undoubled: those within branches, bodies and functions by the operators there. What has
  /// none is left out.
  public let operatorMACs: [String: Double]
  /// What could not be sized, in the order in which it was found.
  public let unsized: [Unsized]

  /// Multiplications of all nodes, undoubled.
  public var macs: Double { nodes.reduce(0) { $0 + $1.macs } }

  /// The graph, ready for the engine.
  /// - Throws: `ModelError` naming the first operator that is not known, where an output follows from it.
  public func runnableGraph() throws -> Graph {
    for output in outputs where output.value == nil {
      guard let cause = unsized.first(where: \.isCause) else {
        throw ModelError(.unsupported, "is not computed", subject: output.name)
      }
      throw ModelError(.unsupported, cause.description(besides: cause.name), subject: cause.name)
    }
    let needed = graph.neededNodes()
    for (index, node) in graph.nodes.enumerated() where needed[index] {
      guard case .other(let name) = node.operation else { continue }
      let path = graph.scopes[node.scope].path
      let cause = unsized.first { $0.isCause && (path == $0.name || path.hasSuffix("/" + $0.name)) }
      throw ModelError(
        .unsupported, cause?.description(besides: path) ?? "\(name): follows from what is not known", subject: path)
    }
    return graph
  }
}

extension ONNXTrace {
  /// The same computing in float32 where the model says float16 or bfloat16, as processors do that have no such
  /// arithmetic; inputs and outputs become float32 too.
  public func widened() throws -> ONNXTrace {
    var trace = self
    trace.graph = try graph.widened()
    trace.inputs = inputs.map { Input(name: $0.name, type: TensorType($0.type.dtype.widened, $0.type.shape)) }
    return trace
  }
}

extension Graph {
  /// Of each node whether an output follows from it.
  fileprivate func neededNodes() -> [Bool] {
    var taken = [Bool](repeating: false, count: definitions.count)
    for output in outputs { taken[output.index] = true }
    var needed = [Bool](repeating: false, count: nodes.count)
    for (index, node) in nodes.enumerated().reversed() where node.results.contains(where: { taken[$0.index] }) {
      needed[index] = true
      for operand in node.operands { taken[operand.index] = true }
    }
    return needed
  }
}
