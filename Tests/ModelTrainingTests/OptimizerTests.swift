import CKernels
import ModelCore
import ModelTraining
import TestSupport
import Testing

@Suite struct OptimizerTests {
  @Test func asTorchBitForBit() throws {
    let goldens = try golden("optimizers.json")
    for item in goldens["cases"] as? [[String: Any]] ?? [] {
      if item["dtype"] as? String == "float32" {
        try check(item, goldens, Float.self)
      } else {
        try check(item, goldens, Double.self)
      }
    }
  }

  private func check<Scalar: OptimizedScalar>(
    _ item: [String: Any], _ goldens: [String: Any], _ type: Scalar.Type
  ) throws {
    let name = try #require(item["rule"] as? String)
    let options = item["options"] as? [String: Any] ?? [:]
    let start = elements(goldens["start"] as? String ?? "", as: Double.self)
    let memory = TrainedMemory([("weight", start.map { Scalar($0) })])
    var optimizer = try Optimizer<Scalar>([ParameterGroup(["weight"], rule(name, options, learningRate: 0.013))])
    let steps = try #require(item["steps"] as? [String])
    #expect(steps.count == 4)
    for (gradient, expected) in zip(goldens["gradients"] as? [String] ?? [], steps) {
      memory.setGradient(0, elements(gradient, as: Double.self).map { Scalar($0) })
      try optimizer.step(memory.memory())
      #expect(Array(memory.parameters[0]) == elements(expected, as: type), "\(name) \(options) \(type)")
    }
    let state = try optimizer.state(of: "weight")
    let expected = item["state"] as? [String: String] ?? [:]
    #expect(Set(state.keys) == Set(expected.keys), "\(name) \(options)")
    for (key, bits) in expected {
      #expect(try state[key]?.elements(of: type) == elements(bits, as: type), "\(name) \(options) \(key)")
    }
  }

  /// Averages, zeroing, and the number of threads, over more than one piece of memory.
  @Test(arguments: [1, 4]) func onePassOverEverything(threads: Int) throws {
    var generator = Generator(7)
    let count = 3 * (1 << 15) + 77
    let values = (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
    let gradient = values.map { $0 * 0.5 }
    let memory = TrainedMemory([("a", values), ("b", [1, 2, 3])])
    memory.setGradient(0, gradient)
    var optimizer = try Optimizer<Float>([ParameterGroup(["a", "b"], .sgd(SGD(learningRate: 0.1)))])
    try Parallel.$threadCount.withValue(threads) {
      _ = try optimizer.step(
        memory.memory(averaging: true, without: ["b"]), averaging: .mix(decay: 0.75), zeroesGradients: true)
    }
    let stepped = zip(values, gradient).map { Float(-0.1).multipliedAndAdded($1, $0) }
    #expect(Array(memory.parameters[0]) == stepped)
    #expect(
      Array(memory.averages[0])
        == zip(values, stepped).map { old, new -> Float in
          let kept = old * 0.75
          return kept + 0.25 * new
        })
    #expect(memory.gradients[0].allSatisfy { $0 == 0 })
    #expect(Array(memory.parameters[1]) == [1, 2, 3] && Array(memory.averages[1]) == [1, 2, 3])
    #expect(try optimizer.state(of: "b").isEmpty && optimizer.steps(of: "b") == 0 && optimizer.steps(of: "a") == 1)
  }

  @Test func aCopyKeepsItsState() throws {
    let memory = TrainedMemory<Float>([("a", [1, 2])])
    memory.setGradient(0, [1, 1])
    var optimizer = try Optimizer<Float>([ParameterGroup(["a"], .sgd(SGD(momentum: 0.9)))])
    try optimizer.step(memory.memory())
    let kept = optimizer
    try optimizer.step(memory.memory())
    #expect(try kept.state(of: "a")["momentum_buffer"]?.floats() == [1, 1])
    #expect(try optimizer.state(of: "a")["momentum_buffer"]?.floats() == [1.9, 1.9])
  }

  @Test func groupsHaveOptionsOfTheirOwn() throws {
    let memory = TrainedMemory<Double>([("a", [1]), ("b", [1])])
    memory.setGradient(0, [1])
    memory.setGradient(1, [1])
    var optimizer = try Optimizer<Double>([
      ParameterGroup(["a"], .sgd(SGD(learningRate: 0.5))), ParameterGroup(["b"], .sgd(SGD(learningRate: 0.25))),
    ])
    try optimizer.updateGroups { $0.rule.learningRate /= 2 }
    try optimizer.step(memory.memory())
    #expect(memory.parameters[0][0] == 0.75 && memory.parameters[1][0] == 0.875)
    #expect(refusal { try optimizer.updateGroups { $0.rule.learningRate = -1 } }?.contains("lr") == true)
    #expect(optimizer.groups.map(\.rule.learningRate) == [0.25, 0.125])
  }

  @Test func refusals() throws {
    #expect(refusal { _ = try Optimizer<Float>([]) } == "the optimizer has no parameters")
    let twice = [ParameterGroup(["a"], .sgd(SGD())), ParameterGroup(["a"], .sgd(SGD()))]
    #expect(refusal { _ = try Optimizer<Float>(twice) } == "a: stands in the optimizer's groups twice")
    let mixed = [ParameterGroup(["a"], .sgd(SGD())), ParameterGroup(["b"], .adam(Adam()))]
    #expect(refusal { _ = try Optimizer<Float>(mixed) } == "one group is SGD's, another Adam's")
    for bad: OptimizerRule in [
      .sgd(SGD(nesterov: true)), .sgd(SGD(learningRate: .nan)), .adam(Adam(beta1: 1)), .rmsprop(RMSprop(eps: -1)),
    ] {
      #expect(refusal { _ = try Optimizer<Float>([ParameterGroup(["a"], bad)]) } != nil)
    }
    let memory = TrainedMemory<Float>([("a", [1, 2]), ("c", [1])])
    var optimizer = try Optimizer<Float>([ParameterGroup(["a"], .sgd(SGD(momentum: 0.9)))])
    #expect(refusal { try optimizer.step(memory.memory()) } == "c: is in none of the optimizer's groups")
    let short = ParameterMemory("a", memory.parameters[0], gradient: memory.gradients[1])
    #expect(refusal { try optimizer.step([short]) }?.hasPrefix("a: has 2 elements where") == true)
    let first = memory.memory()[0]
    #expect(refusal { try optimizer.step([first, first]) } == "a: is given to one step twice")
    #expect(Array(memory.parameters[0]) == [1, 2])
  }
}

extension Float {
  /// self · factor + addend, rounded once.
  fileprivate func multipliedAndAdded(_ factor: Float, _ addend: Float) -> Float { addend.addingProduct(self, factor) }
}
