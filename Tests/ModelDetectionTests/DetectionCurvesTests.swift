import Foundation
import ModelCore
import ModelDetection
import TestSupport
import Testing

@Suite struct DetectionCurvesTests {
  @Test func areYOLOv5s() throws {
    let cases = try golden("metrics.json")["curves"] as? [[String: Any]] ?? []
    #expect(cases.count == 6)
    for item in cases {
      let parameters = try #require(item["case"] as? [Any])
      let (pictures, classes) = (parameters[1] as? Int ?? 0, parameters[2] as? Int ?? 0)
      let set = DrawnSet(parameters)
      let found = try DetectionCurves(
        truths: set.truths, predictions: set.predictions, pictures: pictures, classes: classes)
      expectClose(found.classes.flatMap(\.averagePrecisions), item["ap"], "\(parameters)")
      expectClose([found.meanAveragePrecision50, found.meanAveragePrecision], item["map"], "\(parameters)")
      let sampled = [\ClassCurve.precision, \.recall, \.f1].flatMap { curve in
        found.classes.flatMap { item in stride(from: 0, to: 1000, by: 27).map { item[keyPath: curve][$0] } }
      }
      expectClose(sampled, item["curves"], "\(parameters)")
      let best = item["best"] as? [Int] ?? []
      #expect(best.contains(found.best.place), "\(best) \(found.best)")
      expectClose([found.best.precision, found.best.recall, found.best.f1], item["point"], "\(parameters)")
      let counts = found.classes.map { $0.counts(at: found.best.place) }
      #expect(counts.map(\.right) == exact(item["right"]))
      #expect(counts.map(\.wrong) == exact(item["wrong"]))
      #expect(found.point(at: found.best.place) == found.best)
    }
  }

