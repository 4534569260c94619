import ModelCore
import ModelGraph

/// A forward and its backward pass made ready for inputs of given types: runs read the variables where they lie, and
/// leave their gradients and their new running statistics there.
public struct TrainingPlan: Sendable {
  /// What the graph's inputs must be.
  public let inputTypes: [TensorType]
  /// What it gives.
  public let outputTypes: [TensorType]
  let inputNames: [String]
  let executable: CPUExecutable

  /// The steps that a run takes, in order.
  public var steps: [Plan.StepDescription] { executable.steps }
  /// The bytes that a session takes for what it computes, forward and backward together.
  public var arenaBytes: Int { executable.arenaBytes }

  /// Compiles a graph.
  /// - Parameters:
  ///   - graph: in training mode, with its backward pass.
  ///   - gradients: the values that are gradients, by the paths of their parameters.
  ///   - inputs: the types that its inputs will have.
  ///   - outputs: the values to be given, such as the loss.
  ///   - variables: the weights that are trained, which sessions are made for.
  ///   - precision: what to multiply in.
  /// - Throws: as `Plan.init`.
  public init(
    _ graph: Graph, gradients: OrderedDictionary<String, Graph.Value>, for inputs: [TensorType],
    giving outputs: [Graph.Value], variables: Variables, precision: Precision = .float32
  ) throws {
    let types = try graph.types(of: inputs)
    executable = try CPUBackend().compile(
      graph, for: inputs, giving: outputs, precision: precision,
      training: TrainingRequest(slots: variables.slots, gradients: gradients, updates: graph.updates))
    (inputTypes, inputNames) = (inputs, graph.inputNames)
    outputTypes = outputs.map { types[$0] }
  }
}

/// What training asks of a compiler.
struct TrainingRequest {
  let slots: OrderedDictionary<String, Variables.Slot>
  let gradients: OrderedDictionary<String, Graph.Value>
  /// What weights become in a run.
  let updates: OrderedDictionary<String, Graph.Value>

  /// What must be computed.
  var kept: [Graph.Value] {
    gradients.filter { slots[$0.key] != nil }.map(\.value) + updates.filter { slots[$0.key] != nil }.map(\.value)
  }
}

/// Runs a training plan in memory of its own. One thread at a time.
public final class TrainingSession {
  /// What it runs.
  public let plan: TrainingPlan
  /// What it reads and writes.
  public let variables: Variables
  private let execution: CPUExecution

  /// Memory for a plan.
  /// - Throws: `ModelError` when it is more than the machine has.
  public init(_ plan: TrainingPlan, _ variables: Variables) throws {
    self.plan = plan
    self.variables = variables
    execution = try CPUExecution(plan.executable, variables)
  }

  /// One run forward and backward.
  /// - Returns: the outputs; gradients and running statistics are the variables'.
  /// - Throws: `ModelError` for inputs of other types.
  public func run(_ inputs: [Tensor]) throws -> [Tensor] {
    try check(inputs)
    return try execution.run(inputs)
  }

  /// The seconds that each step takes.
  public func timed(_ inputs: [Tensor]) throws -> [Double] {
    try check(inputs)
    return try execution.timed(inputs)
  }

  private func check(_ inputs: [Tensor]) throws { try inputs.check(are: plan.inputTypes, named: plan.inputNames) }
}
