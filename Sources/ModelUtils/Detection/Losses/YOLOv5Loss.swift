import ModelCore

/// YOLOv5's `ComputeLoss`: boxes are matched with anchors by their sides, boxes cost CIoU, every anchor's objectness a
/// binary cross entropy with that overlap, scores one with the class.
///
/// Where several matches share an anchor in a cell, the last in the original's order says what its objectness should
/// be. The original's focal loss and automatic balance are not here.
public struct YOLOv5Loss: DetectionObjective, Hashable {
  /// What the parts count.
  public struct Gains: Sendable, Hashable, Codable {
    /// Of 1 - CIoU.
    public var box: Double
    /// Of the objectness.
    public var objectness: Double
    /// Of the scores of classes.
    public var classes: Double

    /// What the parts count; by default the original's hyp.scratch-low.
    public init(box: Double = 0.05, objectness: Double = 1, classes: Double = 0.5) {
      (self.box, self.objectness, self.classes) = (box, objectness, classes)
    }

    /// What the original's train.py makes of them for a head and a size of pictures.
    public func scaled(levels: Int, classes count: Int, imageSize: Int) -> Gains {
      let share = 3 / Double(max(levels, 1))
      let size = Double(imageSize) / 640
      return Gains(
        box: box * share, objectness: objectness * size * size * share, classes: classes * Double(count) / 80 * share)
    }
  }

  /// How many classes there are.
  public let classes: Int
  /// Of the levels, in pixels, fine to coarse.
  public let strides: [Int]
  /// Width and height of each level's anchors in pixels, as many at each level.
  public let anchors: [[SIMD2<Double>]]
  /// What the parts count.
  public let gains: Gains
  /// How many times larger or smaller than an anchor a box's sides may be, `anchor_t`.
  public let anchorThreshold: Double
  /// How much of a class goes to all alike, 0 to 1.
  public let labelSmoothing: Double
  /// How much more classes that are there count, `cls_pw`.
  public let classWeight: Double
  /// How much more anchors that answer for a box count, `obj_pw`.
  public let objectnessWeight: Double
  /// What each level's objectness counts.
  public let balance: [Double]

  /// The anchors of yolov5n, s, m, l and x.
  public static let standardAnchors: [[SIMD2<Double>]] = [
    [SIMD2(10, 13), SIMD2(16, 30), SIMD2(33, 23)], [SIMD2(30, 61), SIMD2(62, 45), SIMD2(59, 119)],
    [SIMD2(116, 90), SIMD2(156, 198), SIMD2(373, 326)],
  ]

  /// A loss.
  /// - Parameter balance: what each level's objectness counts; the original's when nil.
  /// - Throws: `ModelError` for numbers that no head has.
  public init(
    classes: Int, strides: [Int] = [8, 16, 32], anchors: [[SIMD2<Double>]] = YOLOv5Loss.standardAnchors,
    gains: Gains = Gains(), anchorThreshold: Double = 4, labelSmoothing: Double = 0, classWeight: Double = 1,
    objectnessWeight: Double = 1, balance: [Double]? = nil
  ) throws {
    let balance = balance ?? (strides.count == 3 ? [4, 1, 0.4] : [4, 1, 0.25, 0.06, 0.02])
    try Self.check(classes: classes)
    guard !strides.isEmpty, strides.count == anchors.count, balance.count >= strides.count else {
      throw ModelError(
        .mismatch,
        "\(strides.count) strides, \(anchors.count) levels of anchors and \(balance.count) balances do not belong together"
      )
    }
    let count = anchors[0].count
    guard count > 0, anchors.allSatisfy({ $0.count == count && $0.allSatisfy { $0.min() > 0 && $0.max().isFinite } })
    else { throw ModelError(.invalid, "every level has as many anchors, whose sides are above 0") }
    guard (0...1).contains(labelSmoothing) else {
      throw ModelError(.invalid, "labels are smoothed by 0 to 1, not \(labelSmoothing)")
    }
    guard anchorThreshold > 0, [classWeight, objectnessWeight].allSatisfy({ $0 >= 0 && $0.isFinite }) else {
      throw ModelError(.invalid, "an anchor's threshold is above 0, and what classes and objectness count is 0 or more")
    }
    (self.classes, self.strides, self.anchors, self.gains) = (classes, strides, anchors, gains)
    (self.anchorThreshold, self.labelSmoothing, self.balance) = (anchorThreshold, labelSmoothing, balance)
    (self.classWeight, self.objectnessWeight) = (classWeight, objectnessWeight)
  }

  /// The loss of a batch; items are `box_loss`, `obj_loss` and `cls_loss`, the total their sum times the pictures.
  /// - Parameter outputs: of each level [pictures, anchors, rows, columns, 5 + classes] before the sigmoid.
  public func callAsFunction(
    _ outputs: [Tensor], _ targets: DetectionTargets, height: Int, width: Int, epoch: Int
  ) throws -> DetectionLoss {
    let grid = try AnchorGrid(height: height, width: width, strides: strides, copies: anchors[0].count)
    let outputs = try TrainingOutputs(
      outputs,
      grid.levels.map {
        ("level of stride \($0.stride)", [nil, anchors[0].count, $0.rows, $0.columns, 5 + classes])
      })
    let pictures = outputs.pictures
    try targets.check(pictures: pictures, classes: classes)
    var sums = LevelSums()
    var gradients: [Tensor] = []
    for (index, level) in grid.levels.enumerated() {
      let stride = Double(level.stride)
      let matching = AnchorMatching(
        anchors: anchors[index].map { $0 / stride }, rows: level.rows, columns: level.columns,
        threshold: anchorThreshold)
      let matches = matching.matches(targets.rows, pictures: pictures)
      let found =
        outputs.isDouble
        ? try levelLoss(outputs, index, level, matches, matching, of: Double.self)
        : try levelLoss(outputs, index, level, matches, matching, of: Float.self)
      sums.box += found.sums.box
      sums.objectness += found.sums.objectness
      sums.classes += found.sums.classes
      gradients.append(found.gradient)
    }
    let items = [
      DetectionLoss.Item(name: "box_loss", value: sums.box * gains.box),
      DetectionLoss.Item(name: "obj_loss", value: sums.objectness * gains.objectness),
      DetectionLoss.Item(name: "cls_loss", value: sums.classes * gains.classes),
    ]
    return DetectionLoss(
      total: items.reduce(0) { $0 + $1.value } * Double(pictures), items: items, gradients: gradients)
  }

