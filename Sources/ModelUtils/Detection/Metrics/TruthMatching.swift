/// Which predictions of a picture find truths, in the originals' single precision.
enum TruthMatching {
  /// The overlaps from which a prediction finds a truth: torch's `linspace(0.5, 0.95, 10)`.
  static let overlaps: [Float] = {
    let (first, last) = (Float(0.5), Float(0.95))
    let step = (last - first) / 9
    return (0..<10).map { $0 < 5 ? first + step * Float($0) : last - step * Float(9 - $0) }
  }()

  /// For each prediction, by falling score, a bit for each overlap at which it finds a truth of its class.
  static func finds(
    _ predictions: ArraySlice<DetectionPrediction>, _ truths: ArraySlice<DetectionTruth>,
    _ form: DetectionCurves.Form
  ) -> [UInt16] {
    guard !truths.isEmpty else { return [UInt16](repeating: 0, count: predictions.count) }
    return switch form {
    case .yolov5, .yolov6: findsOfChosen(predictions, truths)
    case .yolov7: findsOfFirst(predictions, truths)
    case .ultralytics: findsOfLeft(predictions, truths)
    }
  }

  /// The `process_batch` of YOLOv5's validation. Each prediction chooses the truth it overlaps most, and of several that
  /// choose one truth the first finds it.
  private static func findsOfChosen(
    _ predictions: ArraySlice<DetectionPrediction>, _ truths: ArraySlice<DetectionTruth>
  ) -> [UInt16] {
    let there = truths.map { SingleBox($0) }
    var taken = [UInt16](repeating: 0, count: there.count)
    return predictions.map { prediction in
      guard
        let chosen = choice(
          prediction, there, from: overlaps[0], { truths[truths.startIndex + $0].classIndex == prediction.classIndex })
      else { return 0 }
      let found = bits { chosen.overlap >= $0 } & ~taken[chosen.truth]
      taken[chosen.truth] |= found
      return found
    }
  }

  /// YOLOv7's test. A truth is found by the first prediction that chooses it, at all overlaps below its own.
  private static func findsOfFirst(
    _ predictions: ArraySlice<DetectionPrediction>, _ truths: ArraySlice<DetectionTruth>
  ) -> [UInt16] {
    let there = truths.map { SingleBox($0) }
    var isFound = [Bool](repeating: false, count: there.count)
    return predictions.map { prediction in
      let box = SingleBox(prediction)
      var best: (truth: Int, overlap: Float)?
      for (index, truth) in truths.enumerated() where truth.classIndex == prediction.classIndex {
        let overlap = there[index].overlap(box)
        if overlap > best?.overlap ?? overlaps[0] { best = (index, overlap) }
      }
      guard let best, !isFound[best.truth] else { return 0 }
      isFound[best.truth] = true
      return bits { best.overlap > $0 }
    }
  }

  /// The `match_predictions` of Ultralytics. At each overlap a prediction chooses among the truths that are left.
  private static func findsOfLeft(
    _ predictions: ArraySlice<DetectionPrediction>, _ truths: ArraySlice<DetectionTruth>
  ) -> [UInt16] {
    let there = truths.map { SingleBox($0) }
    var taken = [UInt16](repeating: 0, count: there.count)
    return predictions.map { prediction in
      let box = SingleBox(prediction)
      var candidates: [(truth: Int, overlap: Float)] = []
      for (index, truth) in truths.enumerated() where truth.classIndex == prediction.classIndex {
        let overlap = there[index].overlap(box)
        if overlap >= overlaps[0] { candidates.append((index, overlap)) }
      }
      guard !candidates.isEmpty else { return 0 }
      var found: UInt16 = 0
      for (place, limit) in overlaps.enumerated() {
        let bit: UInt16 = 1 << UInt16(place)
        var best: (truth: Int, overlap: Float)?
        for candidate in candidates where taken[candidate.truth] & bit == 0 && candidate.overlap >= limit {
          if candidate.overlap > best?.overlap ?? 0 { best = candidate }
        }
        guard let best else { continue }
        taken[best.truth] |= bit
        found |= bit
      }
      return found
    }
  }

  /// A bit for each overlap that fulfils a condition.
  private static func bits(where isTrue: (Float) -> Bool) -> UInt16 {
    overlaps.enumerated().reduce(0) { $0 | (isTrue($1.element) ? 1 << UInt16($1.offset) : 0) }
  }

  /// The truth that a prediction overlaps most, the last of equal ones; nil where none is overlapped enough.
  static func choice(
    _ prediction: DetectionPrediction, _ truths: [SingleBox], from lowest: Float, _ isCandidate: (Int) -> Bool
  ) -> (truth: Int, overlap: Float)? {
    let box = SingleBox(prediction)
    var best: (truth: Int, overlap: Float)?
    for (index, truth) in truths.enumerated() where isCandidate(index) {
      let overlap = truth.overlap(box)
      if overlap >= best?.overlap ?? lowest { best = (index, overlap) }
    }
    return best
  }

  /// A box as YOLOv5 has it, by its corners in float32.
  struct SingleBox {
    let (x1, y1, x2, y2): (Float, Float, Float, Float)

    init(_ row: some DetectionRow) {
      (x1, y1, x2, y2) = (Float(row.x), Float(row.y), Float(row.x + row.width), Float(row.y + row.height))
    }

    /// The intersection over the union.
    func overlap(_ other: SingleBox) -> Float {
      let intersection = max(min(x2, other.x2) - max(x1, other.x1), 0) * max(min(y2, other.y2) - max(y1, other.y1), 0)
      let areas = (x2 - x1) * (y2 - y1) + (other.x2 - other.x1) * (other.y2 - other.y1)
      return intersection / (areas - intersection + 1e-7)
    }
  }
}
