import Foundation
import ModelCore
import ModelTraining
import TestSupport
import Testing

@Suite struct GradientClippingTests {
  private func memory(_ counts: [Int]) -> TrainedMemory<Float> {
    let memory = TrainedMemory(counts.enumerated().map { ("p\($0)", [Float](repeating: 0, count: $1)) })
    for (index, count) in counts.enumerated() {
      memory.setGradient(index, (0..<count).map { Float(sin(Double($0 * (index + 1)))) })
    }
    return memory
  }

  /// torch adds squares in float32, so its norm is a few units in the last place off.
  @Test func normAsTorch() throws {
    for item in try golden("optimizers.json")["norms"] as? [[String: Any]] ?? [] {
      let counts = try #require(item["counts"] as? [Int])
      let expected = try #require((item["norm"] as? NSNumber)?.doubleValue)
      let memory = memory(counts)
      var optimizer = try Optimizer<Float>([ParameterGroup(memory.names, .sgd(SGD(learningRate: 1)))])
      let norm = try #require(try optimizer.step(memory.memory(), clipping: .norm(maximum: 1.5)))
      #expect(abs(norm - expected) <= 1e-6 * expected)
      for (value, clipped) in zip(memory.parameters[0], item["first"] as? [NSNumber] ?? []) {
        #expect(abs(-Double(value) - clipped.doubleValue) <= 1e-6)
      }
    }
  }

  @Test func theNormDoesNotDependOnThreads() {
    let memory = memory([100_003, 40_000, 7])
    let norms = [1, 2, 5].map { threads in Parallel.$threadCount.withValue(threads) { gradientNorm(memory.gradients) } }
    #expect(Set(norms).count == 1)
  }

  @Test func aSmallNormLeavesGradientsAlone() throws {
    let memory = TrainedMemory<Float>([("a", [0, 0])])
    memory.setGradient(0, [0.3, 0.4])
    var optimizer = try Optimizer<Float>([ParameterGroup(["a"], .sgd(SGD(learningRate: 1)))])
    try optimizer.step(memory.memory(), clipping: .norm(maximum: 10))
    #expect(Array(memory.parameters[0]) == [-0.3, -0.4])
  }

  @Test func byValue() throws {
    let memory = TrainedMemory<Float>([("a", [0, 0, 0, 0])])
    memory.setGradient(0, [3, -3, 0.25, .nan])
    var optimizer = try Optimizer<Float>([ParameterGroup(["a"], .sgd(SGD(learningRate: 1)))])
    try optimizer.step(memory.memory(), clipping: .value(limit: 0.5))
    #expect(Array(memory.parameters[0].prefix(3)) == [-0.5, 0.5, -0.25])
    #expect(memory.parameters[0][3].isNaN)
    #expect(memory.gradients[0][0] == 3)
  }

  @Test func whatIsNotFinite() throws {
    let memory = TrainedMemory<Float>([("a", [1])])
    memory.setGradient(0, [.infinity])
    var optimizer = try Optimizer<Float>([ParameterGroup(["a"], .sgd(SGD(learningRate: 1)))])
    let clipping = GradientClipping.norm(maximum: 1, refusesNonFinite: true)
    #expect(refusal { try optimizer.step(memory.memory(), clipping: clipping) }?.contains("is inf") == true)
    #expect(memory.parameters[0][0] == 1 && optimizer.steps(of: "a") == 0)
    #expect(refusal { try optimizer.step(memory.memory(), clipping: .value(limit: -1)) } != nil)
  }
}
