import ModelCore

/// COCO's average precision and recall of boxes: pycocotools' `COCOeval` with `iouType="bbox"`, equal to the last bit.
public struct COCOEvaluation: Sendable, Hashable {
  /// How large the truths are that count, in pixels.
  public enum Area: Int, Sendable, Hashable, CaseIterable {
    /// Every size.
    case all
    /// Up to 32².
    case small
    /// From 32² to 96².
    case medium
    /// From 96².
    case large

    /// Both bounds belong to it.
    public var range: ClosedRange<Double> {
      switch self {
      case .all: 0...1e10
      case .small: 0...1024
      case .medium: 1024...9216
      case .large: 9216...1e10
      }
    }
  }

  /// The twelve figures that pycocotools' `summarize` prints; -1 where there is no truth to find.
  public struct Figures: Sendable, Hashable {
    /// AP, the mean over all overlaps, recalls and classes that have truths.
    public let averagePrecision: Double
    /// AP at an overlap of 0.5.
    public let averagePrecision50: Double
    /// AP at an overlap of 0.75.
    public let averagePrecision75: Double
    /// AP of small truths.
    public let averagePrecisionSmall: Double
    /// AP of medium truths.
    public let averagePrecisionMedium: Double
    /// AP of large truths.
    public let averagePrecisionLarge: Double
    /// AR with one prediction for a picture and class, the mean over all overlaps and classes that have truths.
    public let averageRecall1: Double
    /// AR with ten predictions.
    public let averageRecall10: Double
    /// AR with a hundred predictions.
    public let averageRecall100: Double
    /// AR of small truths.
    public let averageRecallSmall: Double
    /// AR of medium truths.
    public let averageRecallMedium: Double
    /// AR of large truths.
    public let averageRecallLarge: Double

    /// Short names in the original's order.
    public static let names = [
      "ap", "ap50", "ap75", "apSmall", "apMedium", "apLarge", "ar1", "ar10", "ar100", "arSmall", "arMedium", "arLarge",
    ]

    /// In the original's order, its `stats`.
    public var values: [Double] {
      [
        averagePrecision, averagePrecision50, averagePrecision75, averagePrecisionSmall, averagePrecisionMedium,
        averagePrecisionLarge, averageRecall1, averageRecall10, averageRecall100, averageRecallSmall,
        averageRecallMedium, averageRecallLarge,
      ]
    }
  }

  /// The intersections over unions from which a prediction finds a truth: 0.5, 0.55 … 0.95.
  public static let overlaps: [Double] = spaced(10, from: 0.5, to: 0.95)
  /// The recalls at which precisions are taken: 0, 0.01 … 1.
  public static let recalls: [Double] = spaced(101, from: 0, to: 1)
  /// How many predictions count in a picture and class, those of the highest scores.
  public static let countLimits = [1, 10, 100]

  /// How many classes there are.
  public let classCount: Int
  /// [overlap, recall, class, area, count limit], the last running fastest; -1 where a class has no truth of the area.
  public let precision: [Double]
  /// [overlap, class, area, count limit], the last running fastest; -1 where a class has no truth of the area.
  public let recall: [Double]
  /// The means of both.
  public let figures: Figures

  /// Compares what was found with what is there. Pictures and classes are evaluated side by side; the result is the
  /// same for every number of threads.
  /// - Parameters:
  ///   - truths: of one picture and class, the order decides between equal overlaps as in the original.
  ///   - predictions: of equal scores, those of lower pictures come first, and those of one picture in this order.
  ///   - pictures: how many there are, with those that are empty.
  ///   - classes: how many there are, 1 to 10000. Each takes 0.1 MB of the results.
  /// - Throws: `ModelError` for pictures and classes that there are not, for boxes, areas and scores that are not
  ///   finite, for negative sides and areas, and for boxes a thousand million pixels away.
  public init(
    truths: [DetectionTruth], predictions: [DetectionPrediction], pictures: Int, classes: Int
  ) throws {
    let rows = try DetectionRows(
      truths: truths, predictions: predictions, pictures: pictures, classes: classes, by: .classesAndPictures)
    var matchings = Self.divided(rows.groups)
    try Parallel.update(&matchings) { $0.run(rows) }

    let classesOfMatchings = matchings.map { rows.groups[$0.groups.lowerBound].classIndex }
    var spans: [(classIndex: Int, matchings: Range<Int>)] = []
    for (index, classIndex) in classesOfMatchings.enumerated() {
      if let last = spans.last, last.classIndex == classIndex {
        spans[spans.count - 1].matchings = last.matchings.lowerBound..<index + 1
      } else {
        spans.append((classIndex, index..<index + 1))
      }
    }

    let (areas, limits) = (Area.allCases.count, Self.countLimits.count)
    var precision = [Double](
      repeating: -1, count: Self.overlaps.count * Self.recalls.count * classes * areas * limits)
    var recall = [Double](repeating: -1, count: Self.overlaps.count * classes * areas * limits)
    precision.withUnsafeMutableBufferPointer { precision in
      recall.withUnsafeMutableBufferPointer { recall in
        // Every class writes to places of its own.
        nonisolated(unsafe) let (precision, recall) = (precision, recall)
        let (matchings, spans) = (matchings, spans)
        Parallel.forEach(spans.count) { index in
          let (classIndex, span) = spans[index]
          COCOCurves(matchings[span]).visit { curve in
            let last = (classIndex * areas + curve.area) * limits + curve.limit
            recall[curve.overlap * classes * areas * limits + last] = curve.recall
            for (place, value) in curve.precisions.enumerated() {
              let row = curve.overlap * Self.recalls.count + place
              precision[row * classes * areas * limits + last] = value
            }
          }
        }
      }
    }
    (self.classCount, self.precision, self.recall) = (classes, precision, recall)
    figures = Self.figures(precision: precision, recall: recall)
  }

