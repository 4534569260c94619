import CKernels
import ModelCore

/// An affine map of the plane: (x, y) goes to (xx·x + xy·y + dx, yx·x + yy·y + dy).
public struct AffineMap: Sendable, Hashable {
  /// The first row.
  public var xx = 1.0, xy = 0.0, dx = 0.0
  /// The second row.
  public var yx = 0.0, yy = 1.0, dy = 0.0

  /// The map that leaves all where it is.
  public static let identity = AffineMap()

  /// A map of its two rows.
  public init(xx: Double = 1, xy: Double = 0, dx: Double = 0, yx: Double = 0, yy: Double = 1, dy: Double = 0) {
    (self.xx, self.xy, self.dx, self.yx, self.yy, self.dy) = (xx, xy, dx, yx, yy, dy)
  }

  /// First the other map, then this one: the product of the matrices.
  public static func * (map: AffineMap, other: AffineMap) -> AffineMap {
    AffineMap(
      xx: map.xx * other.xx + map.xy * other.yx, xy: map.xx * other.xy + map.xy * other.yy,
      dx: map.xx * other.dx + map.xy * other.dy + map.dx, yx: map.yx * other.xx + map.yy * other.yx,
      yy: map.yx * other.xy + map.yy * other.yy, dy: map.yx * other.dx + map.yy * other.dy + map.dy)
  }

  /// Where a point goes.
  public func callAsFunction(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
    (xx * x + xy * y + dx, yx * x + yy * y + dy)
  }

  /// The map back; of one that cannot be undone, as OpenCV has it, the map to a point.
  public var inverse: AffineMap {
    let determinant = xx * yy - xy * yx
    let factor = determinant == 0 ? 0 : 1 / determinant
    let (a, b, c, d) = (yy * factor, xy * -factor, yx * -factor, xx * factor)
    return AffineMap(xx: a, xy: b, dx: -a * dx - b * dy, yx: c, yy: d, dy: -c * dx - d * dy)
  }
}

/// Moves a picture by an affine map: `warpAffine` of OpenCV 5, bilinear, bit for bit.
/// - Parameters:
///   - image: uint8 [height, width, 3], not empty; the order of the channels does not matter.
///   - map: where pixels go.
///   - size: the result's [height, width] in pixels.
///   - border: what is beyond the picture, in all channels.
/// - Throws: `ModelError` for another shape or type, and sizes beyond 1 to 2^20 pixels.
public func warpAffine(_ image: Tensor, by map: AffineMap, to size: [Int], border: UInt8 = 114) throws -> Tensor {
  try image.checkPixels()
  guard size.count == 2, (size + image.shape.prefix(2)).allSatisfy({ (1...1 << 20).contains($0) }) else {
    throw ModelError(.invalid, "a size is [height, width] of 1 to \(1 << 20) pixels, not \(size)")
  }
  let back = map.inverse
  let inverse = [back.xx, back.xy, back.dx, back.yx, back.yy, back.dy].map { Float($0) }
  let (height, width) = (image.shape[0], image.shape[1])
  return try image.mapRows(to: size) { first, count, source, target in
    inverse.withUnsafeBufferPointer { inverse in
      mk_warp_pixels(target, size[1], source, width, height, inverse.baseAddress, border, first, count)
    }
  }
}
