import ModelArchitectures
import ModelAutograd
import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelTraining

/// Steps of training from a state that torch left, on batches that torch had.
///
/// The state is a checkpoint with `model`, a state dict, `optimizer`, torch's, and `groups`, the names of the parameters
/// by the optimizer's groups. The batches are `<step>.input` and `<step>.labels`. What is written is the state behind
/// them, with `losses`.
struct Learning {
  /// What steps by float32 weights on the engine, or by double ones on the reference interpreter.
  enum Precision: String {
    case float, double
  }

  private let module: Module
  private let groups: [ParameterGroup]
  private let rule: OptimizerRule
  private var state: Checkpoint
  private let batches: [(input: Tensor, labels: Tensor)]

  /// - Parameters:
  ///   - model: a whole module; its weights are the state's.
  ///   - rule: whose options are the state's.
  init(model: String, state: String, batches: String, rule: OptimizerRule) throws {
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
      guard let input = given[name], let labels = given[name.dropLast("input".count) + "labels"] else {
        throw ModelError(.missing, "has no labels", subject: name)
      }
      return (input, labels)
    }
    (self.module, self.rule) = (module, rule)
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
    let learner = try Learner(
      module, inputs: types, rule: rule, groups: { _ in groups },
      objective: { graph, outputs in try Self.loss(&graph, outputs, types) })
    try learner.resume(weights: weights, averages: nil, optimizer: saved, updates: 0)
    let losses = try batches.map { try learner.step([$0.input, $0.labels]).loss }
    for (path, tensor) in try learner.weights() { weights[path] = tensor }
    try state.setEntry("optimizer", to: learner.optimizer.stateDict(like: weights))
    return losses
  }

  private mutating func learnInDouble(_ weights: inout StateDict, _ saved: Attribute) throws -> [Double] {
    var optimizer = try Optimizer<Double>(groups)
    try optimizer.load(saved)
    var losses: [Double] = []
    for batch in batches {
      let types = [batch.input, batch.labels].map { TensorType($0.dtype, $0.shape) }
      var forward = try Graph(module, inputs: [types[0]], mode: .training)
      let outputs = forward.outputs
      let loss = try Self.loss(&forward, outputs, [types[0]])
      let training = try forward.gradients(of: loss, for: types)
      var graph = training.graph
      for name in graph.weights.keys {
        if let tensor = weights[name] { graph.weights[name]?.tensor = tensor }
      }
      let found = try graph.reference(
        [batch.input, batch.labels], of: [training[loss]] + graph.updates.values + training.gradients.values)
      losses += try found[0].doubles()
      for (name, tensor) in zip(graph.updates.keys, found.dropFirst()) { weights[name] = tensor }
      var values = try training.gradients.keys.reduce(into: [:]) { $0[$1] = try weights[$1]?.doubles() }
      let gradients = try zip(training.gradients.keys, found.suffix(training.gradients.count)).reduce(into: [:]) {
        $0[$1.0] = try $1.1.doubles()
      }
      try optimizer.step(&values, gradients)
      for (name, value) in values { weights[name] = try Tensor(value, weights[name]?.shape) }
    }
    try state.setEntry("optimizer", to: optimizer.stateDict(like: weights))
    return losses
  }

  private static func loss(
    _ graph: inout Graph, _ outputs: [Graph.Value], _ types: [TensorType]
  ) throws -> Graph.Value {
    let scores = try graph.types(of: types)[outputs[0]]
    let labels = graph.addInput("labels")
    return try graph.crossEntropy(outputs[0], labels, classes: scores.shape[1], dtype: scores.dtype)
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
