import ModelCore

/// What truths of each class are taken for: YOLOv5's `ConfusionMatrix`, or Ultralytics'.
public struct DetectionConfusion: Sendable, Hashable {
  /// How many classes there are. The last row and column, of this number, are the background's.
  public let classCount: Int
  /// [class found, class that is there], the last running fastest. In the background's row stand truths that were not
  /// found, in its column predictions of what is not there.
  public private(set) var counts: [Int]

  /// The most classes; of more nobody reads a matrix.
  public static let classLimit = 4096

  /// Compares what was found with what is there, of whatever class. Each prediction chooses the truth it overlaps
  /// most, and of several that choose one truth, the one that overlaps it most finds it.
  ///
  /// The original leaves out the false predictions of pictures in which nothing was found; `countsEmptyPictures`
  /// counts them too. Ultralytics counts them, and there predictions choose one after the other, by falling score, among
  /// the truths that are left.
  /// - Parameters:
  ///   - truths: crowds and areas play no part.
  ///   - predictions: what was found.
  ///   - pictures: how many there are.
  ///   - classes: how many there are, 1 to 4096.
  ///   - confidence: only predictions of a higher score count.
  ///   - overlap: only overlaps above it, in float32.
  ///   - countsEmptyPictures: whether predictions count where no truth was found.
  ///   - form: whose rules; those before Ultralytics are the same.
  /// - Throws: `ModelError` for more classes, for pictures and classes that there are not, for boxes and scores that
  ///   are not finite, for negative sides, for boxes a thousand million pixels away, and for limits that are no
  ///   numbers.
  public init(
    truths: [DetectionTruth], predictions: [DetectionPrediction], pictures: Int, classes: Int,
    confidence: Double = 0.25, overlap: Double = 0.45, countsEmptyPictures: Bool = false,
    form: DetectionCurves.Form = .yolov5
  ) throws {
    guard classes <= Self.classLimit else {
      throw ModelError(
        .limit, "has \(classes) classes, more than the \(Self.classLimit) that are counted", subject: "confusion matrix"
      )
    }
    guard confidence.isFinite, (0...1).contains(overlap) else {
      throw ModelError(
        .invalid, "cannot be of scores above \(confidence) and overlaps above \(overlap)", subject: "confusion matrix")
    }
    let rows = try DetectionRows(
      truths: truths, predictions: predictions, pictures: pictures, classes: classes, by: .pictures)
    (classCount, counts) = (classes, [Int](repeating: 0, count: (classes + 1) * (classes + 1)))
    for group in rows.groups {
      let predictions = rows.predictions[group.predictions].filter { Float($0.score) > Float(confidence) }
      let truths = rows.truths[group.truths]
      let finders =
        form == .ultralytics
        ? Self.findersOfLeft(predictions, truths, overlap: Float(overlap))
        : Self.finders(predictions, truths, overlap: Float(overlap))
      for (truth, finder) in zip(truths, finders) {
        count(found: finder.map { predictions[$0].classIndex } ?? classes, there: truth.classIndex)
      }
      let right = Set(finders.compactMap { $0 })
      guard countsEmptyPictures || form == .ultralytics || !right.isEmpty else { continue }
      for (index, prediction) in predictions.enumerated() where !right.contains(index) {
        count(found: prediction.classIndex, there: classes)
      }
    }
  }

  /// How often a class is taken for another; `classCount` is the background.
  /// - Throws: `ModelError` for a class that there is not.
  public subscript(found found: Int, there there: Int) -> Int {
    get throws {
      for classIndex in [found, there] where classIndex < 0 || classIndex > classCount {
        throw ModelError(
          .invalid, "was not counted: there are \(classCount), numbered from 0, and the background",
          subject: "class \(classIndex)")
      }
      return counts[found * (classCount + 1) + there]
    }
  }

  private mutating func count(found: Int, there: Int) { counts[found * (classCount + 1) + there] += 1 }

  /// The prediction that finds each truth.
  private static func finders(
    _ predictions: [DetectionPrediction], _ truths: ArraySlice<DetectionTruth>, overlap: Float
  ) -> [Int?] {
    let there = truths.map { TruthMatching.SingleBox($0) }
    var finders = [(prediction: Int, overlap: Float)?](repeating: nil, count: there.count)
    for (index, prediction) in predictions.enumerated() {
      guard let chosen = TruthMatching.choice(prediction, there, from: overlap.nextUp, { _ in true }) else { continue }
      if chosen.overlap >= finders[chosen.truth]?.overlap ?? 0 { finders[chosen.truth] = (index, chosen.overlap) }
    }
    return finders.map { $0?.prediction }
  }

  /// The same where predictions choose one after the other among the truths that are left.
  private static func findersOfLeft(
    _ predictions: [DetectionPrediction], _ truths: ArraySlice<DetectionTruth>, overlap: Float
  ) -> [Int?] {
    let there = truths.map { TruthMatching.SingleBox($0) }
    var finders = [Int?](repeating: nil, count: there.count)
    for (index, prediction) in predictions.enumerated() {
      let box = TruthMatching.SingleBox(prediction)
      var best: (truth: Int, overlap: Float)?
      for (truth, other) in there.enumerated() where finders[truth] == nil {
        let shared = other.overlap(box)
        if shared > best?.overlap ?? overlap { best = (truth, shared) }
      }
      if let best { finders[best.truth] = index }
    }
    return finders
  }
}
