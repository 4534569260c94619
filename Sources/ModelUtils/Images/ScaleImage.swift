import CKernels
import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Scales pictures by a ratio and pads them to a multiple of a model's stride: YOLOv5's `scale_img`.
///
/// The resampling is PyTorch's bilinear `interpolate` with `align_corners=False` and no antialiasing, to
/// `(int(height · ratio), int(width · ratio))`. Then, unless `sameShape`, the right and the bottom are padded with
/// `paddingValue` to `ceil(side · ratio / gridSize) · gridSize`. With `sameShape` the result has the input's size:
/// padded for a ratio below 1, cropped on the right and at the bottom for one above. A ratio of 1 gives the input
/// itself, unpadded.
///
/// - Parameters:
///   - image: [batch, channels, height, width]. float32, float16 and bfloat16 give the same type; the latter two are
///     computed in float32 and rounded once. uint8 is promoted to float32 as an inference program does it, 255 standing
///     for 1, also when the ratio is 1 (where the original would pad bytes with int(0.447), 0).
///   - gridSize: the model's stride in pixels.
///   - paddingValue: 0.447 is the mean of ImageNet's pictures.
/// - Throws: `ModelError` for another number of axes or another type, a side that is or would become 0, a ratio or grid
///   that is not positive and finite, and a result larger than the machine's memory.
public func scaleImage(
  _ image: Tensor, ratio: Double = 1, sameShape: Bool = false, gridSize: Int = 32, paddingValue: Float = 0.447
) throws -> Tensor {
  let size = try ScaledSize(image, ratio: ratio, sameShape: sameShape, gridSize: gridSize)
  if ratio == 1, image.dtype != .uint8 { return image }
  return try resample(image, size, fill: paddingValue)
}

/// The sizes that `scaleImage` goes through, [height, width] each.
public struct ScaledSize: Sendable, Hashable {
  /// Before.
  public let input: [Int]
  /// Resampled, neither padded nor cropped.
  public let resampled: [Int]
  /// The result's.
  public let output: [Int]

  /// The columns and rows that are added on the right and at the bottom; negative where the picture is cropped.
  public var padding: [Int] { [output[0] - resampled[0], output[1] - resampled[1]] }

  /// The sizes for a picture [batch, channels, height, width].
  /// - Throws: as `scaleImage`.
  public init(_ image: Tensor, ratio: Double, sameShape: Bool = false, gridSize: Int = 32) throws {
    guard image.shape.count == 4 else {
      throw ModelError(.mismatch, "a picture has the shape [batch, channels, height, width], not \(image.shape)")
    }
    guard image.sampleType != nil else {
      throw ModelError(
        .unsupported,
        "\(image.dtype.rawValue) pictures cannot be scaled", advice: "convert to float32, float16, bfloat16 or uint8")
    }
    try self.init(
      height: image.shape[2], width: image.shape[3], ratio: ratio, sameShape: sameShape, gridSize: gridSize)
  }

  /// The sizes for a picture of a height and width in pixels.
  /// - Throws: as `scaleImage`.
  public init(height: Int, width: Int, ratio: Double, sameShape: Bool = false, gridSize: Int = 32) throws {
    let sides = [height, width]
    guard sides.allSatisfy({ (1...ScaledSize.sideLimit).contains($0) }) else {
      throw ModelError(
        .limit,
        "a picture of \(height)x\(width) cannot be scaled: sides are 1 to \(ScaledSize.sideLimit) pixels")
    }
    guard ratio > 0, ratio.isFinite else {
      throw ModelError(.invalid, "\(ratio) is no ratio: it must be positive and finite")
    }
    guard (1...ScaledSize.sideLimit).contains(gridSize) else {
      throw ModelError(.invalid, "\(gridSize) is no grid: it must be 1 to \(ScaledSize.sideLimit) pixels")
    }
    input = sides
    if ratio == 1 {
      (resampled, output) = (sides, sides)
      return
    }
    let scaled = sides.map { (Double($0) * ratio).rounded(.towardZero) }
    let padded = sides.map { (Double($0) * ratio / Double(gridSize)).rounded(.up) * Double(gridSize) }
    guard (scaled + padded).allSatisfy({ $0 <= Double(ScaledSize.sideLimit) }) else {
      throw ModelError(
        .limit,
        "\(height)x\(width) scaled by \(ratio) would have a side of more than \(ScaledSize.sideLimit) pixels")
    }
    resampled = scaled.map { Int($0) }
    output = sameShape ? sides : padded.map { Int($0) }
    guard resampled.allSatisfy({ $0 > 0 }) else {
      throw ModelError(.invalid, "\(height)x\(width) scaled by \(ratio) would be \(resampled[0])x\(resampled[1])")
    }
  }

