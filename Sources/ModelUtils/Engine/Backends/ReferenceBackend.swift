import ModelCore
import ModelGraph

/// Runs graphs by the scalar interpreter, one node after the other: the judge of other backends, and for machines where
/// nothing else runs.
public struct ReferenceBackend: Backend {
  public func compile(
    _ graph: Graph, for inputs: [TensorType], giving outputs: [Graph.Value], precision: Precision
  ) throws -> any Executable {
    guard precision == .float32 else {
      throw ModelError(.unsupported, "the reference computes in double precision only")
    }
    _ = try graph.types(of: inputs)
    return ReferenceExecutable(graph: graph, outputs: outputs)
  }
}

/// A graph as it is, which is a single step.
final class ReferenceExecutable: Executable, Execution {
  private let graph: Graph
  private let outputs: [Graph.Value]

  init(graph: Graph, outputs: [Graph.Value]) { (self.graph, self.outputs) = (graph, outputs) }

  var steps: [Plan.StepDescription] {
    [.init(path: "", operation: "graph", implementation: "reference", nodes: Array(graph.nodes.indices))]
  }

  /// Values come and go with each run.
  var arenaBytes: Int { 0 }
  var constantBytes: Int { graph.weights.values.reduce(0) { $0 + $1.tensor.byteCount } }

  func execution() throws -> any Execution { self }

  func run(_ inputs: [Tensor]) throws -> [Tensor] { try graph.reference(inputs, of: outputs) }

  func timed(_ inputs: [Tensor]) throws -> [Double] {
    let clock = ContinuousClock()
    let duration = try clock.measure { _ = try run(inputs) }
    return [Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18]
  }
}
