/// An upright rectangle by its left upper and right lower corner, in pixels or in cells of a level.
public struct CornerBox: Sendable, Hashable {
  /// Of the left side.
  public var x1: Double
  /// Of the upper side.
  public var y1: Double
  /// Of the right side.
  public var x2: Double
  /// Of the lower side.
  public var y2: Double

  /// A rectangle.
  public init(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) {
    (self.x1, self.y1, self.x2, self.y2) = (x1, y1, x2, y2)
  }

  /// A rectangle around a centre.
  public init(centerX: Double, centerY: Double, width: Double, height: Double) {
    self.init(centerX - width / 2, centerY - height / 2, centerX + width / 2, centerY + height / 2)
  }

  var isFinite: Bool { x1.isFinite && y1.isFinite && x2.isFinite && y2.isFinite }

  /// The same rectangle in another unit.
  func scaled(by factor: Double) -> CornerBox { CornerBox(x1 * factor, y1 * factor, x2 * factor, y2 * factor) }

  /// Whether a point is inside by more than roundings.
  func contains(_ x: Double, _ y: Double) -> Bool { min(x - x1, y - y1, x2 - x, y2 - y) > 1e-9 }

  /// The intersection over union of YOLOv6's assigners: negative sides count as none.
  func clippedIoU(_ other: CornerBox) -> Double {
    let intersection = intersection(other)
    let areas = max(x2 - x1, 0) * max(y2 - y1, 0) + max(other.x2 - other.x1, 0) * max(other.y2 - other.y1, 0)
    return intersection / (areas - intersection + 1e-9)
  }

  /// The area of what both cover.
  func intersection(_ other: CornerBox) -> Double {
    max(min(x2, other.x2) - max(x1, other.x1), 0) * max(min(y2, other.y2) - max(y1, other.y1), 0)
  }
}

/// What is to be found in a picture.
public struct TargetBox: Sendable, Hashable {
  /// The number of its class, from 0.
  public var classIndex: Int
  /// Where it is, in pixels.
  public var box: CornerBox

  /// A box of a class.
  public init(classIndex: Int, box: CornerBox) { (self.classIndex, self.box) = (classIndex, box) }
}
