import CKernels
import ModelCore

/// One of the views that test-time augmentation sends through a model.
public struct AugmentView: Sendable {
  /// [batch, channels, height, width].
  public let image: Tensor
  /// The ratio that `scaleImage` was given.
  public let scale: Double
  /// Whether left and right are exchanged.
  public let isFlipped: Bool
  /// The original's [height, width].
  public let originalSize: [Int]

  /// Predictions on this view, as predictions on the original: YOLOv5's `_descale_pred`.
  /// - Parameter predictions: float32 [..., n], n at least 4, whose first four are x, y of the centre, width and height
  ///   in pixels.
  /// - Throws: `ModelError` for another type or shape.
  public func descaled(_ predictions: Tensor) throws -> Tensor {
    try mapRows(predictions) { row in
      for index in 0..<4 { row[index] /= Float(scale) }
      if isFlipped { row[0] = Float(originalSize[1]) - row[0] }
    }
  }
}

/// The three views of YOLOv5's test-time augmentation (`_forward_augment`): the picture itself, it exchanged left to
/// right and scaled by 0.83, and it scaled by 0.67, padded to the stride.
/// - Parameters:
///   - image: as `scaleImage` takes it; bytes become float32 in all three.
///   - stride: the model's largest stride in pixels.
/// - Throws: as `scaleImage`.
public func forwardAugmentViews(_ image: Tensor, stride: Int = 32) throws -> [AugmentView] {
  try [(1, false), (0.83, true), (0.67, false)].map { scale, isFlipped in
    let source = isFlipped ? try flippedLeftRight(image) : image
    let view = try scaleImage(source, ratio: scale, gridSize: stride)
    return AugmentView(
      image: view, scale: scale, isFlipped: isFlipped, originalSize: Array(image.shape.suffix(2)))
  }
}

/// The last axis reversed.
private func flippedLeftRight(_ image: Tensor) throws -> Tensor {
  guard let width = image.shape.last, image.sampleType != nil, image.count > 0 else { return image }
  let source = try ContiguousBytes(image)
  let size = image.dtype.bitWidth / 8
  return try Tensor(image.dtype, image.shape) { bytes in
    guard let to = bytes.baseAddress, let from = source.bytes.baseAddress else { return }
    nonisolated(unsafe) let (start, origin) = (to, from)
    let rows = image.count / width
    let step = max(1, (128 << 10) / (width * size))
    Parallel.forEach((rows + step - 1) / step) { part in
      let offset = part * step * width * size
      mk_reverse_rows(start + offset, origin + offset, min(step, rows - part * step), width, size)
    }
  }
}
