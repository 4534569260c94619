/// YOLOv5's precision and recall of one class over the confidence that is asked of predictions.
public struct ClassCurve: Sendable, Hashable {
  /// The number of the class.
  public let classIndex: Int
  /// How many truths it has.
  public let truthCount: Int
  /// What share of the predictions is right, at each of `DetectionCurves.confidences` and an overlap of 0.5.
  public let precision: [Double]
  /// What share of the truths is found, likewise.
  public let recall: [Double]
  /// The harmonic mean of both.
  public let f1: [Double]
  /// The precision that is reached with at least each of `DetectionCurves.confidences` as the recall, at an overlap of
  /// 0.5.
  public let precisionByRecall: [Double]
  /// AP at the overlaps 0.5, 0.55 … 0.95.
  public let averagePrecisions: [Double]

  /// AP at an overlap of 0.5.
  public var averagePrecision50: Double { averagePrecisions[0] }
  /// The mean of all ten.
  public var averagePrecision: Double { PairwiseSum.mean(averagePrecisions) ?? 0 }

  static let epsilon = 1e-16

  /// How many predictions are right and wrong at a place of the curve, as the original recovers it from the curves.
  /// - Parameter place: in `DetectionCurves.confidences`; those outside count as its ends.
  public func counts(at place: Int) -> (right: Double, wrong: Double) {
    let place = min(max(place, 0), precision.count - 1)
    let right = (recall[place] * Double(truthCount)).rounded(.toNearestOrEven)
    return (right, (right / (precision[place] + Self.epsilon) - right).rounded(.toNearestOrEven))
  }

  /// From the class's predictions by falling score, each with a bit for each overlap at which it finds a truth.
  init(classIndex: Int, truthCount: Int, scores: [Double], finds: [UInt16], form: DetectionCurves.Form) {
    (self.classIndex, self.truthCount) = (classIndex, truthCount)
    let confidences = DetectionCurves.confidences
    guard !scores.isEmpty, truthCount > 0 else {
      (precision, recall, f1) = Self.nothing
      precisionByRecall = precision
      averagePrecisions = [Double](repeating: 0, count: TruthMatching.overlaps.count)
      return
    }
    func curve(_ overlap: Int) -> (recalls: [Double], precisions: [Double]) {
      var right = 0
      let counts = finds.map { found in
        right += Int(found >> UInt16(overlap) & 1)
        return Double(right)
      }
      return (
        counts.map { $0 / (Double(truthCount) + Self.epsilon) }, counts.enumerated().map { $1 / Double($0 + 1) }
      )
    }
    let (recalls, precisions) = curve(0)
    let places = scores.map { -$0 }
    let (recallOf, precisionOf) = (
      Interpolation(places: places, values: recalls), Interpolation(places: places, values: precisions)
    )
    let recall = confidences.map { recallOf(-$0, before: 0) }
    let precision = confidences.map { precisionOf(-$0, before: 1) }
    (self.recall, self.precision) = (recall, precision)
    f1 = zip(precision, recall).map { 2 * $0 * $1 / ($0 + $1 + Self.epsilon) }
    let envelopes = TruthMatching.overlaps.indices.map { overlap in
      let (recalls, precisions) = curve(overlap)
      return Self.envelope(recalls: recalls, precisions: precisions, form: form)
    }
    averagePrecisions = envelopes.map(Self.area)
    precisionByRecall = confidences.map { envelopes[0]($0, before: 1) }
  }

  private static var nothing: ([Double], [Double], [Double]) {
    let none = [Double](repeating: 0, count: DetectionCurves.confidences.count)
    return (none, none, none)
  }

  /// The highest precision with at least each recall.
  private static func envelope(
    recalls: [Double], precisions: [Double], form: DetectionCurves.Form
  ) -> Interpolation {
    let last = recalls.last ?? 0
    let ends: [Double] =
      switch form {
      case .yolov5: [1]
      case .yolov6, .yolov7: [last + 0.01]
      case .ultralytics: [last, 1]
      }
    var envelope = [1] + precisions + ends.map { _ in 0 }
    for index in envelope.indices.dropFirst().reversed() {
      envelope[index - 1] = max(envelope[index - 1], envelope[index])
    }
    return Interpolation(places: [0] + recalls + ends, values: envelope)
  }

  /// The area under an envelope, in a hundred trapezoids.
  private static func area(under envelope: Interpolation) -> Double {
    let places = COCOEvaluation.recalls
    let heights = places.map { envelope($0, before: 1) }
    let trapezoids: [Double] = (1..<places.count).map { index in
      let width = places[index] - places[index - 1]
      return width * (heights[index] + heights[index - 1]) / 2
    }
    return PairwiseSum.sum(trapezoids)
  }
}
