import ModelCore

/// YOLOv5's precision, recall, F1 and average precision, its `ap_per_class` behind the matching of its validation.
public struct DetectionCurves: Sendable, Hashable {
  /// Whose rules.
  public enum Form: String, Sendable, Hashable, CaseIterable {
    /// YOLOv5 7.0: precision falls to 0 at full recall, and the best confidence is that of the highest smoothed F1.
    case yolov5
    /// YOLOv6: precision falls to 0 a hundredth behind the last recall, and of confidences with the highest F1 the
    /// last is best.
    case yolov6
    /// YOLOv7: as YOLOv6, but of confidences with the highest F1 the first is best, overlaps are above their limits, and
    /// a truth that was found is found at no other overlap by another prediction.
    case yolov7
    /// Ultralytics 8.4: precision falls to 0 at the last recall, the best confidence is YOLOv5's, and a prediction
    /// whose best truth was found takes the best one that is left.
    case ultralytics
  }

  /// What a detector does at one confidence: the means over all classes that have truths.
  public struct Point: Sendable, Hashable {
    /// Its place in `confidences`.
    public let place: Int
    /// The least score of the predictions that count.
    public let confidence: Double
    /// What share of the predictions is right.
    public let precision: Double
    /// What share of the truths is found.
    public let recall: Double
    /// The mean of the classes' F1.
    public let f1: Double
  }

  /// 0, 1/999 … 1.
  public static let confidences: [Double] = COCOEvaluation.spaced(1000, from: 0, to: 1)

  /// Of the classes that have truths, by number.
  public let classes: [ClassCurve]
  /// Where the mean F1 is best.
  public let best: Point

  /// mAP50: the classes' mean at an overlap of 0.5; 0 without truths.
  public var meanAveragePrecision50: Double { PairwiseSum.mean(classes.map(\.averagePrecision50)) ?? 0 }
  /// mAP50-95: the classes' mean over all overlaps; 0 without truths.
  public var meanAveragePrecision: Double { PairwiseSum.mean(classes.map(\.averagePrecision)) ?? 0 }

  /// Compares what was found with what is there. Boxes overlap in float32, as the original's do; crowds and areas play
  /// no part. The result is the same for every number of threads.
  /// - Parameters:
  ///   - truths: of a picture that a prediction overlaps alike, the last is chosen.
  ///   - predictions: those of equal scores count by picture, and those of one picture in this order.
  ///   - pictures: how many there are, with those that are empty.
  ///   - classes: how many there are, 1 to 10000.
  ///   - form: whose rules.
  /// - Throws: `ModelError` for pictures and classes that there are not, for boxes and scores that are not finite, for
  ///   negative sides, and for boxes a thousand million pixels away.
  public init(
    truths: [DetectionTruth], predictions: [DetectionPrediction], pictures: Int, classes: Int, form: Form = .yolov5
  ) throws {
    let rows = try DetectionRows(
      truths: truths, predictions: predictions, pictures: pictures, classes: classes, by: .pictures)
    var pictures = rows.groups.map { (group: $0, finds: [UInt16]()) }
    try Parallel.update(&pictures) { picture in
      picture.finds = TruthMatching.finds(
        rows.predictions[picture.group.predictions], rows.truths[picture.group.truths], form)
    }
    let finds = pictures.flatMap(\.finds)

    var all = (0..<classes).map { ClassRows(classIndex: $0) }
    for truth in rows.truths { all[truth.classIndex].truthCount += 1 }
    for (index, prediction) in rows.predictions.enumerated() { all[prediction.classIndex].predictions.append(index) }
    all.removeAll { $0.truthCount == 0 }
    try Parallel.update(&all) { item in
      let order = item.predictions.sorted { left, right in
        let scores = (rows.predictions[left].score, rows.predictions[right].score)
        return scores.0 == scores.1 ? left < right : scores.0 > scores.1
      }
      item.curve = ClassCurve(
        classIndex: item.classIndex, truthCount: item.truthCount, scores: order.map { rows.predictions[$0].score },
        finds: order.map { finds[$0] }, form: form)
    }
    let curves = all.compactMap(\.curve)
    (self.classes, best) = (curves, Self.best(of: curves, form))
  }

  /// The means at a confidence.
  /// - Parameter place: in `confidences`; those outside count as its ends.
  public func point(at place: Int) -> Point { Self.point(of: classes, at: place) }

  private struct ClassRows: Sendable {
    let classIndex: Int
    var truthCount = 0
    var predictions: [Int] = []
    var curve: ClassCurve?
  }

  private static func point(of classes: [ClassCurve], at place: Int) -> Point {
    let place = min(max(place, 0), confidences.count - 1)
    func mean(_ curve: (ClassCurve) -> [Double]) -> Double { PairwiseSum.mean(classes.map { curve($0)[place] }) ?? 0 }
    return Point(
      place: place, confidence: confidences[place], precision: mean(\.precision), recall: mean(\.recall),
      f1: mean(\.f1))
  }

  private static func best(of classes: [ClassCurve], _ form: Form) -> Point {
    var means = confidences.indices.map { place in classes.reduce(0) { $0 + $1.f1[place] } }
    means = means.map { $0 / Double(max(classes.count, 1)) }
    var best = 0
    switch form {
    case .yolov5, .ultralytics:
      means = smoothed(means, reach: means.count / 20)
      for place in means.indices where means[place] > means[best] { best = place }
    case .yolov6:
      for place in means.indices where means[place] >= means[best] { best = place }
    case .yolov7:
      for place in means.indices where means[place] > means[best] { best = place }
    }
    return point(of: classes, at: best)
  }

  /// The mean of each value and as many on both sides; the ends go on as they are.
  private static func smoothed(_ values: [Double], reach: Int) -> [Double] {
    guard let first = values.first, let last = values.last else { return [] }
    let padded = [Double](repeating: first, count: reach) + values + [Double](repeating: last, count: reach)
    let weight = 1 / Double(2 * reach + 1)
    return values.indices.map { start in
      padded[start...start + 2 * reach].reduce(0) { $0 + $1 * weight }
    }
  }
}
