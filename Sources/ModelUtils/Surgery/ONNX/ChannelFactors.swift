import CKernels
import ModelCore
import Synchronization

/// What the elements of a weight are multiplied by: neighbours in runs of a length share a factor, and after the last
/// factor the first follows again.
struct ChannelFactors: Sendable {
  let factors: [Double]
  let run: Int

  /// Multiplies some of the elements, in their order.
  func scale(
    _ range: Range<Int>, of source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, _ format: mk_float,
    width: Int
  ) {
    var place = range.lowerBound
    factors.withUnsafeBufferPointer { factors in
      while place < range.upperBound {
        let channel = place / run % factors.count
        let left = range.upperBound - place
        let isWhole = place % run == 0 && left >= run
        let rows = isWhole ? min(left / run, factors.count - channel) : 1
        let columns = isWhole ? run : min(run - place % run, left)
        mk_scale_rows(
          destination + (place - range.lowerBound) * width, source + place * width, rows, columns,
          factors.baseAddress! + channel, format)
        place += rows * columns
      }
    }
  }

  /// How many elements are looked at at once: few enough for a processor's own memory.
  private static let blockSize = 1 << 14

  /// Whether all elements of a weight stay finite. Nothing of the weight's size is made, and pages of a mapped file are
  /// let go.
  func keepFinite(_ weight: Tensor, _ format: mk_float) throws -> Bool {
    let (count, width) = (weight.count, weight.dtype.bitWidth / 8)
    let isBroken = Atomic(false)
    try weight.withContiguousBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      nonisolated(unsafe) let start = source
      Parallel.forEach((count + Self.blockSize - 1) / Self.blockSize) { block in
        let range = block * Self.blockSize..<min(count, (block + 1) * Self.blockSize)
        withUnsafeTemporaryAllocation(byteCount: range.count * width, alignment: 64) { scaled in
          scale(range, of: start, to: scaled.baseAddress!, format, width: width)
          if mk_has_nonfinite(scaled.baseAddress, range.count, format) { isBroken.store(true, ordering: .relaxed) }
        }
      }
    }
    weight.releasePages()
    return !isBroken.load(ordering: .relaxed)
  }

  /// The weight multiplied, when it is read where it is still in a file.
  func scaled(_ weight: Tensor, _ format: mk_float) throws -> Tensor {
    var scaled = weight
    let (count, width) = (weight.count, weight.dtype.bitWidth / 8)
    try scaled.rewrite { destination, source in
      scale(0..<count, of: source, to: destination, format, width: width)
      weight.releasePages()
    }
    return scaled
  }
}
