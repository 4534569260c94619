import ModelArchitectures
import ModelAutograd
import ModelCore
import ModelEngine
import ModelGraph

/// A network that learns: its weights where steps change them, what the optimizer keeps of them, and their running
/// average. One thread at a time; what a step computes is divided among `Parallel.threadCount` threads.
public final class Learner {
  /// Makes a loss behind the outputs of a network in training mode, adding inputs for what is expected.
  public typealias Objective = (_ graph: inout Graph, _ outputs: [Graph.Value]) throws -> Graph.Value

  /// The network; `updated(averaged:)` has the weights as they are now.
  public let module: Module
  /// The weights and their gradients.
  public let variables: Variables
  /// How many updates there have been.
  public private(set) var updates = 0
  /// What draws, such as dropouts', go by.
  public let seed: UInt64
  /// The rules and their state.
  public var optimizer: Optimizer<Float>
  /// Whom it learns with; nil for a process of its own.
  public let ranks: RankExchange?
  private var average: WeightAverage?
  private let objective: Objective
  let networkInputs: Int
  private var plans: [[TensorType]: Compiled] = [:]
  private let checkpointsActivations: Bool
  private let precision: Precision

  private struct Compiled {
    let session: TrainingSession
    let trained: [String]
    let draws: Bool
  }

  /// What a step found.
  public struct StepResult {
    /// The loss before the update.
    public let loss: Double
    /// The norm of all gradients, where they were clipped to one.
    public let gradientNorm: Double?
    /// What the network gave.
    public let outputs: [Tensor]
  }

  /// A network with float32 weights.
  /// - Parameters:
  ///   - inputs: the types of its own inputs, for any batch.
  ///   - groups: the parameters that are trained, by groups. Nil makes one group of all that require a gradient.
  ///   - rule: of that one group.
  ///   - averageDecay: of the running average, as `ModelEMA`'s; nil for none.
  ///   - checkpointsActivations: whether less is kept of the forward and computed again for the backward pass: the same
  ///     results in less memory.
  ///   - precision: what convolutions and products multiply in, forward and backward; weights, statistics, loss and
  ///     updates are float32.
  ///   - ranks: whom it learns with: they begin with the weights of rank 0 and make the same steps, each with its part
  ///     of a batch. Nil for a process of its own.
  ///   - objective: the loss.
  /// - Throws: `ModelError` for a module whose forward in training is not known, a precision that the processor does not have,
  ///   and as `Optimizer.init`.
  public init(
    _ module: Module, inputs: [TensorType], rule: OptimizerRule, groups: ((Graph) -> [ParameterGroup])? = nil,
    averageDecay: Double? = nil, seed: UInt64 = 0, checkpointsActivations: Bool = false,
    precision: Precision = .float32, ranks: RankExchange? = nil, objective: @escaping Objective
  ) throws {
    try precision.requireSupport()
    var module = module
    let state = module.stateDict()
    var singles: [String: Tensor] = [:]
    for (path, tensor) in state.tensors where tensor.dtype.isFloatingPoint && tensor.dtype != .float32 {
      singles[path] = try tensor.converted(to: .float32)
    }
    module.setTensors(includesNonPersistent: true) { singles[$0] }
    let graph = try Graph(module, inputs: inputs, mode: .training)
    let trained = graph.weights.filter { $0.value.requiresGrad && !$0.value.isBuffer }.map(\.key)
    guard !trained.isEmpty else { throw ModelError(.missing, "has no parameters to train") }
    let groups = groups?(graph) ?? [ParameterGroup(trained, rule, initialLearningRate: rule.learningRate)]
    variables = try Variables(graph.weights, parameters: groups.flatMap(\.names), others: graph.updates.map(\.key))
    optimizer = try Optimizer(groups)
    (self.module, self.objective, networkInputs) = (module, objective, inputs.count)
    (self.checkpointsActivations, self.precision) = (checkpointsActivations, precision)
    self.ranks = ranks.flatMap { $0.communicator.worldSize > 1 ? $0 : nil }
    // What is dropped differs from rank to rank, as it does from picture to picture.
    self.seed = seed &+ UInt64(self.ranks?.communicator.rank ?? 0)
    try self.ranks.map { try variables.broadcast($0) }
    average = try averageDecay.map { try WeightAverage(variables, decay: $0) }
  }

