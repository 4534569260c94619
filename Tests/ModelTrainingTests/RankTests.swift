import ModelAutograd
import ModelCore
import ModelEngine
import ModelGraph
import ModelRandom
import ModelTraining
import Synchronization
import TestSupport
import Testing

/// Ranks that are threads: they learn what one process learns.
@Suite struct RankTests {
  private func net() throws -> Module {
    var generator = TorchGenerator(seed: 3)
    return try Module.sequential([
      .conv2d(3, 5, kernelSize: 3, padding: 1, bias: false, using: &generator), .batchNorm2d(5), .relu(),
      .conv2d(5, 7, kernelSize: 3, stride: 2, using: &generator), .batchNorm2d(7),
      .adaptiveAvgPool2d(1), .flatten(), .linear(7, 3, using: &generator),
    ])
  }

  private func batch(_ number: Int) throws -> (pictures: [Float], labels: [Int64]) {
    var numbers = Generator(number + 1)
    return (
      (0..<6 * 3 * 64).map { _ in Float.random(in: -1...3, using: &numbers) },
      (0..<6).map { _ in Int64.random(in: 0..<3, using: &numbers) }
    )
  }

  private func inputs(_ number: Int, _ part: Range<Int>) throws -> [Tensor] {
    let (pictures, labels) = try batch(number)
    return [
      try Tensor(Array(pictures[part.lowerBound * 192..<part.upperBound * 192]), [part.count, 3, 8, 8]),
      try Tensor(Array(labels[part])),
    ]
  }

  private func learner(_ module: Module, _ count: Int, ranks: RankExchange? = nil) throws -> Learner {
    try Learner(
      module, inputs: [TensorType(.float32, [count, 3, 8, 8])], rule: .sgd(SGD(learningRate: 0.1, momentum: 0.9)),
      averageDecay: 0.9, ranks: ranks
    ) { graph, outputs in try graph.crossEntropy(outputs[0], graph.addInput("labels"), classes: 3) }
  }

  private struct Learned: Sendable {
    var losses: [Double] = []
    var weights: [String: [Float]] = [:]
    var averages: [String: [Float]] = [:]

    init(_ learner: Learner, _ losses: [Double]) throws {
      self.losses = losses
      for (path, tensor) in try learner.weights() { weights[path] = try tensor.doubles().map { Float($0) } }
      for (path, tensor) in try learner.weights(averaged: true) {
        averages[path] = try tensor.doubles().map { Float($0) }
      }
    }
  }

  private func learned(_ parts: [Range<Int>], synchronizes: Bool = true, steps: Int = 3) throws -> [Learned] {
    let results = Mutex([Int: Learned]())
    let threads = RankThreads(parts.count)
    let net = try net()
    let errors = threads.run { member in
      try Parallel.$threadCount.withValue(1) {
        var module = net
        // What is not rank 0's is given up.
        if member.rank > 0 {
          module.setTensors { path in net.stateDict()[path].flatMap { try? Tensor($0.dtype, $0.shape) } }
        }
        let part = parts[member.rank]
        let exchange = RankExchange(member, synchronizesBatchNorms: synchronizes, timeout: .seconds(60))
        let learner = try learner(module, part.count, ranks: exchange)
        let losses = try (0..<steps).map { step in
          try learner.step(inputs(step, part), share: Double(part.count) / 6).loss
        }
        #expect(try learner.variables.areEqual(on: exchange))
        let learned = try Learned(learner, losses)
        results.withLock { $0[member.rank] = learned }
      }
    }
    #expect(errors.allSatisfy { $0 == nil }, "\(errors)")
    return results.withLock { results in parts.indices.compactMap { results[$0] } }
  }

  /// The sums are the same but for their order: a few units in the last place, through three steps.
  private func expectNear(_ mine: [Float], _ wanted: [Float], _ path: String) {
    let largest = wanted.map(abs).max() ?? 0
    #expect(zip(mine, wanted).allSatisfy { abs($0 - $1) <= 4e-6 * max(largest, 1e-2) }, "\(path)")
  }

