import ModelCore

/// Assigns the anchors inside a box whose predictions are best in class and in place together, m = scoreᵅ · overlapᵝ:
/// `TaskAlignedAssigner` of YOLOv6 and of Ultralytics. Where predictions are equal, the first anchors are taken.
public struct TaskAlignedAssigner: Sendable, Hashable {
  /// Whose overlaps are compared.
  public enum Rules: String, Sendable, Hashable, Codable, CaseIterable {
    /// The intersection over union; an anchor that several boxes want goes to any box of the picture.
    case yolov6
    /// CIoU, none below 0; an anchor that several boxes want goes to a box that it is inside of.
    case yolov8
  }

  /// Whose overlaps are compared.
  public var rules: Rules
  /// How many anchors a box chooses: 13 in YOLOv6, 26 in its branch with anchors, 10 in YOLOv8.
  public var candidates: Int
  /// The power of the score: 1 in YOLOv6, 0.5 in YOLOv8.
  public var alpha: Double
  /// The power of the overlap.
  public var beta: Double
  /// Smaller sides of boxes count as this when anchors inside are looked for, in pixels: Ultralytics takes the second
  /// stride, YOLOv6 0.
  public var smallestSide: Double

  private static let complete = BoxOverlap(.ciou, epsilon: 1e-7)

  /// An assigner.
  public init(
    rules: Rules = .yolov6, candidates: Int = 13, alpha: Double = 1, beta: Double = 6, smallestSide: Double = 0
  ) {
    (self.rules, self.candidates, self.alpha, self.beta) = (rules, candidates, alpha, beta)
    self.smallestSide = smallestSide
  }

  /// The anchors that answer for a picture's boxes, in their order.
  /// - Parameters:
  ///   - targets: what is to be found.
  ///   - predictions: the predicted box of every anchor, in pixels.
  ///   - score: what an anchor scores for a class, 0 to 1.
  /// - Throws: `ModelError` where there are not as many predictions as anchors, for boxes whose sides are not finite, and
  ///   for a negative number of candidates.
  public func callAsFunction(
    _ targets: [TargetBox], on grid: AnchorGrid, predictions: [CornerBox],
    score: (_ anchor: Int, _ classIndex: Int) -> Double
  ) throws -> [AnchorAssignment] {
    try grid.check(targets, predictions, candidates: candidates)
    guard !targets.isEmpty else { return [] }
    let reaches = targets.map { reach(of: $0.box) }
    func measured(_ target: Int, _ anchor: Int) -> (metric: Double, overlap: Double) {
      let overlap = overlap(targets[target].box, predictions[anchor])
      let score = score(anchor, targets[target].classIndex)
      return (Self.power(score, alpha) * Self.power(overlap, beta), overlap)
    }
    var claims = AnchorClaims(anchors: grid.count)
    for (index, reach) in reaches.enumerated() {
      var best = BestAnchors(limit: candidates)
      grid.forEachAnchor(in: reach) { best.add($0, measured(index, $0).metric) }
      best.forEach(inside: reach, of: grid) { claims.claim($0, for: index) }
    }
    func counts(_ target: Int, _ anchor: Int) -> Bool {
      rules == .yolov6 || reaches[target].contains(grid.points[anchor].x, grid.points[anchor].y)
    }
    var assigned = claims.settled(targets: targets.count) { target, anchor in
      counts(target, anchor) ? overlap(targets[target].box, predictions[anchor]) : 0
    }
    // Of each box, over the anchors that are now its own.
    var highest = [(metric: Double, overlap: Double)](repeating: (0, 0), count: targets.count)
    for index in assigned.indices {
      let (anchor, target) = (assigned[index].anchor, assigned[index].target)
      guard counts(target, anchor) else { continue }
      let (metric, overlap) = measured(target, anchor)
      assigned[index].score = metric
      highest[target].metric = max(highest[target].metric, metric)
      highest[target].overlap = max(highest[target].overlap, overlap)
    }
    for index in assigned.indices {
      let best = highest[assigned[index].target]
      assigned[index].score = assigned[index].score * best.overlap / (best.metric + 1e-9)
    }
    return assigned
  }

  private func overlap(_ target: CornerBox, _ prediction: CornerBox) -> Double {
    switch rules {
    case .yolov6: target.clippedIoU(prediction)
    case .yolov8: max(Self.complete(target, prediction), 0)
    }
  }

  /// Where a box's anchors are looked for.
  private func reach(of box: CornerBox) -> CornerBox {
    let (width, height) = (box.x2 - box.x1, box.y2 - box.y1)
    guard width < smallestSide || height < smallestSide else { return box }
    return CornerBox(
      centerX: (box.x1 + box.x2) / 2, centerY: (box.y1 + box.y2) / 2, width: max(width, smallestSide),
      height: max(height, smallestSide))
  }

  private static func power(_ base: Double, _ exponent: Double) -> Double {
    switch exponent {
    case 1: return base
    case 0.5: return base.squareRoot()
    case 6:
      let square = base * base
      return square * square * square
    default: return CMath.pow(base, exponent)
    }
  }
}

/// The anchors with the highest numbers above 0, of equal ones the first.
private struct BestAnchors {
  private var best: [(anchor: Int, metric: Double)] = []
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Anchors come in their order.
  mutating func add(_ anchor: Int, _ metric: Double) {
    guard metric > 0, limit > 0 else { return }
    if best.count == limit {
      guard metric > best[limit - 1].metric else { return }
      best.removeLast()
    }
    let place = best.firstIndex { $0.metric < metric } ?? best.count
    best.insert((anchor, metric), at: place)
  }

  /// Those, and where they are too few, the first anchors of all that have nothing; of these the ones in the box.
  func forEach(inside box: CornerBox, of grid: AnchorGrid, _ body: (Int) -> Void) {
    for (anchor, _) in best { body(anchor) }
    var missing = limit - best.count
    for (anchor, point) in grid.points.enumerated() {
      if missing == 0 { return }
      if best.contains(where: { $0.anchor == anchor }) { continue }
      missing -= 1
      if box.contains(point.x, point.y) { body(anchor) }
    }
  }
}