  /// One step: forward, loss, backward, update.
  /// - Parameters:
  ///   - inputs: the network's, then those that the objective added.
  ///   - share: with ranks, this rank's part of the batch: their losses are added in these shares.
  ///   - clipping: how gradients are bounded.
  /// - Throws: `ModelError` for a loss that is not finite, before anything is changed, and for ranks that do not come.
  public func step(_ inputs: [Tensor], share: Double = 1, clipping: GradientClipping? = nil) throws -> StepResult {
    let compiled = try compiled(for: inputs.map { TensorType($0.dtype, $0.shape) })
    let statistics = try variables.paths.filter { !variables.isParameter($0) }.map { ($0, variables[$0]) }
    let shares = ranks == nil ? [] : [try Tensor([Float(share)], [])]
    let draws = compiled.draws ? [try Tensor([Int64(bitPattern: seed), Int64(updates)])] : []
    var outputs = try compiled.session.run(inputs + shares + draws)
    var loss = try outputs.removeFirst().doubles().first ?? .nan
    if let ranks { loss = try ranks.communicator.sum([loss], timeout: ranks.timeout)[0] }
    guard loss.isFinite else {
      // The forward has moved the running statistics.
      for case (let path, let tensor?) in statistics { try variables.set(path, tensor) }
      throw notFinite(loss, inputs)
    }
    if let ranks, !ranks.synchronizesBatchNorms { try variables.broadcast(ranks, statisticsAlone: true) }
    updates += 1
    let memory = try compiled.trained.map { path -> ParameterMemory<Float> in
      let (values, gradient) = try variables.floats(of: path)
      return ParameterMemory(path, values, gradient: gradient, average: average?.memory(of: path))
    }
    let norm = try optimizer.step(
      memory, clipping: clipping, averaging: average?.step(updates) ?? .none)
    average?.addStatistics(of: variables, updates)
    return StepResult(loss: loss, gradientNorm: norm, outputs: outputs)
  }

  /// The plan for inputs of these types, made when they first come.
  private func compiled(for given: [TensorType]) throws -> Compiled {
    if let known = plans[given] { return known }
    var graph = try Graph(module, inputs: Array(given.prefix(networkInputs)), mode: .training)
    let outputs = graph.outputs
    var loss = try objective(&graph, outputs)
    var types = given
    if ranks != nil {
      loss = try graph.append(.binary(.multiply), [loss, graph.addInput("share")], scope: 0)[0]
      types.append(TensorType(.float32, []))
    }
    var training = try graph.gradients(of: loss, with: variables.parameters, for: types)
    let all = types + (training.seed == nil ? [] : [TensorType(.int64, [2])])
    if checkpointsActivations { training = try training.recomputingActivations(for: all) }
    let plan = try TrainingPlan(
      training.graph, gradients: training.gradients, for: all, giving: [training[loss]] + outputs.map { training[$0] },
      variables: variables, precision: precision)
    let made = Compiled(
      session: try TrainingSession(plan, variables, ranks: ranks), trained: Array(training.gradients.keys),
      draws: training.seed != nil)
    plans[given] = made
    return made
  }

  // MARK: What it has learned

  /// The network with its weights as they are, or with their running averages.
  /// - Throws: `ModelError` where averages are asked for and not kept.
  public func updated(averaged: Bool = false) throws -> Module {
    var module = module
    let tensors = try weights(averaged: averaged)
    module.setTensors(includesNonPersistent: true) { tensors[$0] }
    return module
  }

  /// The weights that steps change, by their paths.
  public func weights(averaged: Bool = false) throws -> OrderedDictionary<String, Tensor> {
    var tensors: OrderedDictionary<String, Tensor> = [:]
    if averaged {
      guard let average else { throw ModelError(.missing, "no averages are kept") }
      for path in variables.paths { tensors[path] = try average.tensor(path, variables) }
    } else {
      for path in variables.paths { tensors[path] = variables[path] }
    }
    return tensors
  }

  /// Whether a running average is kept.
  public var isAveraged: Bool { average != nil }

  /// Goes on from what another has learned.
  /// - Parameters:
  ///   - weights: all that steps change.
  ///   - averages: the same of their averages, where they are kept.
  ///   - optimizer: torch's state dict.
  ///   - updates: how many there have been.
  /// - Throws: `ModelError` for other names, types or shapes.
  public func resume(
    weights: StateDict, averages: StateDict?, optimizer state: Attribute, updates: Int
  ) throws {
    for path in variables.paths {
      guard let tensor = weights[path] else { throw ModelError(.missing, "is not in the state", subject: path) }
      try variables.set(path, tensor)
    }
    if let average {
      guard let averages else { throw ModelError(.missing, "the state has no averages") }
      try average.set(averages, variables)
    }
    try optimizer.load(state)
    self.updates = updates
  }
}