  /// The longest side that is supported: beyond it float32 no longer tells neighbouring pixels apart.
  public static let sideLimit = 1 << 24
}

extension Tensor {
  /// How the kernels read this tensor as a picture.
  var sampleType: mk_sample? {
    switch dtype {
    case .uint8: MK_SAMPLE_UINT8
    case .float16: MK_SAMPLE_FLOAT16
    case .bfloat16: MK_SAMPLE_BFLOAT16
    case .float32: MK_SAMPLE_FLOAT32
    default: nil
    }
  }
}

/// The tables of a resampling, shared by all planes.
private final class Resampling: Sendable {
  nonisolated(unsafe) let plan: mk_resampling
  private nonisolated(unsafe) let indices: UnsafeMutablePointer<Int32>
  private nonisolated(unsafe) let weights: UnsafeMutablePointer<Float>

  init(_ size: ScaledSize, fill: Float) {
    let (height, width) = (min(size.resampled[0], size.output[0]), min(size.resampled[1], size.output[1]))
    indices = .allocate(capacity: height + width)
    weights = .allocate(capacity: height + width)
    mk_resample_taps(indices, weights, height, size.input[0], size.resampled[0])
    mk_resample_taps(indices + height, weights + height, width, size.input[1], size.resampled[1])
    plan = mk_resampling(
      in_height: size.input[0], in_width: size.input[1], height: height, width: width, out_height: size.output[0],
      out_width: size.output[1], row_index: indices, column_index: indices + height, row_weight: weights,
      column_weight: weights + height, same_height: size.input[0] == size.resampled[0],
      same_width: size.input[1] == size.resampled[1], fill: fill)
  }

  deinit {
    indices.deallocate()
    weights.deallocate()
  }
}

/// One pass over all planes: a thread takes some rows of the result at a time.
private func resample(_ image: Tensor, _ size: ScaledSize, fill: Float) throws -> Tensor {
  guard let type = image.sampleType else { return image }
  let dtype = image.dtype == .uint8 ? .float32 : image.dtype
  let shape = Array(image.shape.prefix(2) + size.output)
  try checkMemory(dtype, shape)
  let resampling = Resampling(size, fill: fill)
  let source = try ContiguousBytes(image)
  return try Tensor(dtype, shape) { destination in
    guard let start = destination.baseAddress, let origin = source.bytes.baseAddress, image.count > 0 else { return }
    nonisolated(unsafe) let (to, from) = (start, origin)
    let (rows, rowBytes) = (size.output[0], size.output[1] * dtype.bitWidth / 8)
    let planeBytes = size.input[0] * size.input[1] * image.dtype.bitWidth / 8
    let step = max(1, min(rows, (128 << 10) / rowBytes))
    let parts = (rows + step - 1) / step
    Parallel.forEach(image.shape[0] * image.shape[1] * parts) { index in
      let (plane, first) = (index / parts, index % parts * step)
      withUnsafePointer(to: resampling.plan) { plan in
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: mk_resample_scratch(plan), alignment: 64)
        defer { scratch.deallocate() }
        mk_resample_rows(
          to + (plane * rows + first) * rowBytes, from + plane * planeBytes, type, plan, first, min(step, rows - first),
          scratch)
      }
    }
  }
}

/// - Throws: `ModelError` when a tensor would be larger than this machine's memory.
func checkMemory(_ dtype: DType, _ shape: [Int]) throws {
  let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
  let memory = pages > 0 && size > 0 ? pages.multipliedReportingOverflow(by: size).partialValue : Int.max
  guard let count = Tensor.elementCount(shape), let bytes = dtype.byteCount(of: count), bytes <= memory else {
    throw ModelError(.limit, "a \(dtype.rawValue) result of shape \(shape) does not fit in this machine's memory")
  }
}
