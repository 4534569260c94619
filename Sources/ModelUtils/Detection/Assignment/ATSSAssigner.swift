import ModelCore

/// Assigns the anchors nearest to a box's centre that cover it better than such anchors mostly do: YOLOv6's
/// `ATSSAssigner`, for the first epochs. Where distances are equal, the first anchors are taken.
public struct ATSSAssigner: Sendable, Hashable {
  /// How many anchors of each level are looked at.
  public var candidates: Int
  /// The side of an anchor's box, in cells.
  public var side: Double

  /// An assigner.
  public init(candidates: Int = 9, side: Double = 5) { (self.candidates, self.side) = (candidates, side) }

  /// The anchors that answer for a picture's boxes, in their order; the score is the overlap of box and prediction.
  /// - Parameters:
  ///   - targets: what is to be found.
  ///   - predictions: the predicted box of every anchor, in pixels.
  /// - Throws: `ModelError` for a grid with several anchors at a place, for another number of predictions than anchors,
  ///   for boxes whose sides are not finite, and for a negative number of candidates.
  public func callAsFunction(
    _ targets: [TargetBox], on grid: AnchorGrid, predictions: [CornerBox]
  ) throws -> [AnchorAssignment] {
    try grid.check(targets, predictions, candidates: candidates)
    guard grid.copies == 1 else { throw ModelError(.unsupported, "ATSS takes one anchor at a place") }
    var claims = AnchorClaims(anchors: grid.count)
    for (index, target) in targets.enumerated() {
      let near = grid.levels.flatMap { nearest(to: target.box, in: $0, of: grid) }
      let overlaps = near.map { anchorOverlap(target.box, grid.points[$0]) }
      let mean = overlaps.reduce(0, +) / Double(overlaps.count)
      let squares = overlaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      // Of a single one the deviation is no number, and nothing is above it.
      let threshold = mean + (squares / Double(overlaps.count - 1)).squareRoot()
      for (anchor, overlap) in zip(near, overlaps) where overlap > threshold {
        let point = grid.points[anchor]
        if target.box.contains(point.x, point.y) { claims.claim(anchor, for: index) }
      }
    }
    var assigned = claims.settled(targets: targets.count) { anchorOverlap(targets[$0].box, grid.points[$1]) }
    for index in assigned.indices {
      assigned[index].score = targets[assigned[index].target].box.clippedIoU(predictions[assigned[index].anchor])
    }
    return assigned
  }

  /// The anchors of a level that are nearest to a box's centre.
  private func nearest(to box: CornerBox, in level: AnchorGrid.Level, of grid: AnchorGrid) -> [Int] {
    let (x, y) = ((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2)
    // As many cells to either side are enough, as each on the way there is nearer.
    func range(_ place: Double, _ count: Int) -> Range<Int> {
      let cell = Int(min(max((place / Double(level.stride)).rounded(.down), 0), Double(count - 1)))
      return max(0, cell - min(candidates, cell))..<min(count, cell + min(candidates, count - cell) + 1)
    }
    let (rows, columns) = (range(y, level.rows), range(x, level.columns))
    var near: [(distance: Double, anchor: Int)] = []
    for row in rows {
      for column in columns {
        let anchor = level.first + row * level.columns + column
        let (dx, dy) = (x - grid.points[anchor].x, y - grid.points[anchor].y)
        let distance = (dx * dx + dy * dy).squareRoot()
        if near.count == candidates {
          guard let last = near.last, distance < last.distance else { continue }
          near.removeLast()
        }
        near.insert((distance, anchor), at: near.firstIndex { $0.distance > distance } ?? near.count)
      }
    }
    return near.map(\.anchor)
  }

  /// The intersection over union with the anchor's own box.
  private func anchorOverlap(_ target: CornerBox, _ point: AnchorGrid.Point) -> Double {
    let half = side * point.stride / 2
    let anchor = CornerBox(point.x - half, point.y - half, point.x + half, point.y + half)
    let intersection = target.intersection(anchor)
    let areas = (target.x2 - target.x1) * (target.y2 - target.y1) + 4 * half * half
    return intersection / max(areas - intersection, 1e-6)
  }
}
