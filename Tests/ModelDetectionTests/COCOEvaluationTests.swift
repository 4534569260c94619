import Foundation
import ModelCore
import ModelDetection
import TestSupport
import Testing

@Suite struct COCOEvaluationTests {
  @Test func equalsPycocotoolsToTheLastBit() throws {
    let cases = try golden("metrics.json")["coco"] as? [[String: Any]] ?? []
    #expect(cases.count == 10)
    for item in cases {
      let parameters = try #require(item["case"] as? [Any])
      let (pictures, classes) = (parameters[1] as? Int ?? 0, parameters[2] as? Int ?? 0)
      var set = DrawnSet(parameters)
      if item["truths"] as? Int == 0 { set.truths = [] }
      if item["predictions"] as? Int == 0 { set.predictions = [] }
      #expect(set.truths.count == item["truths"] as? Int)
      #expect(set.predictions.count == item["predictions"] as? Int)
      let found = try COCOEvaluation(
        truths: set.truths, predictions: set.predictions, pictures: pictures, classes: classes)
      #expect(found.figures.values == exact(item["figures"]), "\(parameters)")
      #expect(found.precision.count == 12120 * classes)
      #expect(bits(found.precision) == item["precision"] as? String, "\(parameters)")
      #expect(bits(found.recall) == item["recall"] as? String, "\(parameters)")
      let each = try (0..<classes).map { try found.averagePrecision(ofClass: $0) }
      #expect(each == exact(item["classes"]), "\(parameters)")
    }
  }

  @Test func isTheSameForEveryNumberOfThreads() throws {
    let set = DrawnSet(seed: 9, pictures: 600, classes: 5, grid: true, ties: true, extra: 3000, crowded: true)
    func evaluation(_ threads: Int) throws -> COCOEvaluation {
      try Parallel.$threadCount.withValue(threads) {
        try COCOEvaluation(truths: set.truths, predictions: set.predictions, pictures: 600, classes: 5)
      }
    }
    let alone = try evaluation(1)
    for threads in [2, 7] { #expect(try evaluation(threads) == alone) }
  }

  @Test func perfectPredictionsHaveOne() throws {
    let truths = (0..<20).map {
      DetectionTruth(picture: $0, classIndex: $0 % 2, x: 3, y: 4, width: Double(5 + $0 * 8), height: 50)
    }
    let predictions = truths.map {
      DetectionPrediction(
        picture: $0.picture, classIndex: $0.classIndex, x: $0.x, y: $0.y, width: $0.width, height: $0.height,
        score: -Double($0.picture))
    }
    let found = try COCOEvaluation(truths: truths, predictions: predictions, pictures: 20, classes: 2)
    // Like the original's: right / (right + wrong + 2⁻⁵²) of 1, 2 and more.
    #expect(found.figures.values[...5].allSatisfy { $0 == -1 || abs($0 - 1) < 1e-15 })
    #expect(found.figures.averageRecall1 == 1)
    #expect(found.figures.averageRecall100 == 1)
    #expect(found.classCount == 2)
    #expect(COCOEvaluation.Area.allCases.map(\.range.upperBound) == [1e10, 1024, 9216, 1e10])
  }

  @Test func nothingAtAllIsMinusOne() throws {
    let found = try COCOEvaluation(truths: [], predictions: [], pictures: 0, classes: 3)
    #expect(found.figures.values == [Double](repeating: -1, count: 12))
    #expect(found.recall.allSatisfy { $0 == -1 })
    #expect(try found.averagePrecision(ofClass: 2) == -1)
  }

  @Test func hostileNumbersAreComparedLikeTheOriginals() throws {
    let sides = [0, Double.leastNonzeroMagnitude, 1e-300, 1, 1e9]
    var truths: [DetectionTruth] = []
    var predictions: [DetectionPrediction] = []
    for (index, width) in sides.enumerated() {
      for x in [0, 1, -1e9, 1e9] {
        truths.append(DetectionTruth(picture: 0, classIndex: 0, x: x, y: x, width: width, height: sides[4 - index]))
        predictions.append(
          DetectionPrediction(picture: 0, classIndex: 0, x: x, y: x, width: width, height: width, score: x))
      }
    }
    let found = try COCOEvaluation(truths: truths, predictions: predictions, pictures: 1, classes: 1)
    #expect(found.figures.values.allSatisfy { $0 == -1 || (0...1).contains($0) })
  }

  @Test func whatCannotBeIsRefused() throws {
    func of(
      picture: Int = 0, classIndex: Int = 0, x: Double = 0, width: Double = 1, area: Double? = nil, score: Double = 0,
      pictures: Int = 1, classes: Int = 1
    ) -> [String?] {
      let truth = DetectionTruth(
        picture: picture, classIndex: classIndex, x: x, y: 0, width: width, height: 1, area: area)
      let prediction = DetectionPrediction(
        picture: picture, classIndex: classIndex, x: x, y: 0, width: width, height: 1, score: score)
      return [
        refusal { _ = try COCOEvaluation(truths: [truth], predictions: [], pictures: pictures, classes: classes) },
        refusal { _ = try COCOEvaluation(truths: [], predictions: [prediction], pictures: pictures, classes: classes) },
      ]
    }
    #expect(of() == [nil, nil])
    #expect(
      of(picture: 1) == ["truth 0", "prediction 0"].map { "\($0): is of picture 1, but there are 1, numbered from 0" })
    #expect(of(picture: -1).allSatisfy { $0 != nil })
    #expect(
      of(classIndex: .max)
        == ["truth 0", "prediction 0"].map { "\($0): is of class \(Int.max), but there are 1, numbered from 0" })
    for bad in [Double.nan, .infinity, -.infinity, 2e9] { #expect(of(x: bad).allSatisfy { $0 != nil }, "\(bad)") }
    #expect(
      of(width: -1)
        == ["truth 0", "prediction 0"].map { "\($0): has the box [0.0, 0.0, -1.0, 1.0], which is none in pixels" })
    #expect(of(area: .nan) == ["truth 0: has the area nan, which is none in pixels", nil])
    #expect(of(score: .nan) == [nil, "prediction 0: has the score nan, which is not finite"])
    for classes in [0, -1, 10001, .max] { #expect(of(classes: classes).allSatisfy { $0 != nil }) }
    #expect(of(pictures: -1).allSatisfy { $0 != nil })
    let found = try COCOEvaluation(truths: [], predictions: [], pictures: 0, classes: 3)
    #expect(
      refusal { _ = try found.averagePrecision(ofClass: 3) }
        == "class 3: was not evaluated: there are 3, numbered from 0")
  }

  /// FNV-1a over the doubles as words.
  private func bits(_ values: [Double]) -> String {
    let hash = values.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ $1.bitPattern) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
