import ModelCheckpoints
import ModelCore
import ModelTraining
import TestSupport
import Testing

@Suite struct OptimizerStateDictTests {
  private let shapes: StateDict = {
    var state = StateDict()
    state["a"] = try? Tensor([1, 2, 3, 4, 5, 6] as [Float], [2, 3])
    state["b"] = try? Tensor([7, 8] as [Float], [2])
    return state
  }()

  private func memory() throws -> TrainedMemory<Float> {
    let memory = TrainedMemory(try shapes.tensors.map { ($0, try $1.floats()) })
    for index in memory.names.indices { memory.setGradient(index, memory.parameters[index].map { $0 / 8 }) }
    return memory
  }

  private static let rules: [OptimizerRule] = [
    .sgd(SGD(learningRate: 0.1, momentum: 0.9, nesterov: true)), .adam(Adam(amsgrad: true)), .adam(.adamW()),
    .rmsprop(RMSprop(momentum: 0.5, centered: true)),
  ]

  /// Through a file, and on from there as without.
  @Test(arguments: rules) func goesOn(rule: OptimizerRule) throws {
    let memory = try memory()
    let groups = [ParameterGroup(["a"], rule, initialLearningRate: 0.25), ParameterGroup(["b"], rule)]
    var optimizer = try Optimizer<Float>(groups)
    for _ in 0..<3 { try optimizer.step(memory.memory(without: ["b"])) }
    let folder = try TemporaryFolder()
    var checkpoint = Checkpoint(shapes)
    checkpoint.nestModel(under: "model")
    try checkpoint.setEntry("optimizer", to: optimizer.stateDict(like: shapes))
    try checkpoint.write(to: folder["c.pt"])
    let contents = try #require(try Checkpoint(contentsOf: folder["c.pt"]).contents(of: "optimizer"))
    var resumed = try Optimizer<Float>(groups.map { ParameterGroup($0.names, $0.rule) })
    try resumed.updateGroups { $0.rule.learningRate = 7 }
    try resumed.load(contents)
    // torch does not keep the number of SGD's steps, which count for nothing.
    #expect(resumed.groups == groups && resumed.steps(of: "a") == (rule.name == "SGD" ? 0 : 3))
    #expect(resumed.steps(of: "b") == 0)
    let other = try self.memory()
    for index in memory.names.indices { _ = other.parameters[index].update(from: memory.parameters[index]) }
    for _ in 0..<2 {
      try optimizer.step(memory.memory())
      try resumed.step(other.memory())
    }
    for index in memory.names.indices { #expect(Array(memory.parameters[index]) == Array(other.parameters[index])) }
  }

  @Test func memoryInAnotherOrder() throws {
    let memory = try memory()
    var optimizer = try Optimizer<Float>([ParameterGroup(["a", "b"], .sgd(SGD(momentum: 0.9)))])
    try optimizer.step(memory.memory())
    let dict = try optimizer.stateDict { name, state in
      let values = try state.floats()
      return name == "a" ? try Tensor(Array(values.reversed()), [2, 3]) : state
    }
    var loaded = try Optimizer<Float>([ParameterGroup(["a", "b"], .sgd(SGD(momentum: 0.9)))])
    try loaded.load(dict) { name, state in
      let values = try state.floats()
      return name == "a" ? try Tensor(Array(values.reversed())) : state
    }
    #expect(
      try loaded.state(of: "a")["momentum_buffer"]?.floats() == optimizer.state(of: "a")["momentum_buffer"]?.floats())
  }

  @Test func refusals() throws {
    let memory = try memory()
    var optimizer = try Optimizer<Float>([ParameterGroup(["a", "b"], .adam(Adam()))])
    try optimizer.step(memory.memory())
    let dict = try optimizer.stateDict(like: shapes)
    func line(_ groups: [ParameterGroup], _ dict: Attribute) -> String {
      refusal {
        var other = try Optimizer<Float>(groups)
        try other.load(dict)
      } ?? "nothing"
    }
    #expect(
      line([ParameterGroup(["a"], .adam(Adam())), ParameterGroup(["b"], .adam(Adam()))], dict).contains("groups"))
    #expect(line([ParameterGroup(["a"], .adam(Adam()))], dict).contains("has not the optimizer's 1 parameters"))
    #expect(line([ParameterGroup(["a", "b"], .adam(.adamW()))], dict) == "the state dict is Adam's, not AdamW's")
    #expect(line([ParameterGroup(["a", "b"], .sgd(SGD()))], dict).contains("has no number 'momentum'"))
    #expect(
      line([ParameterGroup(["a", "b"], .adam(Adam()))], .none) == "an optimizer's state dict has state and param_groups"
    )
    #expect(
      refusal { try optimizer.setState(of: "a", to: ["exp_avg": Tensor([1, 2])], steps: 1) }?.hasPrefix(
        "a: has no state") == true)
    #expect(refusal { try optimizer.setState(of: "x", to: [:], steps: 1) }?.hasPrefix("x: is in none") == true)
    // A state of another size is found when it meets the parameter.
    let one = try Tensor([1] as [Float])
    try optimizer.setState(of: "a", to: ["exp_avg": one, "exp_avg_sq": one], steps: 1)
    #expect(refusal { try optimizer.step(memory.memory()) }?.hasPrefix("a: has 6 elements") == true)
  }
}
