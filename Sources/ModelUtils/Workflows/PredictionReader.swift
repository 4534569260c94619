import ModelCore
import ModelImages

/// Candidates among a head's predictions, and which of them are kept.
struct PredictionReader {
  /// Which classes of a position are candidates.
  enum Labels: Sendable {
    /// The best one, as when things are looked for.
    case best
    /// All that are sure enough, as when a model is judged.
    case all
  }

  let head: DetectionHead
  let options: Detector.Options
  let labels: Labels
  private let threshold: Float
  /// A score, inverted, and below it the position and class: in their order the surest comes first, and of equal ones
  /// the first.
  private var candidates: [UInt64] = []
  /// Where in `rows` what is predicted of a position stands; -1 where it has no candidate, -2 where it has no place.
  private var rowOfPosition: [Int32] = []
  /// Middle, size and what else is predicted, of the positions that have candidates; boxes of a head that chooses by
  /// itself are corners.
  private var rows: [Float] = []
  /// Whether the head has chosen by itself, so that nothing is left to suppress.
  private var isChosen = false
  private var width: Int { 4 + head.extra.count }

  /// One thing that was found, in the pixels of the model's input.
  struct Found {
    var box: Box
    var rotated: RotatedBox?
    let score: Float
    let classIndex: Int
    let extra: [Float]
  }

  init(head: DetectionHead, options: Detector.Options, labels: Labels = .best) {
    (self.head, self.options, self.labels) = (head, options, head.classes > 1 ? labels : .best)
    threshold = Float(options.confidence)
  }

  // MARK: Reading