  private struct LevelSums {
    var box = 0.0
    var objectness = 0.0
    var classes = 0.0
  }

  private struct Picture {
    let index: Int
    let matches: [AnchorMatching.Match]
    var sums = LevelSums()
  }

  private func levelLoss<Element: LossElement>(
    _ outputs: TrainingOutputs, _ index: Int, _ level: AnchorGrid.Level, _ matches: [[AnchorMatching.Match]],
    _ matching: AnchorMatching, of type: Element.Type
  ) throws -> (sums: LevelSums, gradient: Tensor) {
    let output = outputs.tensors[index]
    let total = matches.reduce(0) { $0 + $1.count }
    let batch = Double(matches.count)
    let cells = Double(matches.count * level.count)
    var gradient = try Tensor(type.dtype, output.shape)
    var pictures = matches.enumerated().map { Picture(index: $0, matches: $1) }
    let layout = AnchorLayout([matches.count, level.count, 5 + classes], isChannelMajor: false)
    try output.withElements(of: type) { values in
      try gradient.withMutableElements(of: type) { gradients in
        nonisolated(unsafe) let (values, gradients) = (values, gradients)
        try Parallel.update(&pictures) { picture in
          let values = layout.values(values, picture.index)
          try outputs.check(index, values.values, picture: picture.index)
          add(
            &picture, values, layout.gradients(gradients, picture.index), level, matching,
            boxShare: gains.box * batch / Double(total),
            objectnessShare: gains.objectness * balance[index] * batch / cells,
            classShare: gains.classes * batch / Double(total * classes))
        }
      }
    }
    var sums = LevelSums()
    for picture in pictures {
      sums.objectness += picture.sums.objectness * balance[index] / cells
      guard total > 0 else { continue }
      sums.box += picture.sums.box / Double(total)
      sums.classes += picture.sums.classes / Double(total * classes)
    }
    return (sums, gradient)
  }

  private func add<Element: LossElement>(
    _ picture: inout Picture, _ values: AnchorValues<Element>, _ gradients: AnchorGradients<Element>,
    _ level: AnchorGrid.Level, _ matching: AnchorMatching, boxShare: Double, objectnessShare: Double, classShare: Double
  ) {
    let overlap = BoxOverlap(.ciou, epsilon: 1e-7, heightEpsilon: 0)
    let (positive, negative) = (1 - 0.5 * labelSmoothing, 0.5 * labelSmoothing)
    var objectness: [Int: Double] = [:]
    // Anchors in cells that several boxes share have the sum of their derivatives.
    var slopes: [Int: [Double]] = [:]
    for match in picture.matches {
      let place = (match.anchor * level.rows + match.row) * level.columns + match.column
      let sides = (0..<4).map { Self.sigmoid(values[place, $0]) }
      let anchor = matching.anchors[match.anchor]
      let found = overlap.gradient(
        centerX: 2 * sides[0] - 0.5, centerY: 2 * sides[1] - 0.5, width: 4 * sides[2] * sides[2] * anchor.x,
        height: 4 * sides[3] * sides[3] * anchor.y, match.target)
      picture.sums.box += 1 - found.value
      objectness[place] = max(found.value, 0)
      var slope = slopes[place] ?? [Double](repeating: 0, count: 5 + classes)
      for side in 0..<4 {
        let s = sides[side]
        let inner = side < 2 ? 2 * s * (1 - s) : 8 * s * s * (1 - s) * anchor[side - 2]
        slope[side] -= found.gradient[side] * inner * boxShare
      }
      if classes > 1 {
        for classIndex in 0..<classes {
          let wish = classIndex == match.classIndex ? positive : negative
          let found = Self.entropy(values[place, 5 + classIndex], wish, classWeight)
          picture.sums.classes += found.cost
          slope[5 + classIndex] += found.slope * classShare
        }
      }
      slopes[place] = slope
    }
    for (place, slope) in slopes {
      for (channel, value) in slope.enumerated() { gradients.set(place, channel, value) }
    }
    for place in 0..<level.count {
      let found = Self.entropy(values[place, 4], objectness[place] ?? 0, objectnessWeight)
      picture.sums.objectness += found.cost
      gradients.set(place, 4, found.slope * objectnessShare)
    }
  }

  private static func sigmoid(_ x: Double) -> Double { 1 / (1 + CMath.exp(-x)) }

  /// torch's binary cross entropy with logits of one element, whose wish counts `weight` times.
  private static func entropy(_ x: Double, _ wish: Double, _ weight: Double) -> (cost: Double, slope: Double) {
    let factor = 1 + (weight - 1) * wish
    let softplus = max(-x, 0) + CMath.log1p(CMath.exp(-abs(x)))
    return ((1 - wish) * x + factor * softplus, (1 - wish) - factor * sigmoid(-x))
  }
}
