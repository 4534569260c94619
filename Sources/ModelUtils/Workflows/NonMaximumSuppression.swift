#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Of boxes that overlap keeps the best: torchvision's `ops.nms`.
///
/// From the best score down, a box is kept unless it overlaps one that was kept by more than the threshold. Of equal
/// scores the first comes first.
/// - Parameters:
///   - boxes: in float32 arithmetic, as torchvision computes.
///   - scores: one for each box. A box whose score is NaN comes last.
///   - threshold: on intersection over union, 0 to 1.
///   - limit: the most boxes that are kept.
/// - Returns: the places of those kept, the best first.
public func nonMaximumSuppression(
  _ boxes: [Box], scores: [Float], threshold: Double, limit: Int = .max
) -> [Int] {
  let order = scores.prefix(boxes.count).descendingOrder
  return nonMaximumSuppression(
    sorted: order.map { boxes[$0] }, classes: [Int](repeating: 0, count: order.count), offset: 0,
    threshold: threshold, limit: limit
  ).map { order[$0] }
}

/// The same for boxes by falling score, of which only those of one class suppress each other: torchvision's
/// `batched_nms` as YOLO calls it, with boxes that are put apart by class.
/// - Parameters:
///   - classes: one for each box.
///   - offset: how far apart in pixels classes are put. Boxes that are larger than that can still meet, and boxes lose
///     bits with it, as in the originals.
/// - Returns: the places of those kept, in their order.
func nonMaximumSuppression(
  sorted boxes: [Box], classes: [Int], offset: Float, threshold: Double, limit: Int = .max
) -> [Int] {
  var (low, high) = (SIMD2<Float>(repeating: .infinity), SIMD2<Float>(repeating: -.infinity))
  for box in boxes {
    let (start, end) = (SIMD2(box.x1, box.y1), SIMD2(box.x2, box.y2))
    low = pointwiseMin(low, pointwiseMin(start, end))
    high = pointwiseMax(high, pointwiseMax(start, end))
  }
  // Where none is as wide or high as the classes are apart, each box is compared with those of its class alone.
  let isApart = (high - low).min() < offset - 1
  var kept: [Int] = []
  var keptBoxes: [(box: SIMD4<Float>, area: Float, before: Int)] = []
  // The last that was kept of each class; before it stands the one before.
  var last: [Int: Int] = [:]
  for (index, plain) in boxes.enumerated() {
    if kept.count >= limit { break }
    let group = isApart ? classes[index] : 0
    let box = SIMD4(plain.x1, plain.y1, plain.x2, plain.y2) + Float(classes[index]) * offset
    let area = (box[2] - box[0]) * (box[3] - box[1])
    var other = last[group] ?? -1
    var isSuppressed = false
    while other >= 0 {
      let known = keptBoxes[other]
      let width = max(0, min(box[2], known.box[2]) - max(box[0], known.box[0]))
      let height = max(0, min(box[3], known.box[3]) - max(box[1], known.box[1]))
      let shared = width * height
      if Double(shared / (known.area + area - shared)) > threshold {
        isSuppressed = true
        break
      }
      other = known.before
    }
    if isSuppressed { continue }
    keptBoxes.append((box, area, last[group] ?? -1))
    last[group] = kept.count
    kept.append(index)
  }
  return kept
}

extension Box {
  private var area: Float { (x2 - x1) * (y2 - y1) }

  /// Intersection over union; NaN for two empty boxes.
  public func overlap(with other: Box) -> Float {
    let width = max(0, min(x2, other.x2) - max(x1, other.x1))
    let height = max(0, min(y2, other.y2) - max(y1, other.y1))
    let shared = width * height
    return shared / (area + other.area - shared)
  }
}

/// A box turned around its middle.
public struct RotatedBox: Sendable, Hashable {
  /// Of the middle.
  public var x, y: Float
  /// The lengths of its sides.
  public var width, height: Float
  /// Clockwise as pictures are seen, in radians: how far the sides of length `width` are turned from the horizontal.
  public var angle: Float

  /// A box turned around its middle.
  public init(x: Float, y: Float, width: Float, height: Float, angle: Float) {
    (self.x, self.y, self.width, self.height, self.angle) = (x, y, width, height, angle)
  }

  /// Its corners, one after the other around it, in the order of Ultralytics' `xywhr2xyxyxyxy`.
  public var corners: [Corner] {
    let (cosine, sine) = (cosf(angle), sinf(angle))
    let along = (x: width / 2 * cosine, y: width / 2 * sine)
    let across = (x: -height / 2 * sine, y: height / 2 * cosine)
    return [(1, 1), (1, -1), (-1, -1), (-1, 1)].map { (a: Float, b: Float) in
      Corner(x: x + a * along.x + b * across.x, y: y + a * along.y + b * across.y)
    }
  }

  /// The covariance of the normal distribution that stands for it.
  fileprivate var covariance: (a: Float, b: Float, c: Float) {
    let (a, b) = (width * width / 12, height * height / 12)
    let (cosine, sine) = (cosf(angle), sinf(angle))
    return (
      a * cosine * cosine + b * sine * sine, a * sine * sine + b * cosine * cosine, (a - b) * cosine * sine
    )
  }
}

/// Of turned boxes that are alike keeps the best, as Ultralytics does: a box goes when any box with a better score,
/// kept or not, is more like it than the threshold, by one less Hellinger's distance of the normal distributions that
/// stand for the boxes (`probiou`).
/// - Parameters:
///   - boxes: in float32 arithmetic.
///   - classes: one for each box; boxes of different classes are never compared.
/// - Returns: the places of those kept, the best first; of equal scores the first comes first.
public func nonMaximumSuppression(
  rotated boxes: [RotatedBox], scores: [Float], classes: [Int], threshold: Double, limit: Int = .max
) -> [Int] {
  let count = min(boxes.count, scores.count, classes.count)
  let shapes = boxes.map(\.covariance)
  var better: [Int: [Int]] = [:]
  var kept: [Int] = []
  for index in scores.prefix(count).descendingOrder {
    if kept.count >= limit { break }
    let isAlike = better[classes[index], default: []].contains { other in
      Double(likeness(boxes[other], shapes[other], boxes[index], shapes[index])) > threshold
    }
    if !isAlike { kept.append(index) }
    better[classes[index], default: []].append(index)
  }
  return kept
}

private typealias Covariance = (a: Float, b: Float, c: Float)

private func likeness(_ one: RotatedBox, _ first: Covariance, _ other: RotatedBox, _ second: Covariance) -> Float {
  let eps: Float = 1e-7
  let (a, b, c) = (first.a + second.a, first.b + second.b, first.c + second.c)
  let (dx, dy) = (other.x - one.x, one.y - other.y)
  let determinant = a * b - c * c
  let apart = (a * dy * dy + b * dx * dx) / (determinant + eps) * 0.25 + c * dx * dy / (determinant + eps) * 0.5
  let areas =
    max(first.a * first.b - first.c * first.c, 0) * max(second.a * second.b - second.c * second.c, 0)
  let unlike = logf(determinant / (4 * areas.squareRoot() + eps) + eps) * 0.5
  let distance = min(max(apart + unlike, eps), 100)
  return 1 - (1 - expf(-distance) + eps).squareRoot()
}

extension Sequence<Float> {
  /// The places of the numbers, the largest first, equal ones in their order, NaN last.
  var descendingOrder: [Int] {
    let numbers = map { $0.isNaN ? -Float.infinity : $0 }
    return numbers.indices.sorted { numbers[$0] != numbers[$1] ? numbers[$0] > numbers[$1] : $0 < $1 }
  }
}