  /// Takes the candidates of a head's output.
  /// - Parameters:
  ///   - picture: of which picture of the batch.
  ///   - positions: which of its positions; all where it is nil.
  ///   - view: the view of the picture that it belongs to.
  /// - Throws: `ModelError` where the output has another form.
  mutating func read(
    _ predictions: Tensor, picture: Int = 0, positions: Range<Int>? = nil, of view: AugmentView? = nil
  ) throws {
    let shape = predictions.shape
    guard predictions.dtype == .float32, shape.count == 3, (0..<shape[0]).contains(picture) else {
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
    guard rowOfPosition.count + count <= Int(UInt32.max) / max(1, classes) else {
      throw ModelError(.limit, "\(count) positions of \(classes) classes are more than can be compared")
    }
    let positions = (positions ?? 0..<count).clamped(to: 0..<count)
    try predictions.withElements(of: Float.self) { values in
      let size = count * expected
      let output = Output(
        values: UnsafeBufferPointer(rebasing: values[picture * size..<(picture + 1) * size]),
        step: isRows ? (position: expected, value: 1) : (position: 1, value: count))
      let (first, base) = (candidates.count, rowOfPosition.count)
      rowOfPosition.append(contentsOf: repeatElement(-1, count: count))
      if isChosen {
        addChosen(output, positions, base)
      } else if isRows {
        addRows(output, positions, base)
      } else {
        addPlanes(output, positions, base)
      }
      keepRows(output, from: first, base, view)
    }
  }

  /// What a head gives of one picture.
  private struct Output {
    let values: UnsafeBufferPointer<Float>
    let step: (position: Int, value: Int)

    subscript(position: Int, value: Int) -> Float { values[position * step.position + value * step.value] }
  }

  private mutating func add(_ position: Int, _ classIndex: Int, _ score: Float) {
    guard options.classes?.contains(classIndex) ?? true else { return }
    let place = UInt32(truncatingIfNeeded: position * head.classes + classIndex)
    candidates.append(UInt64(~score.bitPattern) << 32 | UInt64(place))
  }

  private mutating func addChosen(_ output: Output, _ positions: Range<Int>, _ base: Int) {
    for position in positions {
      let (score, classIndex) = (output[position, 4], output[position, 5])
      guard score > threshold, classIndex >= 0, classIndex < Float(head.classes) else { continue }
      add(base + position, Int(classIndex), score)
    }
  }

  private mutating func addRows(_ output: Output, _ positions: Range<Int>, _ base: Int) {
    let classes = head.classes
    // YOLOv7 trains no scores of the class where there is one.
    let isAlone = head.family == .yolov7 && classes == 1
    for position in positions {
      let confidence = output[position, 4]
      guard confidence > threshold else { continue }
      if isAlone {
        add(base + position, 0, confidence)
        continue
      }
      let start = position * output.step.position + 5
      let scores = UnsafeBufferPointer(rebasing: output.values[start..<start + classes])
      if labels == .all {
        for index in 0..<classes {
          let score = scores[index] * confidence
          if score > threshold { add(base + position, index, score) }
        }
      } else {
        var (best, place) = (-Float.infinity, 0)
        for index in 0..<classes {
          let score = scores[index] * confidence
          if score > best { (best, place) = (score, index) }
        }
        if best > threshold { add(base + position, place, best) }
      }
    }
  }

  private mutating func addPlanes(_ output: Output, _ positions: Range<Int>, _ base: Int) {
    func plane(_ index: Int) -> UnsafeBufferPointer<Float> {
      let start = (4 + index) * output.step.value
      return UnsafeBufferPointer(rebasing: output.values[start..<start + output.step.value])
    }
    if labels == .all {
      for index in 0..<head.classes {
        let scores = plane(index)
        for position in positions where scores[position] > threshold { add(base + position, index, scores[position]) }
      }
      return
    }
    var best = [Float](repeating: -.infinity, count: output.step.value)
    var places = [Int32](repeating: 0, count: output.step.value)
    for index in 0..<head.classes {
      let scores = plane(index)
      for position in positions where scores[position] > best[position] {
        (best[position], places[position]) = (scores[position], Int32(truncatingIfNeeded: index))
      }
    }
    for position in positions where best[position] > threshold {
      add(base + position, Int(places[position]), best[position])
    }
  }

  /// Keeps what is predicted of the positions that have got candidates.
  private mutating func keepRows(_ output: Output, from first: Int, _ base: Int, _ view: AugmentView?) {
    let extra = head.extra.count
    let start = isChosen ? 6 : (head.hasConfidence ? 5 : 4) + head.classes
    for candidate in candidates[first...] {
      let position = place(of: candidate).position
      guard rowOfPosition[position] == -1 else { continue }
      let here = position - base
      var box = (0..<4).map { output[here, $0] }
      if let view {
        for index in box.indices { box[index] /= Float(view.scale) }
        if view.isFlipped { box[0] = Float(view.originalSize[1]) - box[0] }
      }
      // YOLOv5 multiplies the coefficients of masks with the confidence, too.
      let confidence = head.hasConfidence ? output[here, 4] : 1
      for index in 0..<extra { box.append(output[here, start + index] * confidence) }
      // What is no number has no place.
      guard box.allSatisfy(\.isFinite) else {
        rowOfPosition[position] = -2
        continue
      }
      rowOfPosition[position] = Int32(truncatingIfNeeded: rows.count / width)
      rows += box
    }
    var kept = first
    for index in first..<candidates.count
    where rowOfPosition[place(of: candidates[index]).position] >= 0 {
      candidates[kept] = candidates[index]
      kept += 1
    }
    candidates.removeLast(candidates.count - kept)
  }

  private func place(of candidate: UInt64) -> (position: Int, classIndex: Int) {
    let (position, classIndex) = Int(candidate & 0xffff_ffff).quotientAndRemainder(dividingBy: head.classes)
    return (position, classIndex)
  }

  // MARK: Choosing

  /// No more are compared with one another.
  private static let candidateLimit = 30000

  /// What is kept, the surest first; what a head has chosen stays in its order.
  func chosen() -> [Found] {
    let limit = options.limit ?? head.limit
    if isChosen {
      return candidates.prefix(limit).map { found($0, isCorners: head.extra != .angle && head.family != .rtdetr) }
    }
    let candidates = self.candidates.sorted().prefix(Self.candidateLimit)
    let classes = candidates.map { place(of: $0).classIndex }
    let kept: [Int]
    if head.extra == .angle {
      // In the arithmetic of boxes that are put apart by class.
      let boxes = zip(candidates, classes).map { candidate, classIndex in
        let (row, offset) = (row(of: candidate), Float(classIndex) * head.classOffset)
        return RotatedBox(x: row[0] + offset, y: row[1] + offset, width: row[2], height: row[3], angle: row[4])
      }
      kept = nonMaximumSuppression(
        rotated: boxes, scores: candidates.map { Self.score(of: $0) }, classes: classes, threshold: options.overlap,
        limit: limit)
    } else {
      kept = nonMaximumSuppression(
        sorted: candidates.map { box(of: row(of: $0)) }, classes: classes, offset: head.classOffset,
        threshold: options.overlap, limit: limit)
    }
    return kept.map { found(candidates[$0], isCorners: false) }
  }

  private static func score(of candidate: UInt64) -> Float {
    Float(bitPattern: ~UInt32(truncatingIfNeeded: candidate >> 32))
  }

  private func row(of candidate: UInt64) -> Row {
    Row(values: rows, start: Int(rowOfPosition[place(of: candidate).position]) * width)
  }

  private struct Row {
    let values: [Float]
    let start: Int
    subscript(index: Int) -> Float { values[start + index] }
  }

  private func box(of row: Row) -> Box {
    Box(row[0] - row[2] / 2, row[1] - row[3] / 2, row[0] + row[2] / 2, row[1] + row[3] / 2)
  }

  private func found(_ candidate: UInt64, isCorners: Bool) -> Found {
    let row = row(of: candidate)
    return Found(
      box: isCorners ? Box(row[0], row[1], row[2], row[3]) : box(of: row),
      rotated: head.extra == .angle
        ? RotatedBox(x: row[0], y: row[1], width: row[2], height: row[3], angle: row[4]) : nil,
      score: Self.score(of: candidate), classIndex: place(of: candidate).classIndex,
      extra: (0..<head.extra.count).map { row[4 + $0] })
  }
}
