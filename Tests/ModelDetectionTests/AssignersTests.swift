import ModelCore
import ModelDetection
import TestSupport
import Testing

/// Against the rules written down plainly, with a number for every box and anchor.
@Suite struct AssignersTests {
  private struct Drawn {
    let grid: AnchorGrid
    let targets: [TargetBox]
    let predictions: [CornerBox]
    let scores: [Double]

    /// With whole numbers many are equal, as in the first steps of a training.
    init(_ generator: inout Generator, whole: Bool, copies: Int) throws {
      let strides = [[8], [8, 16], [8, 16, 32], [16, 32]].randomElement(using: &generator) ?? [8]
      let largest = strides.last ?? 8
      grid = try AnchorGrid(
        height: largest * Int.random(in: 1...4, using: &generator),
        width: largest * Int.random(in: 1...4, using: &generator), strides: strides, copies: copies)
      func number(_ range: ClosedRange<Double>, _ generator: inout Generator) -> Double {
        let number = Double.random(in: range, using: &generator)
        return whole ? number.rounded() : number
      }
      func box(_ x: Double, _ y: Double, _ generator: inout Generator) -> CornerBox {
        let half = (number(2...40, &generator), number(2...40, &generator))
        return CornerBox(x - half.0, y - half.1, x + half.0, y + half.1)
      }
      var (targets, predictions, scores): ([TargetBox], [CornerBox], [Double]) = ([], [], [])
      for _ in 0..<Int.random(in: 0...12, using: &generator) {
        let (x, y) = (number(-10...140, &generator), number(-10...140, &generator))
        targets.append(
          TargetBox(classIndex: Int.random(in: 0...1, using: &generator), box: box(x, y, &generator)))
      }
      let same = whole && Bool.random(using: &generator)
      for point in grid.points {
        let size = point.stride * 1.5
        predictions.append(
          same
            ? CornerBox(point.x - size, point.y - size, point.x + size, point.y + size)
            : box(point.x, point.y, &generator))
        scores += (0..<2).map { _ in same ? 0.01 : number(0...1, &generator) }
      }
      (self.targets, self.predictions, self.scores) = (targets, predictions, scores)
    }
  }

  private func inside(_ box: CornerBox, _ point: AnchorGrid.Point) -> Bool {
    min(point.x - box.x1, point.y - box.y1, box.x2 - point.x, box.y2 - point.y) > 1e-9
  }

  private func iou(_ a: CornerBox, _ b: CornerBox, _ epsilon: Double = 1e-9) -> Double {
    let shared = max(min(a.x2, b.x2) - max(a.x1, b.x1), 0) * max(min(a.y2, b.y2) - max(a.y1, b.y1), 0)
    let areas = max(a.x2 - a.x1, 0) * max(a.y2 - a.y1, 0) + max(b.x2 - b.x1, 0) * max(b.y2 - b.y1, 0)
    return shared / (areas - shared + epsilon)
  }

  /// Of each anchor the box that it goes to.
  private func owners(_ wanted: [[Bool]], _ overlaps: [[Double]]) -> [Int?] {
    (wanted.first ?? []).indices.map { anchor in
      let claims = wanted.indices.filter { wanted[$0][anchor] }
      guard claims.count > 1 else { return claims.first }
      return overlaps.indices.reduce(0) { overlaps[$1][anchor] > overlaps[$0][anchor] ? $1 : $0 }
    }
  }

  private func expectEqual(_ found: [AnchorAssignment], _ owners: [Int?], _ score: (Int, Int) -> Double) {
    #expect(found.map(\.anchor) == owners.indices.filter { owners[$0] != nil })
    for item in found {
      #expect(item.target == owners[item.anchor])
      #expect(abs(item.score - score(item.target, item.anchor)) <= 1e-12)
    }
  }

