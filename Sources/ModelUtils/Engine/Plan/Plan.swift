import ModelCore
import ModelGraph

/// What convolutions and products multiply in; sums are float32 always.
public enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
  /// Nothing is rounded.
  case float32
  /// Weights and activations are rounded to bfloat16, on processors that multiply it by themselves.
  case bfloat16

  /// Refuses what cannot be multiplied in here.
  ///
  /// - Throws: `ModelError` where the processor, or oneDNN with it, does not multiply so.
  public func requireSupport() throws {
    try OneDNN.load()
    guard self == .float32 || OneDNN.hasBFloat16 else {
      throw ModelError(
        .unsupported, "this processor does not multiply bfloat16 by itself", advice: "compute in float32")
    }
  }
}

/// A graph made ready to run for inputs of given types: constants computed, batch norms folded, weights packed, memory
/// laid out. It does not change, and sessions on several threads share it. A run divides its work among as many threads
/// as `Parallel.threadCount` said when the plan was made.
public struct Plan: Sendable {
  /// What the graph's inputs must be.
  public let inputTypes: [TensorType]
  /// What it gives.
  public let outputTypes: [TensorType]
  /// The names of the graph's inputs.
  public let inputNames: [String]
  /// What it multiplies in.
  public let precision: Precision
  let executable: any Executable

  /// The steps that a run takes, in order.
  public var steps: [StepDescription] { executable.steps }
  /// The bytes that a session takes for what it computes.
  public var arenaBytes: Int { executable.arenaBytes }
  /// The bytes of packed weights and constants, which sessions share.
  public var constantBytes: Int { executable.constantBytes }

  /// What a step does.
  public struct StepDescription: Sendable, Hashable, Codable {
    /// The dotted path of the module that it belongs to.
    public let path: String
    /// What is computed, in words.
    public let operation: String
    /// How: oneDNN's name of its implementation, or `own`, or `reference`.
    public let implementation: String
    /// The nodes of the graph that it computes, by their places.
    public let nodes: [Int]

    /// A step, as a backend describes it.
    public init(path: String, operation: String, implementation: String, nodes: [Int]) {
      (self.path, self.operation, self.implementation, self.nodes) = (path, operation, implementation, nodes)
    }
  }

  /// Compiles a graph.
  /// - Parameters:
  ///   - graph: in evaluation mode.
  ///   - inputs: the types that its inputs will have, one for each.
  ///   - chosen: the values to be given; the graph's outputs when nil.
  ///   - precision: what to multiply in.
  ///   - backend: where it runs.
  /// - Throws: `ModelError` naming the module, for what does not fit or is not known, for more memory than the machine
  ///   has, and where oneDNN is missing.
  public init(
    _ graph: Graph, for inputs: [TensorType], giving chosen: [Graph.Value]? = nil, precision: Precision = .float32,
    on backend: some Backend = .cpu
  ) throws {
    guard inputs.count == graph.inputs.count else {
      throw ModelError(.mismatch, "takes \(graph.inputs.count) tensors, not \(inputs.count)")
    }
    if let shapes = graph.inputShapes, shapes != inputs.map(\.shape) {
      throw ModelError(.mismatch, "was traced for inputs of \(shapes), not \(inputs.map(\.shape))")
    }
    let outputs = chosen ?? graph.outputs
    let types = try graph.types(of: inputs)
    for output in outputs where !graph.definitions.indices.contains(output.index) {
      throw ModelError(.invalid, "value \(output.index) is none of the graph's")
    }
    executable = try backend.compile(graph, for: inputs, giving: outputs, precision: precision)
    inputTypes = inputs
    self.precision = precision
    outputTypes = outputs.map { types[$0] }
    inputNames = graph.inputNames
  }
}
