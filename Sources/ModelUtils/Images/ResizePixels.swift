import CKernels
import ModelCore

/// How `resizePixels` weighs neighbouring pixels.
public enum PixelInterpolation: String, Sendable, Codable, CaseIterable {
  /// `INTER_LINEAR`: of the four nearest pixels, also where the picture becomes smaller.
  case linear
  /// `INTER_AREA`: of all pixels that a new one covers.
  case area
}

/// Resamples a picture to a size: OpenCV's `resize`, bit for bit with `linear`, within 1 with `area`.
/// - Parameters:
///   - image: uint8 [height, width, 3], not empty; the order of the channels does not matter.
///   - size: [height, width] in pixels.
///   - interpolation: with `area` a side that becomes larger is refused.
/// - Throws: `ModelError` for another shape or type, and sizes beyond 1 to 2^20 pixels.
public func resizePixels(
  _ image: Tensor, to size: [Int], interpolation: PixelInterpolation = .linear
) throws -> Tensor {
  try image.checkPixels()
  guard size.count == 2, (size + image.shape.prefix(2)).allSatisfy({ (1...1 << 20).contains($0) }) else {
    throw ModelError(.invalid, "a size is [height, width] of 1 to \(1 << 20) pixels, not \(size)")
  }
  let (height, width) = (image.shape[0], image.shape[1])
  guard size != [height, width] else { return image }
  guard interpolation == .linear || (size[0] <= height && size[1] <= width) else {
    throw ModelError(.invalid, "a picture of \(height)x\(width) has no areas for \(size[0])x\(size[1]) pixels")
  }
  return try image.mapRows(to: size) { rows, count, source, target in
    let isLinear = interpolation == .linear
    let bytes = isLinear ? mk_resize_pixels_scratch(size[1]) : mk_shrink_pixels_scratch(size[1])
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    defer { scratch.deallocate() }
    if isLinear {
      mk_resize_pixels(target, size[1] * 3, size[1], size[0], source, width, height, rows, count, scratch)
    } else {
      mk_shrink_pixels(target, size[1], size[0], source, width, height, rows, count, scratch)
    }
  }
}

extension Tensor {
  /// - Throws: `ModelError` for what is no picture of bytes with 3 channels.
  func checkPixels() throws {
    guard dtype == .uint8, shape.count == 3, shape[2] == 3, count > 0 else {
      throw ModelError(
        .mismatch, "pixels are uint8 of shape [height, width, 3], not \(dtype.rawValue) \(shape)")
    }
  }

  /// A picture of another size whose rows threads make, some at a time: `body` gets the first row and their count, this
  /// picture's first byte and the first row's.
  func mapRows(
    to size: [Int],
    _ body: @Sendable @escaping (Int, Int, UnsafePointer<UInt8>, UnsafeMutablePointer<UInt8>) -> Void
  ) throws -> Tensor {
    try checkMemory(.uint8, size + [3])
    let source = try ContiguousBytes(self)
    return try Tensor(.uint8, size + [3]) { bytes in
      guard let start = bytes.baseAddress, let origin = source.bytes.baseAddress else { return }
      nonisolated(unsafe) let (to, from) = (
        start.assumingMemoryBound(to: UInt8.self), origin.assumingMemoryBound(to: UInt8.self)
      )
      let step = 32
      Parallel.forEach((size[0] + step - 1) / step) { part in
        let first = part * step
        body(first, min(step, size[0] - first), from, to + first * size[1] * 3)
      }
    }
  }
}