  @Test(arguments: [[0..<3, 3..<6], [0..<1, 1..<6], [0..<1, 1..<3, 3..<6]]) func asOneProcess(_ parts: [Range<Int>])
    throws
  {
    let one = try learner(try net(), 6)
    let wanted = try Learned(one, try (0..<3).map { try one.step(inputs($0, 0..<6)).loss })
    let all = try learned(parts)
    #expect(all.count == parts.count)
    for mine in all {
      for (loss, other) in zip(mine.losses, wanted.losses) { #expect(abs(loss - other) <= 2e-6 * abs(other)) }
      for (path, values) in wanted.weights { expectNear(mine.weights[path] ?? [], values, path) }
      for (path, values) in wanted.averages { expectNear(mine.averages[path] ?? [], values, path) }
      #expect(mine.weights == all[0].weights && mine.averages == all[0].averages && mine.losses == all[0].losses)
    }
  }

  /// Each by its own statistics: gradients are the shares of what each would have alone, running statistics rank 0's.
  @Test func withoutSynchronization() throws {
    let parts = [0..<3, 3..<6]
    let all = try learned(parts, synchronizes: false, steps: 1)
    let start = try Learned(try learner(try net(), 3), [])
    let alone = try parts.map { part in
      let one = try learner(try net(), 3)
      return try Learned(one, [one.step(inputs(0, part)).loss])
    }
    #expect(all.count == 2 && all[0].weights == all[1].weights && all[0].averages == all[1].averages)
    for (path, values) in all[0].weights {
      if path.contains("running") || path.contains("num_batches") {
        #expect(values == alone[0].weights[path], "\(path)")
      } else {
        let first = alone[0].weights[path] ?? []
        let second = alone[1].weights[path] ?? []
        expectNear(values, zip(first, second).map { ($0 + $1) / 2 }, path)
        #expect(values != start.weights[path], "\(path)")
      }
    }
  }

  @Test func differencesAreFound() throws {
    let net = try net()
    let errors = RankThreads(2).run { member in
      try Parallel.$threadCount.withValue(1) {
        let exchange = RankExchange(member, timeout: .seconds(60))
        let learner = try learner(net, 3, ranks: exchange)
        #expect(try learner.variables.areEqual(on: exchange))
        if member.rank == 1 {
          learner.variables.withFloats(of: "0.weight") { $0[7] = $0[7].nextUp }
        }
        #expect(try !learner.variables.areEqual(on: exchange))
      }
    }
    #expect(errors == [nil, nil])
  }

  /// A loss that is not finite on one rank stops all before anything is changed.
  @Test func notFinite() throws {
    let net = try net()
    let errors = RankThreads(2).run { member in
      try Parallel.$threadCount.withValue(1) {
        let learner = try learner(net, 3, ranks: RankExchange(member, timeout: .seconds(60)))
        let before = try Learned(learner, [])
        var inputs = try inputs(0, member.rank == 0 ? 0..<3 : 3..<6)
        if member.rank == 1 { inputs[0] = try Tensor([Float](repeating: .infinity, count: 576), [3, 3, 8, 8]) }
        defer { if let after = try? Learned(learner, []) { #expect(before.weights == after.weights) } }
        _ = try learner.step(inputs, share: 0.5)
      }
    }
    #expect(errors.allSatisfy { $0?.contains("the loss of step 1 is nan") == true }, "\(errors)")
  }

  @Test func oneFails() {
    struct Fault: Error {}
    let errors = RankThreads(3).run { member in
      try member.together(timeout: .seconds(60)) { if member.rank == 1 { throw Fault() } }
    }
    #expect(errors == ["rank 0 stops: rank 1 has failed", "Fault()", "rank 2 stops: rank 1 has failed"])
  }
}
