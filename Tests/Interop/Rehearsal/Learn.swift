import ModelArchitectures
import ModelAutograd
import ModelCheckpoints
import ModelCore
import ModelDetection
import ModelGraph
import ModelTraining

/// Steps of training from a state that torch left, on batches that torch had.
///
/// The state is a checkpoint with `model`, a state dict, `optimizer`, torch's, and `groups`, the names of the parameters
/// by the optimizer's groups. The batches are `<step>.input` and `<step>.labels`, or `<step>.targets` of detectors. What is
/// written is the state behind them, with `losses`, and of detectors the last step's `gradients`.
struct Learning {
  /// What is minimised.
  enum Objective {
    /// The cross entropy of labels.
    case crossEntropy
    /// The cost of boxes.
    case detection(YOLOv6Loss)
  }

  /// What steps by float32 weights on the engine, or by double ones on the reference interpreter.
  enum Precision: String {
    case float, double
  }

  /// What a step is of, and what it should find.
  typealias Batch = (input: Tensor, wanted: Tensor)

  /// What a step in double precision found.
  struct Found {
    let loss: Double
    /// The running statistics behind it.
    let statistics: OrderedDictionary<String, Tensor>
    let gradients: OrderedDictionary<String, Tensor>
  }

  let module: Module
  private let groups: [ParameterGroup]
  private let rule: OptimizerRule
  private let objective: Objective
  private var state: Checkpoint
  private let batches: [Batch]

  /// - Parameters:
  ///   - model: a whole module; its weights are the state's.
  ///   - rule: whose options are the state's.
  init(model: String, state: String, batches: String, rule: OptimizerRule, objective: Objective = .crossEntropy) throws
  {
    guard let module = try Checkpoint(contentsOf: model).preferred.module else {
      throw ModelError(.invalid, "has no whole module", file: model)
    }
    self.state = try Checkpoint(contentsOf: state, key: "model")
    guard case .list(let packed)? = self.state.contents(of: "groups") else {
      throw ModelError(.missing, "has no groups", file: state)
    }
    groups = packed.compactMap { group in
      if case .list(let names) = group { ParameterGroup(names.compactMap(\.stringValue), rule) } else { nil }
    }
    let given = try Checkpoint(contentsOf: batches).preferred.stateDict()
    self.batches = try given.names.filter { $0.hasSuffix(".input") }.sorted().map { name in
      let step = name.dropLast("input".count)
      guard let input = given[name], let wanted = given[step + "labels"] ?? given[step + "targets"] else {
        throw ModelError(.missing, "has neither labels nor targets", subject: name)
      }
      return (input, wanted)
    }
    (self.module, self.rule, self.objective) = (module, rule, objective)
  }

  /// Does a step for each of the batches and writes what they lead to.
  mutating func run(_ precision: Precision, to output: String) throws {
    guard let optimizer = state.contents(of: "optimizer") else { throw ModelError(.missing, "has no optimizer") }
    var weights = state.preferred.stateDict()
    let losses: [Double]
    switch precision {
    case .float: losses = try learn(&weights, optimizer)
    case .double: losses = try learnInDouble(&weights, optimizer)
    }
    state.preferred = .stateDict(weights)
    try state.setEntry("losses", to: .list(losses.map { .double($0) }))
    try state.write(to: output)
  }

  private mutating func learn(_ weights: inout StateDict, _ saved: Attribute) throws -> [Double] {
    let types = batches.prefix(1).map { TensorType($0.input.dtype, $0.input.shape) }
    let groups = groups
    let learner: Learner
    var losses: [Double] = []
    switch objective {
    case .crossEntropy:
      learner = try Learner(
        module, inputs: types, rule: rule, groups: { _ in groups },
        objective: { graph, outputs in try Self.loss(&graph, outputs, types) })
      try learner.resume(weights: weights, averages: nil, optimizer: saved, updates: 0)
      losses = try batches.map { try learner.step([$0.input, $0.wanted]).loss }
    case .detection(let loss):
      learner = try Learner(
        module, inputs: types, rule: rule, groups: { _ in groups }, lossOf: { loss.chosen(from: $1) })
      try learner.resume(weights: weights, averages: nil, optimizer: saved, updates: 0)
      var gradients: StateDict?
      for batch in batches {
        try learner.backward([batch.input]) { outputs in
          let found = try loss(outputs, of: batch)
          losses.append(found.total)
          return (found.total, found.gradients)
        }
        gradients = try learner.pendingGradients()
        try learner.update()
      }
      try state.setEntry("gradients", to: Self.packed(gradients ?? StateDict()))
    }
    for (path, tensor) in try learner.weights() { weights[path] = tensor }
    try state.setEntry("optimizer", to: learner.optimizer.stateDict(like: weights))
    return losses
  }