  @Test(arguments: TaskAlignedAssigner.Rules.allCases, [false, true])
  func alignment(rules: TaskAlignedAssigner.Rules, whole: Bool) throws {
    var generator = Generator(whole ? 1 : 2)
    var total = 0
    for turn in 0..<150 {
      let drawn = try Drawn(&generator, whole: whole, copies: turn % 3 == 0 ? 3 : 1)
      let assigner = TaskAlignedAssigner(
        rules: rules, candidates: [0, 1, 5, 13, 26].randomElement(using: &generator) ?? 13,
        alpha: [0.5, 1, 2].randomElement(using: &generator) ?? 1, beta: 6, smallestSide: rules == .yolov8 ? 16 : 0)
      let found = try assigner(drawn.targets, on: drawn.grid, predictions: drawn.predictions) {
        drawn.scores[2 * $0 + $1]
      }
      let complete = BoxOverlap(.ciou, epsilon: 1e-7)
      var (wanted, metrics, overlaps): ([[Bool]], [[Double]], [[Double]]) = ([], [], [])
      for target in drawn.targets {
        let box = target.box
        let reach = CornerBox(
          centerX: (box.x1 + box.x2) / 2, centerY: (box.y1 + box.y2) / 2,
          width: max(box.x2 - box.x1, assigner.smallestSide), height: max(box.y2 - box.y1, assigner.smallestSide))
        let within = drawn.grid.points.map { inside(reach, $0) }
        let overlap = drawn.predictions.enumerated().map {
          rules == .yolov6 ? iou(box, $1) : within[$0] ? max(complete(box, $1), 0) : 0
        }
        let metric = overlap.enumerated().map { anchor, overlap in
          let (score, cube) = (drawn.scores[2 * anchor + target.classIndex], overlap * overlap * overlap)
          return (assigner.alpha == 0.5 ? score.squareRoot() : assigner.alpha == 1 ? score : score * score)
            * (cube * cube)
        }
        let order = metric.indices.sorted { a, b in
          let (x, y) = (within[a] ? metric[a] : 0, within[b] ? metric[b] : 0)
          return x > y || x == y && a < b
        }
        var chosen = [Bool](repeating: false, count: metric.count)
        for anchor in order.prefix(assigner.candidates) { chosen[anchor] = within[anchor] }
        wanted.append(chosen)
        overlaps.append(overlap)
        metrics.append(metric)
      }
      let owners = owners(wanted, overlaps)
      expectEqual(found, owners) { target, anchor in
        let own = owners.indices.filter { owners[$0] == target }
        let (metric, overlap) = (
          own.map { metrics[target][$0] }.max() ?? 0, own.map { overlaps[target][$0] }.max() ?? 0
        )
        return metrics[target][anchor] * overlap / (metric + 1e-9)
      }
      total += found.count
    }
    #expect(total > 500)
  }

  @Test(arguments: [false, true]) func nearest(whole: Bool) throws {
    var generator = Generator(whole ? 3 : 4)
    var total = 0
    for _ in 0..<150 {
      let drawn = try Drawn(&generator, whole: whole, copies: 1)
      let count = [0, 1, 4, 9, 100].randomElement(using: &generator) ?? 9
      let found = try ATSSAssigner(candidates: count)(
        drawn.targets, on: drawn.grid, predictions: drawn.predictions)
      let anchors = drawn.grid.points.map {
        CornerBox(centerX: $0.x, centerY: $0.y, width: 5 * $0.stride, height: 5 * $0.stride)
      }
      let overlaps = drawn.targets.map { target in anchors.map { iou(target.box, $0, 0) } }
      let wanted = drawn.targets.enumerated().map { index, target in
        let box = target.box
        let distances = drawn.grid.points.map {
          let (x, y) = ((box.x1 + box.x2) / 2 - $0.x, (box.y1 + box.y2) / 2 - $0.y)
          return (x * x + y * y).squareRoot()
        }
        let near = drawn.grid.levels.flatMap { level in
          (level.first..<level.first + level.count).sorted { (distances[$0], $0) < (distances[$1], $1) }.prefix(count)
        }
        let values = near.map { overlaps[index][$0] }
        let mean = values.reduce(0, +) / Double(values.count)
        let spread = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
        return drawn.grid.points.indices.map {
          near.contains($0) && overlaps[index][$0] > mean + spread && inside(box, drawn.grid.points[$0])
        }
      }
      expectEqual(found, owners(wanted, overlaps)) { iou(drawn.targets[$0].box, drawn.predictions[$1]) }
      total += found.count
    }
    #expect(total > 300)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let grid = try AnchorGrid(height: 16, width: 16, strides: [8])
    let box = CornerBox(0, 0, 8, 8)
    let four = [CornerBox](repeating: box, count: 4)
    let target = TargetBox(classIndex: 0, box: box)
    func aligned(_ targets: [TargetBox], _ boxes: [CornerBox], _ candidates: Int = 13) throws {
      _ = try TaskAlignedAssigner(candidates: candidates)(targets, on: grid, predictions: boxes) { _, _ in .nan }
    }
    #expect(refusal { try aligned([target], four) } == nil)
    #expect(refusal { try aligned([target], [box]) }?.contains("each of 4 anchors") == true)
    #expect(refusal { try aligned([target], four, -1) }?.contains("choose -1") == true)
    let broken = TargetBox(classIndex: 0, box: CornerBox(0, .nan, 1, .infinity))
    #expect(refusal { try aligned([broken], four) }?.contains("not finite") == true)
    let several = try AnchorGrid(height: 8, width: 16, strides: [8], copies: 2)
    #expect(
      refusal { _ = try ATSSAssigner()([target], on: several, predictions: four) }?.contains("one anchor") == true)
    let far = TargetBox(classIndex: 0, box: CornerBox(1e300, 1e300, 1e301, 1e301))
    #expect(try ATSSAssigner()([far], on: grid, predictions: four).isEmpty)
    try aligned([far], four)
  }
}
