import ModelArchitectures
import ModelCore
import ModelEngine
import ModelGraph
import ModelTraining
import TestSupport
import Testing

@Suite struct LearnerTests {
  /// A small network that learns to give 0.
  private func learner(
    checkpointsActivations: Bool = false, precision: Precision = .float32,
    changing change: (inout Module) -> Void = { _ in }
  ) throws -> Learner {
    var module = try Architecture(named: "mobilenet_v3_small").module(classes: 4)
    change(&module)
    return try Learner(
      module, inputs: [TensorType(.float32, [2, 3, 35, 41])], rule: .sgd(SGD(learningRate: 0.01, momentum: 0.9)),
      seed: 5, checkpointsActivations: checkpointsActivations, precision: precision
    ) { graph, outputs in
      try graph.emit(.reduce(.mean, axes: [0, 1], keepsAxes: false), graph.emit(.unary(.square), outputs[0]))
    }
  }

  private func pictures(_ seed: Int) throws -> Tensor {
    var numbers = Generator(seed)
    return try Tensor((0..<2 * 3 * 35 * 41).map { _ in Float.random(in: -1...1, using: &numbers) }, [2, 3, 35, 41])
  }

  @Test func learnsTheSameWithCheckpoints() throws {
    let (plain, checkpointing) = (try learner(), try learner(checkpointsActivations: true))
    for step in 0..<3 {
      let picture = try pictures(step)
      #expect(try plain.step([picture]).loss == checkpointing.step([picture]).loss)
    }
    let (first, second) = (try plain.weights(), try checkpointing.weights())
    #expect(first.keys == second.keys)
    for (path, tensor) in first { #expect(try tensor.bytes() == second[path]?.bytes(), "\(path)") }
  }

  /// The loss computed outside, with its gradients by hand, is the one in the graph, bit for bit.
  @Test func learnsTheSameByALossOutside() throws {
    let module = try Architecture(named: "mobilenet_v3_small").module(classes: 4)
    let inside = try learner()
    let outside = try Learner(
      module, inputs: [TensorType(.float32, [2, 3, 35, 41])], rule: .sgd(SGD(learningRate: 0.01, momentum: 0.9)),
      seed: 5, lossOf: { _, outputs in [outputs[0]] })
    for step in 0..<2 {
      let picture = try pictures(step)
      let expected = try inside.step([picture]).loss
      var loss = 0.0
      try outside.backward([picture]) { outputs in
        let values = try outputs[0].floats()
        loss = values.reduce(0) { $0 + Double($1 * $1) } / 8
        return (loss, [try Tensor(values.map { $0 * 0.25 }, [2, 4])])
      }
      try outside.update()
      #expect(abs(loss - expected) <= 1e-6 * abs(expected))
    }
    let (first, second) = (try inside.weights(), try outside.weights())
    for (path, tensor) in first { #expect(try tensor.bytes() == second[path]?.bytes(), "\(path)") }
  }

  /// Two batches add up: their gradients are twice those of one, and halved they make its update.
  @Test func addsUpGradients() throws {
    func made(_ rate: Double) throws -> Learner {
      try Learner(
        Architecture(named: "squeezenet1_1").module(classes: 4), inputs: [TensorType(.float32, [1, 3, 64, 64])],
        rule: .sgd(SGD(learningRate: rate)), lossOf: { _, outputs in [outputs[0]] })
    }
    let loss: Learner.OutsideLoss = { outputs in
      (1, [try Tensor([Float](repeating: 0.5, count: 4), outputs[0].shape)])
    }
    let picture = try Tensor([Float](repeating: 0.5, count: 3 * 64 * 64), [1, 3, 64, 64])
    let (once, twice, thrice) = (try made(0.04), try made(0.02), try made(0.02))
    try once.backward([picture], loss: loss)
    try once.update()
    for _ in 0..<2 { try twice.backward([picture], loss: loss) }
    // What is pending is kept with a state and goes on from there.
    for _ in 0..<2 { try thrice.backward([picture], loss: loss) }
    let pending = try #require(try thrice.pendingGradients())
    let other = try made(0.02)
    try other.resume(
      weights: thrice.updated().stateDict(), averages: nil,
      optimizer: thrice.optimizer.stateDict(like: thrice.updated().stateDict()),
      updates: 0, pending: pending)
    for learner in [thrice, other] {
      for _ in 0..<2 { try learner.backward([picture], loss: loss) }
      #expect(learner.pendingBatches == (learner === other ? 3 : 4))
      try learner.update()
    }
    try twice.update()
    #expect(twice.pendingBatches == 0 && twice.updates == 1)
    #expect(try twice.pendingGradients() == nil)
    #expect(refusal { try twice.update() }?.contains("no gradients") == true)
    let (expected, second) = (try once.weights(), try twice.weights())
    let (third, fourth) = (try thrice.weights(), try other.weights())
    for (path, tensor) in expected {
      // Dropout draws by the number of the update, which is the same.
      #expect(try tensor.bytes() == second[path]?.bytes(), "\(path)")
      #expect(try third[path]?.bytes() == fourth[path]?.bytes(), "\(path)")
    }
  }

  static let hasBFloat16 = (try? Precision.bfloat16.requireSupport()) != nil

  /// bfloat16 has eight bits: each product is off by up to 2^-8, and a loss of some dozen layers by a few of those.
  @Test(.enabled(if: LearnerTests.hasBFloat16)) func learnsNearlyTheSameInBFloat16() throws {
    let (exact, rounded) = (try learner(), try learner(precision: .bfloat16))
    for step in 0..<5 {
      let picture = try pictures(step)
      let (expected, loss) = (try exact.step([picture]).loss, try rounded.step([picture]).loss)
      #expect(loss != expected && abs(loss - expected) <= 0.05 * abs(expected), "\(loss), \(expected)")
    }
    // What is kept is not rounded.
    let weight = try #require(try rounded.weights()["features.0.0.weight"]).floats()
    #expect(weight.contains { $0.bitPattern & 0xffff != 0 })
  }

  @Test(.enabled(if: !LearnerTests.hasBFloat16)) func refusesBFloat16WhereItIsNotThere() {
    #expect(refusal { _ = try learner(precision: .bfloat16) }?.contains("compute in float32") == true)
  }

  @Test func namesWhereALossCeasesToBeANumber() throws {
    func reason(_ learner: Learner, _ picture: Tensor) -> String {
      refusal { _ = try learner.step([picture]) } ?? ""
    }
    // Finite weights whose products are not.
    let overflowing = try learner { module in
      module.setTensors(includesNonPersistent: true) { path in
        path == "features.3.block.0.0.weight"
          ? (try? Tensor([Float](repeating: 3e38, count: 88 * 24), [88, 24, 1, 1])) : nil
      }
    }
    #expect(
      try reason(overflowing, pictures(1)).contains("all weights are finite, but not what features.3.block.0.0 gives"))
    var values = try pictures(1).floats()
    values[7] = .infinity
    let infinite = try Tensor(values, [2, 3, 35, 41])
    #expect(try reason(learner(), infinite).contains("all weights are finite, but not what the network is given"))
    let broken = try learner { module in
      module.setTensors(includesNonPersistent: true) { path in
        path == "classifier.3.bias" ? (try? Tensor([Float.nan, 0, 0, 0], [4])) : nil
      }
    }
    #expect(try reason(broken, pictures(1)).contains("where classifier.3.bias is not finite"))
  }
}
