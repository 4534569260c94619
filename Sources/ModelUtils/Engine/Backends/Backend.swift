import ModelCore
import ModelGraph

/// Where graphs run. What one does to run a graph, such as folding, fusing and the choice of layouts, is its own affair.
public protocol Backend: Sendable {
  /// Makes a graph ready for inputs of given types.
  /// - Parameters:
  ///   - graph: in evaluation mode, with float32 weights.
  ///   - inputs: one for each of its inputs, checked.
  ///   - outputs: the values to be given.
  ///   - precision: what to multiply in.
  func compile(
    _ graph: Graph, for inputs: [TensorType], giving outputs: [Graph.Value], precision: Precision
  ) throws -> any Executable
}

/// What a backend made of a graph: it does not change, and threads share it.
public protocol Executable: Sendable {
  /// What a run does, in order.
  var steps: [Plan.StepDescription] { get }
  /// The bytes that each execution takes for what it computes.
  var arenaBytes: Int { get }
  /// The bytes of packed weights and constants, which all share.
  var constantBytes: Int { get }
  /// Memory to run in.
  func execution() throws -> any Execution
}

/// Runs in memory of its own, on one thread at a time.
public protocol Execution: AnyObject {
  /// Computes the outputs for inputs of the types that it was compiled for.
  func run(_ inputs: [Tensor]) throws -> [Tensor]
  /// The same, telling how long each step took, in seconds.
  func timed(_ inputs: [Tensor]) throws -> [Double]
}

extension Backend where Self == CPUBackend {
  /// The processor, with oneDNN.
  public static var cpu: CPUBackend { CPUBackend() }
}

extension Backend where Self == ReferenceBackend {
  /// The interpreter in double precision that judges the others: slow, and needs nothing.
  public static var reference: ReferenceBackend { ReferenceBackend() }
}