  /// The mean precision of one class over all recalls, of all areas and with a hundred predictions; -1 where the class
  /// has no truth.
  /// - Parameter overlap: the place of one of `overlaps`; nil for the mean over all.
  /// - Throws: `ModelError` for a class or an overlap that there is not.
  public func averagePrecision(ofClass classIndex: Int, overlap: Int? = nil) throws -> Double {
    guard classIndex >= 0, classIndex < classCount else {
      throw ModelError(
        .invalid, "was not evaluated: there are \(classCount), numbered from 0", subject: "class \(classIndex)")
    }
    let start = classIndex * Area.allCases.count * Self.countLimits.count + Self.countLimits.count - 1
    let step = classCount * Area.allCases.count * Self.countLimits.count
    guard let overlap else {
      return Self.mean(stride(from: start, to: precision.count, by: step).map { precision[$0] })
    }
    guard Self.overlaps.indices.contains(overlap) else {
      throw ModelError(
        .invalid, "was not evaluated: there are \(Self.overlaps.count), numbered from 0", subject: "overlap \(overlap)")
    }
    let first = start + overlap * Self.recalls.count * step
    return Self.mean(Self.recalls.indices.map { precision[first + $0 * step] })
  }

  /// NumPy's `linspace`.
  static func spaced(_ count: Int, from first: Double, to last: Double) -> [Double] {
    let step = (last - first) / Double(count - 1)
    return (0..<count - 1).map { Double($0) * step + first } + [last]
  }

  /// Divides groups of one class each into similar amounts of work.
  private static func divided(_ groups: [DetectionRows.Group]) -> [COCOMatching] {
    var divided: [COCOMatching] = []
    var start = 0
    for index in groups.indices {
      let isLast = index + 1 == groups.count || groups[index + 1].classIndex != groups[index].classIndex
      if isLast || index - start >= 255 {
        divided.append(COCOMatching(groups: start..<index + 1))
        start = index + 1
      }
    }
    return divided
  }

  private static func figures(precision: [Double], recall: [Double]) -> Figures {
    let block = Area.allCases.count * countLimits.count
    func mean(_ values: ArraySlice<Double>, _ area: Area, limit: Int = 2) -> Double {
      let first = values.startIndex + area.rawValue * countLimits.count + limit
      return Self.mean(stride(from: first, to: values.endIndex, by: block).map { values[$0] })
    }
    let overlap = precision.count / overlaps.count
    return Figures(
      averagePrecision: mean(precision[...], .all),
      averagePrecision50: mean(precision[..<overlap], .all),
      averagePrecision75: mean(precision[5 * overlap..<6 * overlap], .all),
      averagePrecisionSmall: mean(precision[...], .small),
      averagePrecisionMedium: mean(precision[...], .medium),
      averagePrecisionLarge: mean(precision[...], .large),
      averageRecall1: mean(recall[...], .all, limit: 0),
      averageRecall10: mean(recall[...], .all, limit: 1),
      averageRecall100: mean(recall[...], .all),
      averageRecallSmall: mean(recall[...], .small),
      averageRecallMedium: mean(recall[...], .medium),
      averageRecallLarge: mean(recall[...], .large))
  }

  /// The mean of the values that there are.
  private static func mean(_ values: [Double]) -> Double { PairwiseSum.mean(values.filter { $0 > -1 }) ?? -1 }
}
