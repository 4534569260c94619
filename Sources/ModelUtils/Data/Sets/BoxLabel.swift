/// An object in a picture: its class, and its box as shares of the picture's sides.
public struct BoxLabel: Sendable, Hashable {
  /// The class, from 0.
  public let classIndex: Int
  /// The middle, 0 to 1 from the left and from the top.
  public let x: Float, y: Float
  /// The sides, 0 to 1.
  public let width: Float, height: Float

  /// An object of its class and box.
  public init(classIndex: Int, x: Float, y: Float, width: Float, height: Float) {
    (self.classIndex, self.x, self.y, self.width, self.height) = (classIndex, x, y, width, height)
  }

  /// The corners in pixels of a picture that begins at an offset, each step rounded as NumPy's.
  func corners<Scalar: BinaryFloatingPoint>(
    width columns: Scalar, height rows: Scalar, left: Scalar, top: Scalar
  ) -> PixelBox {
    let (x, y, width, height) = (Scalar(x), Scalar(y), Scalar(width), Scalar(height))
    return PixelBox(
      classIndex: classIndex, x1: Float(columns * (x - width / 2) + left), y1: Float(rows * (y - height / 2) + top),
      x2: Float(columns * (x + width / 2) + left), y2: Float(rows * (y + height / 2) + top))
  }
}

/// An object in a picture, by its box's corners in pixels.
struct PixelBox: Sendable, Hashable {
  let classIndex: Int
  var x1: Float, y1: Float, x2: Float, y2: Float

  /// Cut at a picture's edges, as the original cuts before it makes labels, and as shares of the picture.
  func label(width: Int, height: Int) -> BoxLabel {
    let (right, bottom) = (Float(Double(width) - 1e-3), Float(Double(height) - 1e-3))
    let (left, end) = (min(max(x1, 0), right), min(max(x2, 0), right))
    let (top, low) = (min(max(y1, 0), bottom), min(max(y2, 0), bottom))
    return BoxLabel(
      classIndex: classIndex, x: (left + end) / 2 / Float(width), y: (top + low) / 2 / Float(height),
      width: (end - left) / Float(width), height: (low - top) / Float(height))
  }
}
