import ModelCore

/// What is to be found in one of the pictures of a data set, in pixels.
public struct DetectionTruth: Sendable, Hashable {
  /// The picture's number, from 0.
  public var picture: Int
  /// The number of its class, from 0.
  public var classIndex: Int
  /// Of the left side.
  public var x: Double
  /// Of the upper side.
  public var y: Double
  /// To the right.
  public var width: Double
  /// Downwards.
  public var height: Double
  /// The pixels that COCO takes for its size: of the outline where there is one, else of the box.
  public var area: Double
  /// Whether it is a crowd, in which any number may be found and none need be.
  public var isCrowd: Bool

  /// A box, as COCO writes it; its area is its sides' product unless given.
  public init(
    picture: Int, classIndex: Int, x: Double, y: Double, width: Double, height: Double, area: Double? = nil,
    isCrowd: Bool = false
  ) {
    (self.picture, self.classIndex, self.isCrowd) = (picture, classIndex, isCrowd)
    (self.x, self.y, self.width, self.height) = (x, y, width, height)
    self.area = area ?? width * height
  }
}

/// What a detector found in one of the pictures of a data set, in pixels.
public struct DetectionPrediction: Sendable, Hashable {
  /// The picture's number, from 0.
  public var picture: Int
  /// The number of its class, from 0.
  public var classIndex: Int
  /// Of the left side.
  public var x: Double
  /// Of the upper side.
  public var y: Double
  /// To the right.
  public var width: Double
  /// Downwards.
  public var height: Double
  /// How sure the detector is; mostly from 0 to 1, but only the order counts for COCO.
  public var score: Double

  /// A box with its score.
  public init(
    picture: Int, classIndex: Int, x: Double, y: Double, width: Double, height: Double, score: Double
  ) {
    (self.picture, self.classIndex, self.score) = (picture, classIndex, score)
    (self.x, self.y, self.width, self.height) = (x, y, width, height)
  }

  var area: Double { width * height }
}

extension DetectionTruth: DetectionRow {}
extension DetectionPrediction: DetectionRow {}

/// What truths and predictions have in common.
protocol DetectionRow: Sendable {
  var picture: Int { get }
  var classIndex: Int { get }
  var x: Double { get }
  var y: Double { get }
  var width: Double { get }
  var height: Double { get }
  var area: Double { get }
}

/// The rows of a data set side by side: each group's truths in the given order, its predictions by falling score and,
/// of equal scores, in the given order.
struct DetectionRows: Sendable {
  enum Grouping {
    case pictures
    /// By class; those of one class by picture.
    case classesAndPictures
  }

  /// Those of a picture, or of a class in it.
  struct Group: Sendable {
    let classIndex: Int
    let truths: Range<Int>
    let predictions: Range<Int>
  }

  /// More classes than any data set has; the results of COCO's evaluation then take a gigabyte.
  static let classLimit = 10_000
  /// In pixels. Products of such sides are exact enough for every comparison.
  static let sideLimit = 1e9

  let truths: [DetectionTruth]
  let predictions: [DetectionPrediction]
  private(set) var groups: [Group] = []

  /// Looks at every row and sorts them.
  /// - Throws: `ModelError` for pictures and classes that there are not, and for numbers that cannot be.
  init(
    truths: [DetectionTruth], predictions: [DetectionPrediction], pictures: Int, classes: Int, by grouping: Grouping
  ) throws {
    guard pictures >= 0, (1...Self.classLimit).contains(classes) else {
      throw ModelError(
        .invalid,
        "cannot be of \(pictures) pictures and \(classes) classes, of which there are 1 to \(Self.classLimit)",
        subject: "detections")
    }
    try Self.check(truths, named: "truth", pictures: pictures, classes: classes)
    try Self.check(predictions, named: "prediction", pictures: pictures, classes: classes)
    if let index = predictions.firstIndex(where: { !$0.score.isFinite }) {
      throw ModelError(
        .invalid, "has the score \(predictions[index].score), which is not finite", subject: "prediction \(index)")
    }

    func key(_ row: some DetectionRow) -> (Int, Int) {
      switch grouping {
      case .pictures: (0, row.picture)
      case .classesAndPictures: (row.classIndex, row.picture)
      }
    }
    self.truths = truths.indices
      .sorted { left, right in
        let keys = (key(truths[left]), key(truths[right]))
        return keys.0 == keys.1 ? left < right : keys.0 < keys.1
      }
      .map { truths[$0] }
    self.predictions = predictions.indices
      .sorted { left, right in
        let keys = (key(predictions[left]), key(predictions[right]))
        if keys.0 != keys.1 { return keys.0 < keys.1 }
        let scores = (predictions[left].score, predictions[right].score)
        return scores.0 == scores.1 ? left < right : scores.0 > scores.1
      }
      .map { predictions[$0] }

    var (truth, prediction) = (0, 0)
    while truth < self.truths.count || prediction < self.predictions.count {
      let first = [
        truth < self.truths.count ? key(self.truths[truth]) : nil,
        prediction < self.predictions.count ? key(self.predictions[prediction]) : nil,
      ]
      .compactMap { $0 }.min { $0 < $1 }
      guard let first else { break }
      let starts = (truth, prediction)
      while truth < self.truths.count, key(self.truths[truth]) == first { truth += 1 }
      while prediction < self.predictions.count, key(self.predictions[prediction]) == first { prediction += 1 }
      groups.append(
        Group(classIndex: first.0, truths: starts.0..<truth, predictions: starts.1..<prediction))
    }
  }

  private static func check(_ rows: [some DetectionRow], named name: String, pictures: Int, classes: Int) throws {
    for (index, row) in rows.enumerated() {
      func refused(_ reason: String) -> ModelError { ModelError(.invalid, reason, subject: "\(name) \(index)") }
      guard row.picture >= 0, row.picture < pictures else {
        throw refused("is of picture \(row.picture), but there are \(pictures), numbered from 0")
      }
      guard row.classIndex >= 0, row.classIndex < classes else {
        throw refused("is of class \(row.classIndex), but there are \(classes), numbered from 0")
      }
      guard abs(row.x) <= sideLimit, abs(row.y) <= sideLimit, (0...sideLimit).contains(row.width),
        (0...sideLimit).contains(row.height)
      else { throw refused("has the box \([row.x, row.y, row.width, row.height]), which is none in pixels") }
      guard row.area >= 0, row.area.isFinite else { throw refused("has the area \(row.area), which is none in pixels") }
    }
  }
}
