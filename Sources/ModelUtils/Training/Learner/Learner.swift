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
  /// Which of a network's outputs in training mode a loss outside the graph is of; it may rearrange them.
  public typealias Choice = (_ graph: inout Graph, _ outputs: [Graph.Value]) throws -> [Graph.Value]
  /// Such a loss: its value and its gradients by each of the chosen outputs.
  public typealias OutsideLoss = (_ outputs: [Tensor]) throws -> (value: Double, gradients: [Tensor])

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
  /// What the gradients of parameters are multiplied by before an update, element for element, by their paths: as
  /// RepOptimizer's. None at first.
  public var gradientMasks: [String: [Float]] = [:]
  private var average: WeightAverage?
  private let objective: ObjectiveKind
  let networkInputs: Int
  private var plans: [[TensorType]: Compiled] = [:]
  private let checkpointsActivations: Bool
  private let precision: Precision

  private enum ObjectiveKind {
    case inside(Objective)
    case outside(Choice)
  }

  private struct Compiled {
    let session: TrainingSession
    let trained: [String]
    let draws: Bool
  }

  /// How many batches have added to the gradients since the last update.
  public private(set) var pendingBatches = 0
  /// The parameters that have gradients since then.
  private var pendingPaths: [String] = []

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
  public convenience init(
    _ module: Module, inputs: [TensorType], rule: OptimizerRule, groups: ((Graph) -> [ParameterGroup])? = nil,
    averageDecay: Double? = nil, seed: UInt64 = 0, checkpointsActivations: Bool = false,
    precision: Precision = .float32, ranks: RankExchange? = nil, objective: @escaping Objective
  ) throws {
    try self.init(
      module, inputs, rule, groups, averageDecay, 2000, seed, checkpointsActivations, precision, ranks,
      .inside(objective))
  }

  /// A network with float32 weights whose loss is computed outside its graph, by `backward(_:loss:)`.
  /// - Parameters:
  ///   - choose: the outputs that the loss is of.
  ///   - groups: the parameters that are trained, by groups. Names that the forward takes no weight of stand in the
  ///     optimizer's state alone.
  ///   - averageRise: over how many updates the average's decay comes near to itself.
  /// - Throws: as the other.
  public convenience init(
    _ module: Module, inputs: [TensorType], rule: OptimizerRule, groups: ((Graph) -> [ParameterGroup])? = nil,
    averageDecay: Double? = nil, averageRise: Double = 2000, seed: UInt64 = 0, checkpointsActivations: Bool = false,
    precision: Precision = .float32, ranks: RankExchange? = nil, lossOf choose: @escaping Choice
  ) throws {
    try self.init(
      module, inputs, rule, groups, averageDecay, averageRise, seed, checkpointsActivations, precision, ranks,
      .outside(choose))
  }

  private init(
    _ module: Module, _ inputs: [TensorType], _ rule: OptimizerRule, _ groups: ((Graph) -> [ParameterGroup])?,
    _ averageDecay: Double?, _ averageRise: Double, _ seed: UInt64, _ checkpointsActivations: Bool,
    _ precision: Precision, _ ranks: RankExchange?, _ objective: ObjectiveKind
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
    let changed = Set(trained)
    variables = try Variables(
      graph.weights, parameters: groups.flatMap(\.names).filter(changed.contains), others: graph.updates.map(\.key))
    optimizer = try Optimizer(groups)
    (self.module, self.objective, networkInputs) = (module, objective, inputs.count)
    (self.checkpointsActivations, self.precision) = (checkpointsActivations, precision)
    self.ranks = ranks.flatMap { $0.communicator.worldSize > 1 ? $0 : nil }
    // What is dropped differs from rank to rank, as it does from picture to picture.
    self.seed = seed &+ UInt64(self.ranks?.communicator.rank ?? 0)
    try self.ranks.map { try variables.broadcast($0) }
    average = try averageDecay.map { try WeightAverage(variables, decay: $0, tau: averageRise) }
  }

  /// One step: forward, loss, backward, update.
  /// - Parameters:
  ///   - inputs: the network's, then those that the objective added.
  ///   - share: with ranks, this rank's part of the batch: their losses are added in these shares.
  ///   - clipping: how gradients are bounded.
  /// - Throws: `ModelError` for a loss that is not finite, before anything is changed, for ranks that do not come, and
  ///   where the loss is outside.
  public func step(_ inputs: [Tensor], share: Double = 1, clipping: GradientClipping? = nil) throws -> StepResult {
    let compiled = try compiled(for: inputs.map { TensorType($0.dtype, $0.shape) })
    guard case .inside = objective else { throw ModelError(.invalid, "this loss is computed outside") }
    let shares = ranks == nil ? [] : [try Tensor([Float(share)], [])]
    let result = try keepingStatistics(inputs) { () -> (loss: Double, outputs: [Tensor]) in
      var outputs = try compiled.session.run(inputs + shares + draws(compiled))
      var loss = try outputs.removeFirst().doubles().first ?? .nan
      if let ranks { loss = try ranks.communicator.sum([loss], timeout: ranks.timeout)[0] }
      guard loss.isFinite else { throw LossNotFinite(value: loss) }
      return (loss, outputs)
    }
    try didRunBackward(compiled)
    let norm = try update(clipping: clipping)
    return StepResult(loss: result.loss, gradientNorm: norm, outputs: result.outputs)
  }

  /// Forward, loss and backward of a batch; its gradients are added to those since the last update.
  /// - Parameters:
  ///   - inputs: the network's.
  ///   - loss: is given the outputs that were chosen.
  /// - Throws: `ModelError` for a loss that is not finite and what `loss` throws, before anything is changed, for ranks
  ///   that do not come, and where the loss is in the graph.
  public func backward(_ inputs: [Tensor], loss: OutsideLoss) throws {
    let compiled = try compiled(for: inputs.map { TensorType($0.dtype, $0.shape) })
    guard case .outside = objective else { throw ModelError(.invalid, "this loss is computed in the graph") }
    try keepingStatistics(inputs) {
      let outputs = try compiled.session.forward(inputs + draws(compiled))
      let found: (value: Double, gradients: [Tensor])
      do { found = try together { try loss(outputs) } } catch {
        guard try outputs.allSatisfy({ try $0.isFinite }) else { throw LossNotFinite(value: .nan) }
        throw error
      }
      guard found.value.isFinite else { throw LossNotFinite(value: found.value) }
      if pendingBatches > 0 { try variables.keepGradients(adding: pendingBatches > 1) }
      try compiled.session.backward(found.gradients)
    }
    try didRunBackward(compiled)
  }

  /// Updates the weights by the gradients since the last update, which then begin anew.
  /// - Parameter clipping: how gradients are bounded.
  /// - Returns: the norm of all gradients, where they are clipped to one.
  /// - Throws: `ModelError` where there are no gradients.
  @discardableResult
  public func update(clipping: GradientClipping? = nil) throws -> Double? {
    guard pendingBatches > 0 else { throw ModelError(.invalid, "there are no gradients to update by") }
    if pendingBatches > 1 { variables.addKeptGradients() }
    pendingBatches = 0
    updates += 1
    let memory = try pendingPaths.map { path -> ParameterMemory<Float> in
      let (values, gradient) = try variables.floats(of: path)
      if let mask = gradientMasks[path] {
        for index in gradient.indices.prefix(mask.count) { gradient[index] *= mask[index] }
      }
      return ParameterMemory(path, values, gradient: gradient, average: average?.memory(of: path))
    }
    let norm = try optimizer.step(
      memory, clipping: clipping, averaging: average?.step(updates) ?? .none)
    average?.addStatistics(of: variables, updates)
    return norm
  }

  /// Forgets the gradients since the last update.
  public func dropGradients() { pendingBatches = 0 }

  private func didRunBackward(_ compiled: Compiled) throws {
    if let ranks, !ranks.synchronizesBatchNorms { try variables.broadcast(ranks, statisticsAlone: true) }
    pendingBatches += 1
    pendingPaths = compiled.trained
  }

  private func draws(_ compiled: Compiled) throws -> [Tensor] {
    compiled.draws ? [try Tensor([Int64(bitPattern: seed), Int64(updates)])] : []
  }

  /// A loss whose reason is looked for once the running statistics are back.
  private struct LossNotFinite: Error {
    let value: Double
  }

  /// What moves the running statistics, which are as before where it fails.
  private func keepingStatistics<Result>(_ inputs: [Tensor], _ body: () throws -> Result) throws -> Result {
    let statistics = variables.paths.filter { !variables.isParameter($0) }.map { ($0, variables[$0]) }
    do { return try body() } catch {
      for case (let path, let tensor?) in statistics { try variables.set(path, tensor) }
      if let loss = error as? LossNotFinite { throw notFinite(loss.value, inputs) }
      throw error
    }
  }

  /// Fails on all ranks where it fails on one.
  private func together<Result>(_ body: () throws -> Result) throws -> Result {
    guard let ranks else { return try body() }
    return try ranks.communicator.together(timeout: ranks.timeout, body)
  }

  /// The plan for inputs of these types, made when they first come.
  private func compiled(for given: [TensorType]) throws -> Compiled {
    if let known = plans[given] { return known }
    var graph = try Graph(module, inputs: Array(given.prefix(networkInputs)), mode: .training)
    let made =
      switch objective {
      case .inside(let objective): try compiled(&graph, given, objective)
      case .outside(let choose): try compiled(&graph, given, lossOf: choose)
      }
    plans[given] = made
    return made
  }

  private func compiled(_ graph: inout Graph, _ given: [TensorType], _ objective: Objective) throws -> Compiled {
    let outputs = graph.outputs
    var loss = try objective(&graph, outputs)
    var types = given
    if ranks != nil {
      loss = try graph.append(.binary(.multiply), [loss, graph.addInput("share")], scope: 0)[0]
      types.append(TensorType(.float32, []))
    }
    let training = try graph.gradients(of: loss, with: variables.parameters, for: types)
    return try compiled(training, types) { training in [training[loss]] + outputs.map { training[$0] } }
  }

  private func compiled(_ graph: inout Graph, _ given: [TensorType], lossOf choose: Choice) throws -> Compiled {
    let all = graph.outputs
    graph.outputs = try choose(&graph, all)
    let known = try graph.types(of: given)
    let gradients = graph.outputs.map { known[$0] }
    let outputs = graph.outputs
    let training = try graph.gradientsOfOutputs(with: variables.parameters, for: given)
    return try compiled(training, given, outside: gradients) { training in outputs.map { training[$0] } }
  }

  /// - Parameters:
  ///   - outside: the types of the gradients that come from outside.
  ///   - give: the values that a run gives.
  private func compiled(
    _ training: TrainingGraph, _ types: [TensorType], outside: [TensorType] = [],
    giving give: (TrainingGraph) -> [Graph.Value]
  ) throws -> Compiled {
    let all = types + (training.seed == nil ? [] : [TensorType(.int64, [2])]) + outside
    let training = checkpointsActivations ? try training.recomputingActivations(for: all) : training
    let plan = try TrainingPlan(
      training.graph, gradients: training.gradients, for: all, giving: give(training), variables: variables,
      cut: outside.isEmpty ? nil : (training.forwardNodeCount, outside.count), precision: precision)
    return Compiled(
      session: try TrainingSession(plan, variables, ranks: ranks), trained: Array(training.gradients.keys),
      draws: training.seed != nil)
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
  ///   - pending: what `pendingGradients` gave.
  /// - Throws: `ModelError` for other names, types or shapes.
  public func resume(
    weights: StateDict, averages: StateDict?, optimizer state: Attribute, updates: Int, pending: StateDict? = nil
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
    if let pending {
      for (path, tensor) in pending.tensors { try variables.setGradient(of: path, tensor) }
      (pendingBatches, pendingPaths) = (1, Array(pending.names))
    }
  }

  /// The gradients since the last update, by the parameters' paths; nil where there are none.
  public func pendingGradients() throws -> StateDict? {
    guard pendingBatches > 0 else { return nil }
    var sums = StateDict()
    for path in pendingPaths { sums[path] = try variables.gradientSum(of: path, withKept: pendingBatches > 1) }
    return sums
  }
}