  private mutating func learnInDouble(_ weights: inout StateDict, _ saved: Attribute) throws -> [Double] {
    var optimizer = try Optimizer<Double>(groups)
    try optimizer.load(saved)
    var losses: [Double] = []
    for batch in batches {
      let found =
        switch objective {
        case .crossEntropy: try crossEntropyInDouble(batch, weights)
        case .detection(let loss): try detectionInDouble(loss, batch, weights)
        }
      losses.append(found.loss)
      for (name, tensor) in found.statistics { weights[name] = tensor }
      var values = try found.gradients.keys.reduce(into: [:]) { $0[$1] = try weights[$1]?.doubles() }
      try optimizer.step(&values, found.gradients.reduce(into: [:]) { $0[$1.key] = try $1.value.doubles() })
      for (name, value) in values { weights[name] = try Tensor(value, weights[name]?.shape) }
    }
    try state.setEntry("optimizer", to: optimizer.stateDict(like: weights))
    return losses
  }

  private func crossEntropyInDouble(_ batch: Batch, _ weights: StateDict) throws -> Found {
    let types = [batch.input, batch.wanted].map { TensorType($0.dtype, $0.shape) }
    var forward = try Graph(module, inputs: [types[0]], mode: .training)
    let outputs = forward.outputs
    let loss = try Self.loss(&forward, outputs, [types[0]])
    let training = try forward.gradients(of: loss, for: types)
    let found = try training.reference([batch.input, batch.wanted], with: weights, of: [training[loss]])
    return try Found(loss: found.chosen[0].item(), statistics: found.statistics, gradients: found.gradients)
  }

  private static func loss(
    _ graph: inout Graph, _ outputs: [Graph.Value], _ types: [TensorType]
  ) throws -> Graph.Value {
    let scores = try graph.types(of: types)[outputs[0]]
    let labels = graph.addInput("labels")
    return try graph.crossEntropy(outputs[0], labels, classes: scores.shape[1], dtype: scores.dtype)
  }
}

extension Graph {
  /// Takes those of the weights that it has.
  mutating func take(_ state: StateDict) {
    for name in weights.keys {
      if let tensor = state[name] { weights[name]?.tensor = tensor }
    }
  }
}

extension TrainingGraph {
  /// What a step finds by these weights: the values that are chosen, running statistics, gradients.
  func reference(
    _ inputs: [Tensor], with weights: StateDict, of chosen: [Graph.Value] = []
  ) throws -> (
    chosen: [Tensor], statistics: OrderedDictionary<String, Tensor>, gradients: OrderedDictionary<String, Tensor>
  ) {
    var graph = graph
    graph.take(weights)
    let names = Array(graph.updates.keys) + Array(gradients.keys)
    let found = try graph.reference(inputs, of: chosen + graph.updates.values + gradients.values)
    let named = Array(zip(names, found.dropFirst(chosen.count)))
    return (
      Array(found.prefix(chosen.count)),
      OrderedDictionary(uniqueKeysWithValues: named.prefix(graph.updates.count)),
      OrderedDictionary(uniqueKeysWithValues: named.dropFirst(graph.updates.count))
    )
  }
}

extension Optimizer {
  /// A step on parameters that are arrays; one without a gradient takes no part.
  mutating func step(
    _ values: inout [String: [Scalar]], _ gradients: [String: [Scalar]], clipping: GradientClipping? = nil
  ) throws {
    var buffers: [UnsafeMutableBufferPointer<Scalar>] = []
    defer { for buffer in buffers { buffer.deallocate() } }
    func copy(_ values: [Scalar]) -> UnsafeMutableBufferPointer<Scalar> {
      let buffer = UnsafeMutableBufferPointer<Scalar>.allocate(capacity: values.count)
      _ = buffer.initialize(from: values)
      buffers.append(buffer)
      return buffer
    }
    let memory = groups.flatMap(\.names).compactMap { name in
      values[name].map { ParameterMemory(name, copy($0), gradient: gradients[name].map(copy)) }
    }
    try step(memory, clipping: clipping)
    for item in memory { values[item.name] = Array(item.parameter) }
  }
}
