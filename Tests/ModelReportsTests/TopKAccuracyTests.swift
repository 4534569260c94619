import ModelCore
import ModelReports
import TestSupport
import Testing

@Suite struct TopKAccuracyTests {
  @Test func ranks() throws {
    let scores = try Tensor([0.1, 0.7, 0.2, 5, 5, 5, 1, .nan, 3] as [Float], [3, 3])
    #expect(try targetRanks(scores, targets: [2, 1, 2]) == [1, 1, 1])
    #expect(try targetRanks(scores, targets: [1, 0, 1]) == [0, 0, 0])
    #expect(try targetRanks(scores, targets: [0, 2, 0]) == [2, 2, 2])
    #expect(try predictedClasses(scores) == [1, 0, 1])
    #expect(try topKAccuracy(scores, targets: [1, 1, 0]) == 1.0 / 3)
    #expect(try topKAccuracy(scores, targets: [1, 1, 0], k: 2) == 2.0 / 3)
    #expect(try topKAccuracy(scores, targets: [1, 1, 0], k: 5) == 1)
    #expect(try predictedClasses(scores.converted(to: .bfloat16)) == [1, 0, 1])
  }

  @Test func noSamples() throws {
    let none = try Tensor([] as [Float], [0, 3])
    #expect(try topKAccuracy(none, targets: []) == 0)
    #expect(try predictedClasses(none) == [])
  }

  @Test func refusals() throws {
    let scores = try Tensor([1, 2] as [Float], [1, 2])
    #expect(refusal { _ = try targetRanks(scores, targets: [2]) } == "2 is no class: there are 2")
    #expect(refusal { _ = try targetRanks(scores, targets: []) } == "1 samples have as many targets, not 0")
    #expect(refusal { _ = try topKAccuracy(scores, targets: [0], k: 0) } == "the top 0 are none: k is at least 1")
    #expect(
      refusal { _ = try predictedClasses(scores.reshaped([2])) }
        == "scores are [samples, classes] of a floating type, not float32 [2]")
  }
}
