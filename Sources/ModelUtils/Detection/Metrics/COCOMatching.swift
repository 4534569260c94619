/// Which predictions of a class find truths in some pictures, as pycocotools' `evaluateImg` decides it for each area
/// and overlap at once.
struct COCOMatching: Sendable {
  /// What became of a prediction: for each area, a bit for each overlap.
  struct Outcome: Sendable {
    let score: Double
    /// Its place among those of its picture and class.
    let rank: Int
    var matched = SIMD4<UInt16>()
    /// It counts neither for nor against the detector.
    var ignored = SIMD4<UInt16>()
  }

  /// Which of the data set's groups; all of one class.
  let groups: Range<Int>
  /// In the order of pictures, and by falling score in each.
  private(set) var outcomes: [Outcome] = []
  /// How many truths must be found, for each area.
  private(set) var truthCounts = SIMD4<Int>()

  private var pairs: [Pair] = []
  private var pairEnds: [Int] = []
  private var taken: [UInt16] = []

  /// A truth that a prediction may find.
  private struct Pair: Sendable {
    let truth: Int
    let overlap: Double
  }

  init(groups: Range<Int>) { self.groups = groups }

  /// Decides for all groups.
  mutating func run(_ rows: DetectionRows) {
    for group in groups { match(rows, rows.groups[group]) }
    (pairs, pairEnds, taken) = ([], [], [])
  }

  private mutating func match(_ rows: DetectionRows, _ group: DetectionRows.Group) {
    let predictions = rows.predictions[group.predictions.prefix(COCOEvaluation.countLimits[2])]
    let truths = rows.truths[group.truths]
    findPairs(predictions, truths)
    let first = outcomes.count
    for (rank, prediction) in predictions.enumerated() {
      outcomes.append(Outcome(score: prediction.score, rank: rank))
    }
    for (area, limits) in COCOEvaluation.Area.allCases.map(\.range).enumerated() {
      func isIgnored(_ truth: DetectionTruth) -> Bool { truth.isCrowd || !limits.contains(truth.area) }
      truthCounts[area] += truths.count { !isIgnored($0) }
      taken.removeAll(keepingCapacity: true)
      taken.append(contentsOf: repeatElement(0, count: truths.count))
      for (rank, prediction) in predictions.enumerated() {
        let candidates = pairs[(rank == 0 ? 0 : pairEnds[rank - 1])..<pairEnds[rank]]
        let isOutside = !limits.contains(prediction.area)
        for (place, threshold) in COCOEvaluation.overlaps.enumerated() {
          let bit: UInt16 = 1 << UInt16(place)
          // Truths that count come first: those ignored are only for predictions that find none of them.
          var found: Int?
          for ignored in [false, true] where found == nil {
            var best = min(threshold, 1 - 1e-10)
            for pair in candidates where !(pair.overlap < best) {
              let truth = truths[pair.truth]
              guard isIgnored(truth) == ignored, truth.isCrowd || taken[pair.truth - truths.startIndex] & bit == 0
              else { continue }
              (best, found) = (pair.overlap, pair.truth)
            }
            if found != nil, ignored { outcomes[first + rank].ignored[area] |= bit }
          }
          if let found {
            taken[found - truths.startIndex] |= bit
            outcomes[first + rank].matched[area] |= bit
          } else if isOutside {
            outcomes[first + rank].ignored[area] |= bit
          }
        }
      }
    }
  }

  /// Notes the truths of every prediction that overlap enough for the lowest threshold.
  private mutating func findPairs(
    _ predictions: ArraySlice<DetectionPrediction>, _ truths: ArraySlice<DetectionTruth>
  ) {
    pairs.removeAll(keepingCapacity: true)
    pairEnds.removeAll(keepingCapacity: true)
    for prediction in predictions {
      for truth in truths.indices {
        let overlap = Self.overlap(prediction, truths[truth])
        if !(overlap < COCOEvaluation.overlaps[0]) { pairs.append(Pair(truth: truth, overlap: overlap)) }
      }
      pairEnds.append(pairs.count)
    }
  }

  /// The intersection over the union, or over the prediction where the truth is a crowd.
  static func overlap(_ prediction: DetectionPrediction, _ truth: DetectionTruth) -> Double {
    let width =
      min(prediction.width + prediction.x, truth.width + truth.x) - max(prediction.x, truth.x)
    guard width > 0 else { return 0 }
    let height =
      min(prediction.height + prediction.y, truth.height + truth.y) - max(prediction.y, truth.y)
    guard height > 0 else { return 0 }
    let intersection = width * height
    let area = prediction.width * prediction.height
    return intersection / (truth.isCrowd ? area : area + truth.width * truth.height - intersection)
  }
}
