import Foundation
import ModelCore
import ModelTraining
import TestSupport
import Testing

@Suite struct SchedulesTests {
  let tables: [String: Any]
  init() throws { tables = try golden("schedules.json") }

  private func table(_ name: String) throws -> [Double] {
    let values = try #require(tables[name] as? [String])
    #expect(values.count == 23)
    return values.compactMap { Double($0) }
  }

  @Test func asTorchAndYOLOToTheLastBit() throws {
    let schedules: [(String, any LearningRateSchedule)] = [
      ("constant", ConstantSchedule()), ("linear", try LinearSchedule(epochs: 20, finalShare: 0.01)),
      ("cosine", try CosineSchedule(epochs: 20, finalShare: 0.01)),
      ("cosineAnnealing", try CosineAnnealingLR(period: 7, minimum: 1e-3)), ("step", try StepLR(size: 4, gamma: 0.3)),
      ("multiStep", try MultiStepLR(milestones: [9, 3, 15, 9], gamma: 0.3)),
    ]
    for (name, schedule) in schedules {
      let expected = try table(name)
      #expect(expected.indices.map { schedule.learningRate(at: $0, initial: 0.1) } == expected, "\(name)")
    }
  }

  /// Beyond its end the other schedule has the word, where `LinearLR` goes on with what it ends with.
  @Test func linearWarmup() throws {
    let warmup = try LinearWarmup(epochs: 6, startFactor: 0.01, then: StepLR(size: 4, gamma: 0.5))
    #expect(try (0..<6).map { warmup.learningRate(at: $0, initial: 0.1) } == Array(table("linearLR").prefix(6)))
    #expect([6, 9, 10, 14].map { warmup.learningRate(at: $0, initial: 0.1) } == [0.1, 0.1, 0.05, 0.025])
  }

  @Test func chainsAsTorchToTheLastBit() throws {
    #expect(
      try CosineAnnealingLR(period: 7, minimum: 1e-3).chained(23, initial: 0.1) == table("cosineAnnealing.chained"))
    #expect(try StepLR(size: 4, gamma: 0.3).chained(23, initial: 0.1) == table("step.chained"))
    #expect(
      try MultiStepLR(milestones: [3, 9, 9, 15], gamma: 0.3).chained(23, initial: 0.1) == table("multiStep.chained"))
  }

  @Test func oneCycle() throws {
    let cycles = [
      try OneCycleLR(maximum: 0.3, totalSteps: 23), try OneCycleLR(maximum: 0.3, totalSteps: 23, annealing: .linear),
      try OneCycleLR(maximum: 0.3, totalSteps: 23, risingShare: 0.4, threePhases: true),
      try OneCycleLR(maximum: 0.3, totalSteps: 23, momentum: 0.8...0.9, division: 10, finalDivision: 100),
    ]
    let expected = try #require(tables["cycles"] as? [[[String]]])
    for (cycle, rows) in zip(cycles, expected) {
      for (step, row) in rows.enumerated() {
        let rates = try cycle.rates(at: step)
        #expect([rates.learningRate, rates.momentum] == row.map { Double($0) }, "step \(step) of \(cycle)")
      }
    }
    #expect(refusal { _ = try cycles[0].rates(at: 24) } == "step 24 is beyond the cycle's 23")
  }

  @Test func runsOfYOLOv6() throws {
    for (key, value) in try #require(tables["runs"] as? [String: [[Any]]]) {
      let numbers = key.split(separator: " ").compactMap { Int($0) }
      let schedule = try YOLOSchedule(
        .cosine, epochs: numbers[0], finalShare: 0.01, stepsPerEpoch: numbers[1], batchSize: numbers[2],
        warmup: YOLOWarmup(steps: numbers[3]), isLate: true)
      var last = -1
      for (step, row) in value.enumerated() {
        let rates = [
          schedule.learningRate(at: step, initial: 0.02, isBias: false),
          schedule.learningRate(at: step, initial: 0.02, isBias: true), schedule.momentum(at: step, target: 0.937),
        ]
        #expect(rates == row.prefix(3).compactMap { ($0 as? String).flatMap { Double($0) } }, "\(key), step \(step)")
        let batches = schedule.accumulation(at: step)
        #expect(batches == row[3] as? Int, "\(key), step \(step)")
        #expect((step - last >= batches) == (row[4] as? Int == 1), "\(key), step \(step)")
        if step - last >= batches { last = step }
      }
    }
    let plain = try YOLOSchedule(
      .linear, epochs: 4, finalShare: 0, stepsPerEpoch: 2, batchSize: 16, warmup: YOLOWarmup(steps: 0), isLate: false)
    #expect(
      (1..<8).map { plain.learningRate(at: $0, initial: 1, isBias: true) } == [1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25])
  }

  @Test func warmups() throws {
    for (key, value) in try #require(tables["warmups"] as? [String: [[Any]]]) {
      let numbers = key.split(separator: " ").compactMap { Int($0) }
      let warmup = try YOLOWarmup(steps: numbers[0])
      for (step, row) in value.enumerated() {
        let target = 0.02 * (1 - Double(step) / 100)
        let rates =
          warmup.contains(step)
          ? [
            warmup.learningRate(at: step, target: target, isBias: false),
            warmup.learningRate(at: step, target: target, isBias: true), warmup.momentum(at: step, target: 0.937),
          ] : [target, target, 0.937]
        #expect(rates == row.prefix(3).compactMap { ($0 as? String).flatMap { Double($0) } }, "\(key), step \(step)")
        #expect(warmup.accumulation(at: step, batchSize: numbers[1]) == row[3] as? Int, "\(key), step \(step)")
      }
    }
    #expect(try YOLOWarmup.steps(epochs: 3, stepsPerEpoch: 500) == 1500)
    #expect(try YOLOWarmup.steps(epochs: 3, stepsPerEpoch: 16) == 1000)
    #expect(try YOLOWarmup.steps(epochs: 2.5, stepsPerEpoch: 1, minimum: 0) == 2)
  }

  @Test func refusals() {
    #expect(refusal { _ = try CosineSchedule(epochs: 0, finalShare: 0.1) } == "a schedule cannot have 0 epochs")
    #expect(refusal { _ = try StepLR(size: -1) } != nil)
    #expect(refusal { _ = try MultiStepLR(milestones: [-1]) } != nil)
    #expect(refusal { _ = try OneCycleLR(maximum: 1, totalSteps: 0) } != nil)
    #expect(refusal { _ = try LinearWarmup(epochs: 1, startFactor: 0, then: ConstantSchedule()) } != nil)
    #expect(refusal { _ = try YOLOWarmup.steps(epochs: .infinity, stepsPerEpoch: 5) } != nil)
  }
}
