/// How well a box covers another: the intersection over union, or one of the forms that tell apart boxes which do not
/// meet. YOLOv6's `IOUloss` is 1 minus it, YOLOv5's and Ultralytics' `bbox_iou` are it.
public struct BoxOverlap: Sendable, Hashable {
  /// What is taken off the intersection over union.
  public enum Form: String, Sendable, Hashable, Codable, CaseIterable {
    /// Nothing.
    case iou
    /// The share of the box around both that neither covers.
    case giou
    /// The distance of the centres.
    case diou
    /// That, and the difference of the aspects, whose weight counts as constant in the derivative.
    case ciou
    /// The distance of the centres by its direction, and the difference of the sides.
    case siou
  }

  /// Which form.
  public var form: Form
  /// What keeps denominators from 0: 1e-10 in YOLOv6, 1e-7 in YOLOv5 and Ultralytics.
  public var epsilon: Double
  /// What is added to heights: `epsilon`, but 0 in YOLOv5's loss.
  public var heightEpsilon: Double

  /// A form with its small numbers.
  /// - Parameter heightEpsilon: `epsilon` when nil.
  public init(_ form: Form, epsilon: Double = 1e-10, heightEpsilon: Double? = nil) {
    (self.form, self.epsilon, self.heightEpsilon) = (form, epsilon, heightEpsilon ?? epsilon)
  }

  /// The overlap of a predicted box and its target, 1 for equal ones, in the same unit.
  public func callAsFunction(_ box: CornerBox, _ target: CornerBox) -> Double {
    overlap(box.x1, box.y1, box.x2, box.y2, target)
  }

  /// The overlap, and its derivatives by x1, y1, x2 and y2 of the predicted box.
  public func gradient(_ box: CornerBox, _ target: CornerBox) -> (value: Double, gradient: SIMD4<Double>) {
    let found = overlap(
      DualNumber(box.x1, variable: 0), DualNumber(box.y1, variable: 1), DualNumber(box.x2, variable: 2),
      DualNumber(box.y2, variable: 3), target)
    return (found.value, found.partials)
  }

  /// The overlap, and its derivatives by the predicted box's centre x, centre y, width and height.
  public func gradient(
    centerX: Double, centerY: Double, width: Double, height: Double, _ target: CornerBox
  ) -> (value: Double, gradient: SIMD4<Double>) {
    let (x, y) = (DualNumber(centerX, variable: 0), DualNumber(centerY, variable: 1))
    let (w, h) = (DualNumber(width, variable: 2) / 2, DualNumber(height, variable: 3) / 2)
    let found = overlap(x - w, y - h, x + w, y + h, target)
    return (found.value, found.partials)
  }

  private func overlap<Number: OverlapNumber>(
    _ x1: Number, _ y1: Number, _ x2: Number, _ y2: Number, _ target: CornerBox
  ) -> Number {
    let (left, right) = (Number(target.x1), Number(target.x2))
    let (top, bottom) = (Number(target.y1), Number(target.y2))
    let intersection =
      (Number.smaller(x2, right) - Number.larger(x1, left)).notNegative
      * (Number.smaller(y2, bottom) - Number.larger(y1, top)).notNegative
    let (width, height) = (x2 - x1, y2 - y1 + heightEpsilon)
    let (targetWidth, targetHeight) = (target.x2 - target.x1, target.y2 - target.y1 + heightEpsilon)
    let union = width * height + targetWidth * targetHeight - intersection + epsilon
    let iou = intersection / union
    if form == .iou { return iou }
    let hullWidth = Number.larger(x2, right) - Number.smaller(x1, left)
    let hullHeight = Number.larger(y2, bottom) - Number.smaller(y1, top)
    if form == .giou {
      let hull = hullWidth * hullHeight + epsilon
      return iou - (hull - union) / hull
    }
    // Twice the way from the box's centre to the target's.
    let (acrossTwice, downTwice) = ((target.x1 + target.x2) - x1 - x2, (target.y1 + target.y2) - y1 - y2)
    if form == .siou {
      let (across, down) = (acrossTwice * 0.5 + epsilon, downTwice * 0.5 + epsilon)
      let distance = distanceCost(across, down, hullWidth, hullHeight)
      let shape = shapeCost(width, targetWidth) + shapeCost(height, targetHeight)
      return iou - (distance + shape) * 0.5
    }
    let diagonal = hullWidth.square + hullHeight.square + epsilon
    let apart = (acrossTwice.square + downTwice.square) / 4 / diagonal
    if form == .diou { return iou - apart }
    let angle = (targetWidth / targetHeight).arcTangent - (width / height).arcTangent
    let aspect = angle.square * (4 / (Double.pi * Double.pi))
    let weight = aspect.value / (aspect.value - iou.value + 1 + epsilon)
    return iou - (apart + aspect * weight)
  }

  /// SIoU's, of the way between the centres.
  private func distanceCost<Number: OverlapNumber>(
    _ across: Number, _ down: Number, _ hullWidth: Number, _ hullHeight: Number
  ) -> Number {
    let length = (across.square + down.square).squareRoot
    let sine = across.magnitude / length
    // Towards whichever axis is nearer.
    let nearer = sine.value > 2.0.squareRoot() / 2 ? down.magnitude / length : sine
    let exponent = (nearer.arcSine * 2 - Double.pi / 2).cosine - 2
    let (x, y) = ((across / hullWidth).square, (down / hullHeight).square)
    return 2 - (exponent * x).exponential - (exponent * y).exponential
  }

  /// SIoU's, of one pair of sides.
  private func shapeCost<Number: OverlapNumber>(_ side: Number, _ target: Double) -> Number {
    let difference = (side - target).magnitude / Number.larger(side, Number(target))
    return (1 - (0 - difference).exponential).square.square
  }
}