  @Test func areYOLOv6s() throws {
    for item in try #require(golden("metrics.json")["curves"] as? [[String: Any]]) {
      let parameters = try #require(item["case"] as? [Any])
      let set = DrawnSet(parameters)
      let found = try DetectionCurves(
        truths: set.truths, predictions: set.predictions, pictures: parameters[1] as? Int ?? 0,
        classes: parameters[2] as? Int ?? 0, form: .yolov6)
      expectClose(found.classes.flatMap(\.averagePrecisions), item["ap6"], "\(parameters)")
      #expect(found.best.place == item["best6"] as? Int)
      expectClose([found.best.precision, found.best.recall], item["point6"], "\(parameters)")
    }
  }

  @Test func areUltralytics() throws {
    for item in try #require(golden("metrics.json")["curves"] as? [[String: Any]]) {
      let parameters = try #require(item["case"] as? [Any])
      let set = DrawnSet(parameters)
      let found = try DetectionCurves(
        truths: set.truths, predictions: set.predictions, pictures: parameters[1] as? Int ?? 0,
        classes: parameters[2] as? Int ?? 0, form: .ultralytics)
      expectClose(found.classes.flatMap(\.averagePrecisions), item["ap8"], "\(parameters)")
      #expect((item["best8"] as? [Int])?.contains(found.best.place) == true)
      expectClose([found.best.precision, found.best.recall, found.best.f1], item["point8"], "\(parameters)")
      let sampled = found.classes.flatMap { item in
        stride(from: 0, to: 1000, by: 27).map { item.precisionByRecall[$0] }
      }
      expectClose(sampled, item["by_recall8"], "\(parameters)")
    }
  }

  /// By hand: two truths, found by the first and third of three predictions; the third overlaps its truth by 0.8.
  @Test func formsDifferAtTheEnds() throws {
    let truths = [0.0, 20].map { DetectionTruth(picture: 0, classIndex: 0, x: $0, y: 0, width: 10, height: 10) }
    let predictions = [(0.0, 10.0, 0.9), (50, 10, 0.8), (20, 8, 0.7)].map { x, width, score in
      DetectionPrediction(picture: 0, classIndex: 0, x: x, y: 0, width: width, height: 10, score: score)
    }
    func averages(_ form: DetectionCurves.Form) throws -> [Double] {
      try DetectionCurves(truths: truths, predictions: predictions, pictures: 1, classes: 1, form: form)
        .classes[0].averagePrecisions
    }
    // Precision is 1 up to a recall of a half, there and behind it 2/3, and at full recall 0 but in YOLOv6 and v7.
    let full = 0.49 + 0.01 * 5 / 6 + 0.49 * 2 / 3
    let (ends, goesOn) = (full + 0.01 / 3, full + 0.01 * 2 / 3)
    for (form, expected) in [
      (DetectionCurves.Form.yolov5, ends), (.yolov6, goesOn), (.yolov7, goesOn), (.ultralytics, ends),
    ] {
      let found = try averages(form)
      #expect(abs(found[0] - expected) < 1e-12, "\(form) \(found)")
      #expect(found[5] == found[0] && found[7] < found[0])
    }
  }

  /// A second prediction of one truth: YOLOv5 gives it the overlaps that the first does not reach, Ultralytics the other
  /// truth, and YOLOv7 nothing.
  @Test func formsDifferInWhatIsTaken() throws {
    let truths = [0.0, 4].map { DetectionTruth(picture: 0, classIndex: 0, x: $0, y: 0, width: 10, height: 10) }
    let predictions = [(1.0, 0.9), (0, 0.8)].map { x, score in
      DetectionPrediction(picture: 0, classIndex: 0, x: x, y: 0, width: 10, height: 10, score: score)
    }
    func recalls(_ form: DetectionCurves.Form) throws -> [Double] {
      let curves = try DetectionCurves(
        truths: truths, predictions: predictions, pictures: 1, classes: 1, form: form)
      return [curves.classes[0].recall[0], curves.classes[0].averagePrecisions[9] > 0 ? 1 : 0]
    }
    #expect(try recalls(.yolov5) == [0.5, 1])
    #expect(try recalls(.yolov7) == [0.5, 0])
    // The first takes the left truth at 0.5, so that nothing within reach is left for the second.
    #expect(try recalls(.ultralytics) == [0.5, 1])
    let third = DetectionPrediction(picture: 0, classIndex: 0, x: 1.5, y: 0, width: 10, height: 10, score: 0.7)
    let curves = try DetectionCurves(
      truths: truths, predictions: predictions + [third], pictures: 1, classes: 1, form: .ultralytics)
    #expect(curves.classes[0].recall[0] == 1)
  }

  @Test func areTheSameForEveryNumberOfThreads() throws {
    let set = DrawnSet(seed: 17, pictures: 100, classes: 5, grid: true, ties: true, extra: 1000, crowded: true)
    func curves(_ threads: Int) throws -> DetectionCurves {
      try Parallel.$threadCount.withValue(threads) {
        try DetectionCurves(truths: set.truths, predictions: set.predictions, pictures: 100, classes: 5)
      }
    }
    let alone = try curves(1)
    for threads in [2, 7] { #expect(try curves(threads) == alone) }
  }

  @Test func nothingIsZero() throws {
    let truth = DetectionTruth(picture: 0, classIndex: 1, x: 1, y: 1, width: 9, height: 9)
    let prediction = DetectionPrediction(picture: 1, classIndex: 0, x: 1, y: 1, width: 9, height: 9, score: 2)
    for (truths, predictions) in [([], []), ([truth], []), ([], [prediction]), ([truth], [prediction])] {
      let found = try DetectionCurves(truths: truths, predictions: predictions, pictures: 2, classes: 2)
      #expect(found.meanAveragePrecision50 == 0)
      #expect(found.meanAveragePrecision == 0)
      #expect(found.best.place == 0)
      #expect(found.best.f1 == 0)
      #expect(found.classes.map(\.classIndex) == truths.map(\.classIndex))
    }
    let found = try DetectionCurves(truths: [truth], predictions: [], pictures: 1, classes: 2)
    #expect(found.point(at: .max).confidence == 1)
    #expect(found.point(at: .min).place == 0)
    #expect(found.classes[0].counts(at: .max) == (0, 0))
  }

  @Test func whatCannotBeIsRefused() {
    func of(picture: Int = 0, width: Double = 1, score: Double = 0, classes: Int = 1) -> String? {
      refusal {
        let prediction = DetectionPrediction(
          picture: picture, classIndex: 0, x: 0, y: 0, width: width, height: 1, score: score)
        _ = try DetectionCurves(truths: [], predictions: [prediction], pictures: 1, classes: classes)
      }
    }
    #expect(of() == nil)
    #expect(of(picture: 7) == "prediction 0: is of picture 7, but there are 1, numbered from 0")
    #expect(of(width: -1) == "prediction 0: has the box [0.0, 0.0, -1.0, 1.0], which is none in pixels")
    #expect(of(score: .infinity) == "prediction 0: has the score inf, which is not finite")
    #expect(
      of(classes: 0) == "detections: cannot be of 1 pictures and 0 classes, of which there are 1 to 10000")
  }

  private func expectClose(
    _ found: [Double], _ expected: Any?, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let expected = exact(expected)
    #expect(found.count == expected.count, comment, sourceLocation: sourceLocation)
    let farthest = zip(found, expected).map { abs($0 - $1) }.max() ?? 0
    #expect(farthest <= 1e-14, comment, sourceLocation: sourceLocation)
  }
}
