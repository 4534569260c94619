import Foundation
import ModelCore
import ModelDetection
import TestSupport
import Testing

@Suite struct DetectionConfusionTests {
  @Test func isYOLOv5s() throws {
    let cases = try golden("metrics.json")["curves"] as? [[String: Any]] ?? []
    #expect(cases.count == 6)
    for item in cases {
      let parameters = try #require(item["case"] as? [Any])
      let set = DrawnSet(parameters)
      let found = try DetectionConfusion(
        truths: set.truths, predictions: set.predictions, pictures: parameters[1] as? Int ?? 0,
        classes: parameters[2] as? Int ?? 0)
      #expect(found.counts == item["matrix"] as? [Int], "\(parameters)")
    }
  }

  @Test func isUltralytics() throws {
    for item in try #require(golden("metrics.json")["curves"] as? [[String: Any]]) {
      let parameters = try #require(item["case"] as? [Any])
      let set = DrawnSet(parameters)
      let found = try DetectionConfusion(
        truths: set.truths, predictions: set.predictions, pictures: parameters[1] as? Int ?? 0,
        classes: parameters[2] as? Int ?? 0, form: .ultralytics)
      #expect(found.counts == item["matrix8"] as? [Int], "\(parameters)")
    }
  }

  @Test func countsEveryTruthOnce() throws {
    let set = DrawnSet(seed: 18, pictures: 50, classes: 4, grid: true, ties: true, extra: 300, crowded: true)
    for countsEmptyPictures in [false, true] {
      let found = try DetectionConfusion(
        truths: set.truths, predictions: set.predictions, pictures: 50, classes: 4,
        countsEmptyPictures: countsEmptyPictures)
      for classIndex in 0..<4 {
        let truths = set.truths.count { $0.classIndex == classIndex }
        #expect(try (0...4).map { try found[found: $0, there: classIndex] }.reduce(0, +) == truths)
        let predictions = set.predictions.count { $0.classIndex == classIndex && $0.score > 0.25 }
        let counted = try (0...4).map { try found[found: classIndex, there: $0] }.reduce(0, +)
        #expect(countsEmptyPictures ? counted == predictions : counted <= predictions)
      }
      #expect(try found[found: 4, there: 4] == 0)
      #expect(
        refusal { _ = try found[found: 5, there: 0] }
          == "class 5: was not counted: there are 4, numbered from 0, and the background")
      #expect(refusal { _ = try found[found: 0, there: -1] } != nil)
    }
  }

  @Test func leavesOutFalsePredictionsOfEmptyPicturesLikeTheOriginal() throws {
    let prediction = DetectionPrediction(picture: 0, classIndex: 1, x: 0, y: 0, width: 9, height: 9, score: 0.9)
    func matrix(_ counts: Bool, _ score: Double = 0.9) throws -> [Int] {
      var prediction = prediction
      prediction.score = score
      return try DetectionConfusion(
        truths: [], predictions: [prediction], pictures: 1, classes: 2, countsEmptyPictures: counts
      ).counts
    }
    #expect(try matrix(false) == [0, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(try matrix(true) == [0, 0, 0, 0, 0, 1, 0, 0, 0])
    #expect(try matrix(true, 0.25) == [0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func whatCannotBeIsRefused() {
    func of(classes: Int = 1, confidence: Double = 0, overlap: Double = 0, x: Double = 0) -> String? {
      refusal {
        let truth = DetectionTruth(picture: 0, classIndex: 0, x: x, y: 0, width: 1, height: 1)
        _ = try DetectionConfusion(
          truths: [truth], predictions: [], pictures: 1, classes: classes, confidence: confidence, overlap: overlap)
      }
    }
    #expect(of() == nil)
    #expect(of(classes: 5000) == "confusion matrix: has 5000 classes, more than the 4096 that are counted")
    #expect(of(confidence: .nan) == "confusion matrix: cannot be of scores above nan and overlaps above 0.0")
    #expect(of(overlap: 2) == "confusion matrix: cannot be of scores above 0.0 and overlaps above 2.0")
    #expect(of(overlap: .nan) != nil)
    #expect(of(classes: 0) != nil)
    #expect(of(x: .nan) != nil)
  }
}
