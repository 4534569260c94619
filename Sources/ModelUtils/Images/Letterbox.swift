import CKernels
import ModelCore

/// A picture fitted into a model's input, and where it stands there.
public struct Letterbox: Sendable {
  /// uint8 [height, width, 3].
  public let image: Tensor
  /// New size over old.
  public let ratio: (width: Double, height: Double)
  /// The grey on each side in pixels; a half where one side has a pixel more than the other.
  public let padding: (width: Double, height: Double)
  /// The original's [height, width].
  public let originalSize: [Int]

  /// Boxes found in `image`, as boxes in the original picture.
  /// - Throws: as `scaleBoxes`.
  public func boxesInOriginal(_ boxes: Tensor) throws -> Tensor {
    try mapBoxes(boxes, gain: ratio.width, padding: padding, size: originalSize)
  }
}

/// Fits a picture into a rectangle with its proportions kept, grey around it: YOLOv5's `letterbox`, bit for bit.
///
/// The resampling is OpenCV's `resize` with `INTER_LINEAR` (fixed-point, 11 bits of weight), which differs from
/// `scaleImage`'s.
///
/// - Parameters:
///   - image: uint8 [height, width, 3], not empty; the order of the channels does not matter.
///   - size: [height, width] to fit into.
///   - stride: with `auto`, the padding is the least that makes the sides multiples of it.
///   - auto: the smallest rectangle, not all of `size`. It goes before `scaleFill`, as in the original.
///   - scaleFill: stretch to `size` instead of padding.
///   - scaleUp: whether a picture smaller than `size` is enlarged.
///   - color: the grey of the padding, 114 in all channels.
/// - Throws: `ModelError` for another shape or type, sizes that are not positive, and a picture of which nothing would
///   be left.
public func letterbox(
  _ image: Tensor, to size: [Int] = [640, 640], stride: Int = 32, auto: Bool = true, scaleFill: Bool = false,
  scaleUp: Bool = true, color: UInt8 = 114
) throws -> Letterbox {
  guard image.dtype == .uint8, image.shape.count == 3, image.shape[2] == 3, image.count > 0 else {
    throw ModelError(
      .mismatch,
      "letterbox takes uint8 pixels of shape [height, width, 3], not \(image.dtype.rawValue) \(image.shape)")
  }
  let limit = 1...(1 << 20)
  guard size.count == 2, (size + image.shape.prefix(2) + [stride]).allSatisfy({ limit.contains($0) }) else {
    throw ModelError(.invalid, "letterbox takes a size [height, width] and a stride of 1 to \(limit.upperBound) pixels")
  }
  let (height, width) = (image.shape[0], image.shape[1])
  var scale = min(Double(size[0]) / Double(height), Double(size[1]) / Double(width))
  if !scaleUp { scale = min(scale, 1) }
  var ratio = (width: scale, height: scale)
  var inner = [
    Int((Double(height) * scale).rounded(.toNearestOrEven)), Int((Double(width) * scale).rounded(.toNearestOrEven)),
  ]
  var gap = [size[0] - inner[0], size[1] - inner[1]]
  if auto {
    gap = gap.map { (($0 % stride) + stride) % stride }
  } else if scaleFill {
    (gap, inner) = ([0, 0], size)
    ratio = (Double(size[1]) / Double(width), Double(size[0]) / Double(height))
  }
  guard inner[0] > 0, inner[1] > 0 else {
    throw ModelError(
      .invalid,
      "a picture of \(height)x\(width) fitted into \(size[0])x\(size[1]) would be \(inner[0])x\(inner[1])")
  }
  let half = gap.map { Double($0) / 2 }
  let (before, after) = (
    half.map { Int(($0 - 0.1).rounded(.toNearestOrEven)) }, half.map { Int(($0 + 0.1).rounded(.toNearestOrEven)) }
  )
  let shape = [before[0] + inner[0] + after[0], before[1] + inner[1] + after[1], 3]
  try checkMemory(.uint8, shape)
  let source = try ContiguousBytes(image)
  let target = inner
  let result = try Tensor(.uint8, shape) { bytes in
    guard let start = bytes.baseAddress, let origin = source.bytes.bindMemory(to: UInt8.self).baseAddress else {
      return
    }
    bytes.initializeMemory(as: UInt8.self, repeating: color)
    let rowBytes = shape[1] * 3
    nonisolated(unsafe) let from = origin
    nonisolated(unsafe) let to = start.assumingMemoryBound(to: UInt8.self) + before[0] * rowBytes + before[1] * 3
    let step = 32
    Parallel.forEach((target[0] + step - 1) / step) { part in
      let rows = min(step, target[0] - part * step)
      if target == [height, width] {
        for row in part * step..<part * step + rows {
          (to + row * rowBytes).update(from: from + row * width * 3, count: width * 3)
        }
        return
      }
      let scratch = UnsafeMutableRawPointer.allocate(byteCount: mk_resize_pixels_scratch(target[1]), alignment: 64)
      defer { scratch.deallocate() }
      mk_resize_pixels(
        to + part * step * rowBytes, rowBytes, target[1], target[0], from, width, height, part * step, rows, scratch)
    }
  }
  return Letterbox(
    image: result, ratio: ratio, padding: (half[1], half[0]), originalSize: [height, width])
}

