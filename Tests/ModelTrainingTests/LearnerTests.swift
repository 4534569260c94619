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
