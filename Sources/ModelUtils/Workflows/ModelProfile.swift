import ModelCore
import ModelEngine
import ModelGraph
import ModelInspection
import ModelONNX
import ModelRandom
import ModelRuntime
import ModelSurgery

/// How a model runs on this machine, step by step.
public struct ModelProfile: Sendable {
  /// One thing that a run does: a convolution with what is fused into it, a pool, a copy.
  public struct Step: Sendable, Hashable, Codable {
    /// The dotted path of its module.
    public let path: String
    /// What is computed.
    public let operation: String
    /// oneDNN's name of its implementation, or `own`, or `reference`.
    public let implementation: String
    /// The median over all runs.
    public let seconds: Double
    /// Multiplications in convolutions and products.
    public let macs: Double
  }

  /// The elements of all parameters.
  public let parameters: Int
  /// The operations of one pass, in units of 10^9, as `modelInfo` counts them.
  public let gflops: GFlops
  /// What the model was given.
  public let inputs: [TensorType]
  /// What it gave.
  public let outputs: [TensorType]
  /// How many threads computed.
  public let threads: Int
  /// The number type that convolutions and products multiply in.
  public let precision: Precision
  /// How long it took to make the plan: folding, packing weights, choosing kernels. In seconds.
  public let planSeconds: Double
  /// Forward passes.
  public let forward: Timings
  /// The bytes of what one run keeps at its fullest: packed weights, activations and scratch.
  public let peakBytes: Int
  /// In the order in which they run.
  public let steps: [Step]

  /// The line of torch_utils' table.
  public var row: ProfileRow {
    ProfileRow(
      parameters: parameters, gflops: gflops.thop, forward: forward, input: inputs.count == 1 ? inputs[0].shape : nil,
      output: outputs.count == 1 ? outputs[0].shape : nil)
  }
}

extension Module {
  /// Runs the model on uniform random numbers and measures it.
  /// - Parameters:
  ///   - inputShapes: the shape of each tensor that it takes, such as [1, 3, 640, 640].
  ///   - precision: what convolutions and products multiply in.
  ///   - runs: how often it is timed.
  /// - Throws: `ModelError` for classes whose forward is not known, shapes that do not fit, and where oneDNN is missing.
  public func profile(_ inputShapes: [[Int]], precision: Precision = .float32, runs: Int = 10) throws -> ModelProfile {
    let flops = try self.flops(of: inputShapes)
    var graph = flops.graph
    try graph.convert(to: .float32)
    var generator = TorchGenerator(seed: 0)
    return try ModelProfile(
      graph, macs: flops.macs, parameters: counts().parameters, gflops: flops.gflops,
      for: inputShapes.map { TensorType(.float32, $0) }, precision: precision, runs: runs
    ) { try inputShapes.map { try generator.uniform($0) } }
  }
}

extension ONNXTrace {
  /// Runs the model on random numbers and measures it; its operations are its multiplications, each with an addition.
  /// - Parameters:
  ///   - parameters: the elements of all weights.
  ///   - precision: what convolutions and products multiply in.
  ///   - runs: how often it is timed.
  /// - Throws: `ModelError` for operators that are not known, and where oneDNN is missing.
  public func profile(parameters: Int, precision: Precision = .float32, runs: Int = 10) throws -> ModelProfile {
    _ = try runnableGraph()
    let wide = try widened()
    let (graph, types) = (wide.graph, wide.inputs.map(\.type))
    return try ModelProfile(
      graph, macs: graph.products(of: types), parameters: parameters,
      gflops: GFlops(multiplications: macs), for: types, precision: precision, runs: runs
    ) {
      let given = try wide.randomInputs()
      return wide.inputs.compactMap { given[$0.name] }
    }
  }
}

extension ModelProfile {
  /// - Parameters:
  ///   - macs: the multiplications of each node.
  ///   - inputs: made when it is known that there is room to compute with them.
  fileprivate init(
    _ graph: Graph, macs: [Double], parameters: Int, gflops: GFlops, for types: [TensorType], precision: Precision,
    runs: Int, inputs: () throws -> [Tensor]
  ) throws {
    let start = try timeSynchronized()
    let plan = try Plan(graph, for: types, precision: precision)
    let planSeconds = try timeSynchronized() - start
    let session = try Session(plan)
    let inputs = try inputs()
    let forward = try Timings(warmUp: 2, repeats: runs) { _ = try session.run(inputs) }
    var parts = plan.steps.map { _ in [Double]() }
    for _ in 0..<max(runs, 1) {
      for (index, seconds) in try session.timed(inputs).enumerated() { parts[index].append(seconds) }
    }
    let steps = zip(plan.steps, parts).map { step, seconds in
      ModelProfile.Step(
        path: step.path, operation: step.operation, implementation: step.implementation,
        seconds: Timings(seconds).median, macs: step.nodes.reduce(0) { $0 + macs[$1] })
    }
    self.init(
      parameters: parameters, gflops: gflops, inputs: types, outputs: plan.outputTypes, threads: Parallel.threadCount,
      precision: precision, planSeconds: planSeconds, forward: forward,
      peakBytes: plan.arenaBytes + plan.constantBytes, steps: steps)
  }
}

/// Times forward passes of operations: torch_utils' `profile`.
/// - Parameters:
///   - inputs: float tensors; every operation takes each of them.
///   - operations: layers or whole models.
///   - runs: how often each is timed.
/// - Returns: a line for each pair, inputs in the outer loop as in the original.
/// - Throws: `ModelError` as `Module.profile` does. **Ours** does not go on after an operation that fails.
public func profile(_ inputs: [Tensor], _ operations: [Module], runs: Int = 10) throws -> ProfileTable {
  var table = ProfileTable()
  for input in inputs {
    for operation in operations { table.rows.append(try operation.profile([input.shape], runs: runs).row) }
  }
  return table
}