/// Boxes found in a letterboxed picture, as boxes in the picture that it was made from, clipped to it: YOLOv5's
/// `scale_boxes` without `ratio_pad` (with it: `Letterbox.boxesInOriginal`).
///
/// - Parameters:
///   - boxes: float32 [..., n], n at least 4, whose first four are x1, y1, x2, y2 in pixels; the others stay.
///   - size: the letterboxed picture's [height, width].
///   - original: the original picture's [height, width].
/// - Throws: `ModelError` for another type or shape, and sizes that are not positive.
public func scaleBoxes(_ boxes: Tensor, from size: [Int], to original: [Int]) throws -> Tensor {
  guard size.count == 2, original.count == 2, (size + original).allSatisfy({ $0 > 0 }) else {
    throw ModelError(.mismatch, "sizes are [height, width] in pixels, not \(size) and \(original)")
  }
  let (from, to) = (size.map { Double($0) }, original.map { Double($0) })
  let gain = min(from[0] / to[0], from[1] / to[1])
  return try mapBoxes(
    boxes, gain: gain, padding: ((from[1] - to[1] * gain) / 2, (from[0] - to[0] * gain) / 2), size: original)
}

/// Boxes of a picture that was resized by a gain and then padded, as boxes in the picture, cut at its edges.
package func mapBoxes(
  _ boxes: Tensor, gain: Double, padding: (width: Double, height: Double), size: [Int]
) throws -> Tensor {
  let pads = [Float(padding.width), Float(padding.height)]
  let limits = [Float(size[1]), Float(size[0])]
  return try mapRows(boxes) { row in
    for index in 0..<4 {
      let value = (row[index] - pads[index % 2]) / Float(gain)
      row[index] = value.isNaN ? value : min(max(value, 0), limits[index % 2])
    }
  }
}

/// Calls `body` with each row along the last axis of float32 predictions.
func mapRows(_ boxes: Tensor, _ body: @escaping (UnsafeMutableBufferPointer<Float>) -> Void) throws -> Tensor {
  guard boxes.dtype == .float32, let length = boxes.shape.last, length >= 4 else {
    throw ModelError(
      .mismatch,
      "boxes are float32 with at least 4 elements along the last axis, not \(boxes.dtype.rawValue) \(boxes.shape)")
  }
  return try Tensor(.float32, boxes.shape) { bytes in
    try boxes.copyBytes(to: bytes)
    let values = bytes.bindMemory(to: Float.self)
    for start in stride(from: 0, to: values.count, by: length) {
      body(UnsafeMutableBufferPointer(rebasing: values[start..<start + length]))
    }
  }
}
