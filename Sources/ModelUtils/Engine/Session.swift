import ModelCore
import ModelGraph

/// Runs a plan in memory of its own. Use one on one thread at a time.
///
///     let plan = try Plan(Graph(module), for: [TensorType(.float32, [1, 3, 640, 640])])
///     let session = try Session(plan)
///     let outputs = try session.run([picture])
public final class Session {
  /// What it runs.
  public let plan: Plan
  private let execution: any Execution

  /// Memory for a plan.
  /// - Throws: `ModelError` when it is more than the machine has.
  public init(_ plan: Plan) throws {
    self.plan = plan
    execution = try plan.executable.execution()
  }

  /// Computes the outputs.
  /// - Parameter inputs: of the types that the plan was made for.
  /// - Throws: `ModelError` for inputs of another type or that cannot be read.
  public func run(_ inputs: [Tensor]) throws -> [Tensor] {
    try check(inputs)
    return try execution.run(inputs)
  }

  /// Computes, and tells how long each of the plan's steps took, in seconds.
  public func timed(_ inputs: [Tensor]) throws -> [Double] {
    try check(inputs)
    return try execution.timed(inputs)
  }

  private func check(_ inputs: [Tensor]) throws { try inputs.check(are: plan.inputTypes, named: plan.inputNames) }
}

extension [Tensor] {
  /// - Throws: `ModelError` that names the first that a plan was not made for.
  func check(are types: [TensorType], named names: [String]) throws {
    guard count == types.count else { throw ModelError(.mismatch, "takes \(types.count) tensors, not \(count)") }
    for (index, (input, type)) in zip(self, types).enumerated()
    where input.dtype != type.dtype || input.shape != type.shape {
      throw ModelError(
        .mismatch,
        "is \(input.dtype.rawValue) \(input.shape), the plan is made for \(type.dtype.rawValue) \(type.shape)",
        subject: names[index])
    }
  }
}

extension Graph {
  /// The names of the inputs.
  var inputNames: [String] { inputs.map { if case .input(let name) = definitions[$0.index] { name } else { "" } } }
}
