import ModelReports
import TestSupport
import Testing

@Suite struct ConfusionMatrixTests {
  @Test func figures() throws {
    var matrix = try ConfusionMatrix(classCount: 4)
    try matrix.add(true: [0, 0, 0, 1, 1, 2], predicted: [0, 0, 1, 1, 0, 0])
    try matrix.add(true: 0, predicted: 1)
    #expect(matrix[true: 0, predicted: 0] == 2 && matrix[true: 0, predicted: 1] == 2)
    #expect(matrix.total == 7 && matrix.correct == 3 && matrix.accuracy == 3.0 / 7)
    #expect(matrix.trueCounts == [4, 2, 1, 0] && matrix.predictedCounts == [4, 3, 0, 0])
    #expect(matrix.precision == [0.5, 1.0 / 3, nil, nil])
    #expect(matrix.recall == [0.5, 0.5, 0, nil])
    #expect(matrix.mistakes(limit: 2).map { [$0.truth, $0.prediction, $0.count] } == [[0, 1, 2], [1, 0, 1]])
    #expect(matrix.mistakes(limit: 9).count == 3 && matrix.mistakes(limit: -1).isEmpty)
    let one = matrix
    try matrix.add(one)
    #expect(matrix.total == 14 && matrix.recall == one.recall)
    #expect(try ConfusionMatrix(classCount: 2).accuracy == nil)
    try matrix.add(true: 3, predicted: 2, count: 5)
    #expect(matrix[true: 3, predicted: 2] == 5 && matrix.total == 19)
    #expect(refusal { try matrix.add(true: 4, predicted: 0, count: 1) } != nil)
    #expect(refusal { try matrix.add(true: 0, predicted: 0, count: -1) } != nil)
  }

  @Test func refusals() throws {
    var matrix = try ConfusionMatrix(classCount: 2)
    #expect(refusal { try matrix.add(true: [0, 2], predicted: [0, 0]) } == "2 is no class: there are 2")
    #expect(refusal { try matrix.add(true: 0, predicted: -1) } == "-1 is no class: there are 2")
    #expect(
      refusal { try matrix.add(true: [0], predicted: []) } == "1 true classes go with as many predictions, not 0")
    #expect(matrix.total == 0)
    #expect(refusal { _ = try ConfusionMatrix(classCount: 0) } == "a confusion matrix has 1 to 4096 classes, not 0")
    #expect(refusal { _ = try ConfusionMatrix(classCount: 5000) } != nil)
    let other = try ConfusionMatrix(classCount: 3)
    #expect(refusal { try matrix.add(other) } == "matrices of 2 and 3 classes cannot be added")
  }
}
