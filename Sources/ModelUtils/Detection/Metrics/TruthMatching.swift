/// Which predictions of a picture find truths: YOLOv5's rules, in its single precision.
enum TruthMatching {
  /// The overlaps from which a prediction finds a truth: torch's `linspace(0.5, 0.95, 10)`.
  static let overlaps: [Float] = {
    let (first, last) = (Float(0.5), Float(0.95))
    let step = (last - first) / 9
    return (0..<10).map { $0 < 5 ? first + step * Float($0) : last - step * Float(9 - $0) }
  }()

  /// For each prediction, by falling score, a bit for each overlap at which it finds a truth of its class: the
  /// `process_batch` of YOLOv5's validation. Each chooses the truth it overlaps most, and of several that choose one
  /// truth the first finds it.
  static func finds(
    _ predictions: ArraySlice<DetectionPrediction>, _ truths: ArraySlice<DetectionTruth>
  ) -> [UInt16] {
    let there = truths.map { SingleBox($0) }
    var taken = [UInt16](repeating: 0, count: there.count)
    return predictions.map { prediction in
      guard
        let chosen = choice(
          prediction, there, from: overlaps[0], { truths[truths.startIndex + $0].classIndex == prediction.classIndex })
      else { return 0 }
      var bits: UInt16 = 0
      for (place, overlap) in overlaps.enumerated() where chosen.overlap >= overlap { bits |= 1 << UInt16(place) }
      bits &= ~taken[chosen.truth]
      taken[chosen.truth] |= bits
      return bits
    }
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
