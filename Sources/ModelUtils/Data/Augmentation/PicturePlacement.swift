import ModelCore
import ModelImages

/// Where a picture stands in its input.
public struct PicturePlacement: Sendable, Hashable {
  /// The picture's [height, width] in pixels.
  public let originalSize: [Int]
  /// New [height, width] over old.
  public let ratio: [Double]
  /// The grey above and on the left, [height, width] in pixels; a half where the other side has a pixel more.
  public let padding: [Double]

  /// Boxes in the input as boxes in the picture, cut at its edges: YOLOv6's `scale_coords`, which takes the heights' ratio
  /// for both axes.
  /// - Parameter boxes: float32 [..., n], n at least 4, whose first four are x1, y1, x2, y2 in pixels; the others stay.
  /// - Throws: `ModelError` for another type or shape.
  public func boxesInOriginal(_ boxes: Tensor) throws -> Tensor {
    try mapBoxes(boxes, gain: ratio[0], padding: (padding[1], padding[0]), size: originalSize)
  }
}
