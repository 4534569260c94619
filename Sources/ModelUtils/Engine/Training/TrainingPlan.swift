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
  /// Where the loss is computed outside: how many of the inputs the forward takes, and how many steps it has.
  let cut: (inputs: Int, steps: Int)?

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
  ///   - cut: where the loss is computed outside, how many nodes the forward has (`TrainingGraph.forwardNodeCount`) and
  ///     how many outputs' gradients come behind it, as the last of the inputs.
  ///   - precision: what to multiply in.
  /// - Throws: as `Plan.init`.
  public init(
    _ graph: Graph, gradients: OrderedDictionary<String, Graph.Value>, for inputs: [TensorType],
    giving outputs: [Graph.Value], variables: Variables, cut: (forwardNodes: Int, gradients: Int)? = nil,
    precision: Precision = .float32
  ) throws {
    let types = try graph.types(of: inputs)
    executable = try CPUBackend().compile(
      graph, for: inputs, giving: outputs, precision: precision,
      training: TrainingRequest(slots: variables.slots, gradients: gradients, updates: graph.updates))
    (inputTypes, inputNames) = (inputs, graph.inputNames)
    outputTypes = outputs.map { types[$0] }
    let steps = executable.program.steps
    self.cut = cut.map { [inputs] cut in
      let first = steps.firstIndex { $0.nodes.isEmpty || $0.nodes.contains { $0 >= cut.forwardNodes } }
      return (inputs.count - cut.gradients, first ?? steps.count)
    }
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
  /// - Parameter ranks: whom gradients are added up with, and batch norms' statistics; nil for a process of its own.
  /// - Throws: `ModelError` when it is more than the machine has.
  public init(_ plan: TrainingPlan, _ variables: Variables, ranks: RankExchange? = nil) throws {
    self.plan = plan
    self.variables = variables
    execution = try CPUExecution(plan.executable, variables, ranks)
  }

  /// One run forward and backward; with ranks, gradients are the sums of theirs.
  /// - Returns: the outputs; gradients and running statistics are the variables'.
  /// - Throws: `ModelError` for inputs of other types, and for ranks that do not come.
  public func run(_ inputs: [Tensor]) throws -> [Tensor] {
    try check(inputs)
    return try execution.run(inputs)
  }

  /// The forward alone, where the loss is computed outside.
  /// - Returns: the outputs.
  /// - Throws: `ModelError` for inputs of other types, and for a plan that is not cut.
  public func forward(_ inputs: [Tensor]) throws -> [Tensor] {
    let cut = try cut()
    try inputs.check(are: Array(plan.inputTypes.prefix(cut.inputs)), named: Array(plan.inputNames.prefix(cut.inputs)))
    return try execution.run(inputs, at: 0, steps: 0..<cut.steps)
  }

  /// The backward pass of the last forward: gradients and running statistics are the variables' then.
  /// - Parameter gradients: of the loss by each output.
  /// - Throws: as `forward`.
  public func backward(_ gradients: [Tensor]) throws {
    let cut = try cut()
    try gradients.check(
      are: Array(plan.inputTypes.dropFirst(cut.inputs)), named: Array(plan.inputNames.dropFirst(cut.inputs)))
    _ = try execution.run(gradients, at: cut.inputs, steps: cut.steps..<plan.steps.count)
  }

  private func cut() throws -> (inputs: Int, steps: Int) {
    guard let cut = plan.cut else { throw ModelError(.invalid, "this plan computes its loss itself") }
    return cut
  }

  /// The seconds that each step takes.
  public func timed(_ inputs: [Tensor]) throws -> [Double] {
    try check(inputs)
    return try execution.timed(inputs)
  }

  private func check(_ inputs: [Tensor]) throws { try inputs.check(are: plan.inputTypes, named: plan.inputNames) }
}
