import ModelCore

/// Batches of pictures of like proportions, with the size of each batch's inputs: YOLO's `rect`, by which it judges.
public struct RectangularBatches: Sendable, Hashable {
  /// Which pictures come first.
  public enum Order: Sendable, Hashable {
    /// Narrow ones: YOLOv6.
    case narrowFirst
    /// Wide ones: YOLOv5, v7, v9 and Ultralytics.
    case wideFirst
  }

  /// The samples of each batch: the whole set in the order asked for.
  public let indices: [[Int]]
  /// For each batch its inputs' [height, width].
  public let sizes: [[Int]]

  /// Batches of a set. A batch's inputs are as narrow as its widest picture allows, or as low as its highest, in multiples
  /// of `stride`; the last batch has what is left.
  /// - Parameters:
  ///   - imageSize: the longer side in pixels, before padding.
  ///   - order: which pictures come first, which decides what is left for the last batch.
  ///   - padding: what is added to each side before it is rounded up, in strides.
  /// - Throws: `ModelError` for sizes that are not above 0, and a padding that is not 0 to 16.
  public init(
    _ set: DetectionSet, batchSize: Int, imageSize: Int, stride: Int = 32, padding: Double = 0.5,
    order: Order = .narrowFirst
  ) throws {
    guard (1...DetectionLoader.sideLimit).contains(imageSize), (1...DetectionLoader.sideLimit).contains(stride),
      (0...16).contains(padding)
    else {
      throw ModelError(
        .invalid, "there are no inputs of \(imageSize) pixels with a stride of \(stride) and a padding of \(padding)")
    }
    // The side that the ratios are of: the width as a share of the height, or the other way round.
    let side = order == .narrowFirst ? 1 : 0
    let ratios = set.samples.map { Double($0.size[side]) / Double($0.size[1 - side]) }
    let order = ratios.indices.sorted { (ratios[$0], $0) < (ratios[$1], $1) }
    indices = try SampleOrder.batches(order, size: batchSize)
    sizes = indices.map { batch in
      let (low, high) = batch.reduce((Double.infinity, 0.0)) { (min($0.0, ratios[$1]), max($0.1, ratios[$1])) }
      var sides = high < 1 ? [1, high] : low > 1 ? [1 / low, 1] : [1, 1]
      if side == 0 { sides.reverse() }
      return sides.map { side in
        Int((side * Double(imageSize) / Double(stride) + padding).rounded(.up)) * stride
      }
    }
  }
}
