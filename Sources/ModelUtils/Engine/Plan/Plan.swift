import ModelCore
import ModelGraph

/// A graph made ready to run for inputs of given types: constants computed, batch norms folded, weights
/// packed, memory laid out. It does not change, and sessions on several threads share it.
public struct Plan: Sendable {
  /// What the graph's inputs must be.
  public let inputTypes: [TensorType]
  /// What it gives.
  public let outputTypes: [TensorType]
  /// The names of the graph's inputs.
  public let inputNames: [String]
  let program: Program

  /// The steps that a run takes, in order.
  public var steps: [StepDescription] {
    program.steps.map { StepDescription(path: $0.path, operation: $0.name, implementation: $0.implementation) }
  }

  /// The bytes that a session takes for what it computes.
  public var arenaBytes: Int { program.arenaBytes }
  /// The bytes of packed weights and constants, which sessions share.
  public var constantBytes: Int { program.constants.reduce(0) { $0 + $1.byteCount } }

  /// What a step does.
  public struct StepDescription: Sendable, Hashable, Codable {
    /// The dotted path of the module that it belongs to.
    public let path: String
    /// What is computed, in words.
    public let operation: String
    /// How: oneDNN's name of its implementation, or `own`, or `reference`.
    public let implementation: String
  }

  /// Compiles a graph.
  /// - Parameters:
  ///   - graph: in evaluation mode.
  ///   - inputs: the types that its inputs will have, one for each.
  ///   - chosen: the values to be given; the graph's outputs when nil.
  /// - Throws: `ModelError` naming the module, for what does not fit or is not known, for more memory than the machine
  ///   has, and where oneDNN is missing.
  public init(_ graph: Graph, for inputs: [TensorType], giving chosen: [Graph.Value]? = nil) throws {
    guard inputs.count == graph.inputs.count else {
      throw ModelError(.mismatch, "takes \(graph.inputs.count) tensors, not \(inputs.count)")
    }
    if let shapes = graph.inputShapes, shapes != inputs.map(\.shape) {
      throw ModelError(.mismatch, "was traced for inputs of \(shapes), not \(inputs.map(\.shape))")
    }
    try OneDNN.load()
    OneDNN.useThreads()
    let outputs = chosen ?? graph.outputs
    var compiler = try Compiler(graph, inputs, outputs)
    program = try compiler.compile()
    inputTypes = inputs
    outputTypes = outputs.map { compiler.types[$0] }
    inputNames = graph.inputs.map { if case .input(let name) = graph.definitions[$0.index] { name } else { "" } }
  }
}
