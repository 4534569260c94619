import ModelCore
import ModelImages

/// Candidates among a head's predictions, and which of them are kept.
struct PredictionReader {
  let head: DetectionHead
  let options: Detector.Options
  /// Middle, size, score and class of each candidate and what else is predicted of it; boxes of a head that chooses by
  /// itself are corners.
  private var rows: [Float] = []
  /// Whether the head has chosen by itself, so that nothing is left to suppress.
  private var isChosen = false
  private var width: Int { 6 + head.extra.count }

  /// One thing that was found, in the pixels of the model's input.
  struct Found {
    var box: Box
    var rotated: RotatedBox?
    let score: Float
    let classIndex: Int
    let extra: [Float]
  }

  init(head: DetectionHead, options: Detector.Options) { (self.head, self.options) = (head, options) }

  // MARK: Reading

  /// Takes the candidates of a head's output, of one picture.
  /// - Parameters:
  ///   - positions: which of its positions; all where it is nil.
  ///   - view: the view of the picture that it belongs to.
  /// - Throws: `ModelError` where the output has another form.
  mutating func read(_ predictions: Tensor, positions: Range<Int>? = nil, of view: AugmentView? = nil) throws {
    let shape = predictions.shape
    guard predictions.dtype == .float32, shape.count == 3, shape[0] == 1 else {
      throw ModelError(
        .mismatch, "a head \(head.className) gives float32 of three axes, not \(predictions.dtype.rawValue) \(shape)")
    }
    let (classes, extra) = (head.classes, head.extra.count)
    isChosen = !head.hasConfidence && shape[2] == 6 + extra
    let expected = isChosen ? 6 + extra : (head.hasConfidence ? 5 : 4) + classes + extra
    let isRows = head.hasConfidence || isChosen
    guard shape[isRows ? 2 : 1] == expected else {
      throw ModelError(
        .mismatch, "a head \(head.className) of \(classes) classes gives \(expected) numbers a position, not \(shape)")
    }
    let count = shape[isRows ? 1 : 2]
    let positions = (positions ?? 0..<count).clamped(to: 0..<count)
    try predictions.withElements(of: Float.self) { values in
      let steps = isRows ? (position: expected, value: 1) : (position: 1, value: count)
      for position in positions {
        let start = values.startIndex + position * steps.position
        take(classes, extra, view) { values[start + $0 * steps.value] }
      }
    }
  }

  /// Adds one position's candidate where it is sure enough.
  private mutating func take(_ classes: Int, _ extra: Int, _ view: AugmentView?, _ value: (Int) -> Float) {
    let threshold = Float(options.confidence)
    let first = head.hasConfidence ? 5 : isChosen ? 6 : 4
    var (score, best): (Float, Int)
    if isChosen {
      guard value(5) >= 0, value(5) < Float(classes) else { return }
      (score, best) = (value(4), Int(value(5)))
    } else {
      let factor = head.hasConfidence ? value(4) : 1
      guard factor > threshold else { return }
      (score, best) = (-.infinity, 0)
      // YOLOv7 trains no scores of the class where there is one.
      let isAlone = head.family == .yolov7 && classes == 1
      for index in 0..<classes {
        let here = isAlone ? factor : value(first + index) * factor
        if here > score { (score, best) = (here, index) }
      }
    }
    guard score > threshold, options.classes?.contains(best) ?? true else { return }
    var box = (0..<4).map { value($0) }
    if let view {
      for index in box.indices { box[index] /= Float(view.scale) }
      if view.isFlipped { box[0] = Float(view.originalSize[1]) - box[0] }
    }
    // YOLOv5 multiplies the coefficients of masks with the confidence, too.
    let confidence = head.hasConfidence ? value(4) : 1
    let others = (0..<extra).map { value((isChosen ? 6 : first + classes) + $0) * confidence }
    // What is no number has no place.
    guard (box + others).allSatisfy({ $0.isFinite }) else { return }
    rows += box + [score, Float(best)] + others
  }

  // MARK: Choosing

  /// No more are compared with one another.
  private static let candidateLimit = 30000

  /// What is kept, the surest first.
  func chosen() -> [Found] {
    let count = rows.count / width
    let limit = options.limit ?? head.limit
    if isChosen {
      return (0..<min(count, limit)).map { found(at: $0, isCorners: head.extra != .angle && head.family != .rtdetr) }
    }
    var order = (0..<count).map { rows[$0 * width + 4] }.descendingOrder
    if order.count > Self.candidateLimit { order.removeLast(order.count - Self.candidateLimit) }
    let candidates = order.map { found(at: $0, isCorners: false) }
    let (scores, classes) = (candidates.map(\.score), candidates.map(\.classIndex))
    let kept: [Int]
    if head.extra == .angle {
      // In the arithmetic of boxes that are put apart by class.
      let boxes = candidates.compactMap { found in
        found.rotated.map { box in
          let offset = Float(found.classIndex) * head.classOffset
          return RotatedBox(
            x: box.x + offset, y: box.y + offset, width: box.width, height: box.height, angle: box.angle)
        }
      }
      kept = nonMaximumSuppression(
        rotated: boxes, scores: scores, classes: classes, threshold: options.overlap, limit: limit)
    } else {
      let boxes = candidates.map { found in
        let (box, offset) = (found.box, Float(found.classIndex) * head.classOffset)
        return Box(box.x1 + offset, box.y1 + offset, box.x2 + offset, box.y2 + offset)
      }
      kept = nonMaximumSuppression(boxes, scores: scores, threshold: options.overlap, limit: limit)
    }
    return kept.map { candidates[$0] }
  }

  private func found(at place: Int, isCorners: Bool) -> Found {
    let row = rows[place * width..<(place + 1) * width]
    let (a, b, c, d) = (row[row.startIndex], row[row.startIndex + 1], row[row.startIndex + 2], row[row.startIndex + 3])
    let extra = Array(row.dropFirst(6))
    return Found(
      box: isCorners ? Box(a, b, c, d) : Box(a - c / 2, b - d / 2, a + c / 2, b + d / 2),
      rotated: head.extra == .angle ? RotatedBox(x: a, y: b, width: c, height: d, angle: extra[0]) : nil,
      score: row[row.startIndex + 4], classIndex: Int(row[row.startIndex + 5]), extra: extra)
  }
}
