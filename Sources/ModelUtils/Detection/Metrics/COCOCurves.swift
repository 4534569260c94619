/// Precisions over recalls of one class, as pycocotools' `accumulate` finds them.
struct COCOCurves: Sendable {
  /// Of an area, a limit of predictions and an overlap.
  struct Curve {
    let area: Int
    let limit: Int
    let overlap: Int
    /// What was found of all there is.
    let recall: Double
    /// At each of `COCOEvaluation.recalls`.
    let precisions: [Double]
  }

  /// By falling score; of equal scores in the order of pictures.
  private let outcomes: [COCOMatching.Outcome]
  private let truthCounts: SIMD4<Int>

  /// Joins what was found in all pictures.
  init(_ matchings: ArraySlice<COCOMatching>) {
    let all = matchings.flatMap(\.outcomes)
    outcomes = all.indices
      .sorted { all[$0].score == all[$1].score ? $0 < $1 : all[$0].score > all[$1].score }.map { all[$0] }
    truthCounts = matchings.reduce(SIMD4()) { $0 &+ $1.truthCounts }
  }

  /// Gives all curves but those of areas without truths.
  func visit(_ body: (Curve) -> Void) {
    var precisions: [Double] = []
    for limit in COCOEvaluation.countLimits.indices {
      let outcomes = outcomes.filter { $0.rank < COCOEvaluation.countLimits[limit] }
      for area in COCOEvaluation.Area.allCases.indices where truthCounts[area] > 0 {
        for overlap in COCOEvaluation.overlaps.indices {
          let bit: UInt16 = 1 << UInt16(overlap)
          // Only what is found raises precision and recall, so the curve's corners are there.
          precisions.removeAll(keepingCapacity: true)
          var (right, wrong) = (0, 0)
          for outcome in outcomes where outcome.ignored[area] & bit == 0 {
            if outcome.matched[area] & bit == 0 {
              wrong += 1
            } else {
              right += 1
              precisions.append(Double(right) / (Double(wrong) + Double(right) + .ulpOfOne))
            }
          }
          body(
            Curve(
              area: area, limit: limit, overlap: overlap, recall: Double(right) / Double(truthCounts[area]),
              precisions: Self.sampled(&precisions, truths: truthCounts[area])))
        }
      }
    }
  }

  /// The highest precision with at least each recall, from the precision at each find.
  private static func sampled(_ precisions: inout [Double], truths: Int) -> [Double] {
    for index in precisions.indices.dropFirst().reversed() where precisions[index] > precisions[index - 1] {
      precisions[index - 1] = precisions[index]
    }
    var sampled = [Double](repeating: 0, count: COCOEvaluation.recalls.count)
    var place = 0
    for (index, precision) in precisions.enumerated() {
      let recall = Double(index + 1) / Double(truths)
      while place < sampled.count, COCOEvaluation.recalls[place] <= recall {
        sampled[place] = precision
        place += 1
      }
    }
    return sampled
  }
}
