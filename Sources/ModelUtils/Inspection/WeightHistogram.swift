import CKernels
import ModelCore

/// How often the values of several tensors lie where, all together.
///
/// What is exactly zero is counted beside the parts, which it would dwarf after pruning; so is what lies farther than five
/// standard deviations from the mean.
public struct WeightHistogram: Sendable, Codable, Hashable {
  /// How many elements there are.
  public let elements: Int
  /// How many of them are zero, of either sign.
  public let zeros: Int
  /// How many are NaN or infinite.
  public let nonFinite: Int
  /// How many lie below the first part or above the last.
  public let outside: Int
  /// The least and the greatest finite value; nil where there is none.
  public let min: Double?, max: Double?
  /// The mean of the finite values and their standard deviation; nil where there is none.
  public let mean: Double?, deviation: Double?
  /// The ends of the parts together; nil where there is no range.
  public let low: Double?, high: Double?
  /// How many values lie in each of equal parts between them; empty where there is no range.
  public let counts: [Int]

  /// Reads all values twice, a piece at a time, and the tensors in parallel.
  /// - Parameters:
  ///   - tensors: of floating types of a byte or more; others are left out.
  ///   - bins: how many parts there are.
  /// - Throws: `ModelError` for values that cannot be read.
  public init(_ tensors: [Tensor], bins: Int = 50) throws {
    let bins = Swift.max(1, bins)
    let floats = tensors.filter { $0.dtype.isConvertible && $0.count > 0 }
    var moments = floats.map { (tensor: $0, sums: Moments()) }
    try Parallel.update(&moments) { job in
      try Self.read(job.tensor) { job.sums.add($0) }
    }
    let total = moments.reduce(into: Moments()) { $0.add($1.sums) }
    elements = floats.reduce(0) { $0 + $1.count }
    (zeros, nonFinite) = (total.zeros, elements - total.finite)
    guard total.finite > 0 else {
      (outside, min, max, mean, deviation, low, high, counts) = (0, nil, nil, nil, nil, nil, nil, [])
      return
    }
    let (least, greatest) = (Double(total.least), Double(total.greatest))
    let mean = total.sum / Double(total.finite)
    let deviation = Swift.max(0, total.squares / Double(total.finite) - mean * mean).squareRoot()
    (min, max, self.mean, self.deviation) = (least, greatest, mean, deviation)
    let (low, high) = (Swift.max(least, mean - 5 * deviation), Swift.min(greatest, mean + 5 * deviation))
    guard high > low, (high - low).isFinite else {
      (outside, self.low, self.high, counts) = (0, nil, nil, [])
      return
    }
    var parts = floats.map { (tensor: $0, counts: [Int](repeating: 0, count: bins + 2)) }
    let scale = Double(bins) / (high - low)
    try Parallel.update(&parts) { job in
      try Self.read(job.tensor) { Self.count($0, from: low, to: high, scale, into: &job.counts) }
    }
    let sums = parts.reduce(into: [Int](repeating: 0, count: bins + 2)) { sums, part in
      for index in sums.indices { sums[index] += part.counts[index] }
    }
    outside = sums[bins] + sums[bins + 1]
    (self.low, self.high, counts) = (low, high, Array(sums.prefix(bins)))
  }

  private struct Moments: Sendable {
    var (finite, zeros) = (0, 0)
    var (sum, squares) = (0.0, 0.0)
    var (least, greatest) = (Float.infinity, -Float.infinity)

    mutating func add(_ values: UnsafeBufferPointer<Float>) {
      var (finite, zeros, sum, squares) = (0, 0, 0.0, 0.0)
      var (least, greatest) = (Float.infinity, -Float.infinity)
      for value in values where value.isFinite {
        finite += 1
        if value == 0 { zeros += 1 }
        let wide = Double(value)
        sum += wide
        squares += wide * wide
        if value < least { least = value }
        if value > greatest { greatest = value }
      }
      add(Moments(finite: finite, zeros: zeros, sum: sum, squares: squares, least: least, greatest: greatest))
    }

    mutating func add(_ other: Moments) {
      finite += other.finite
      zeros += other.zeros
      sum += other.sum
      squares += other.squares
      (least, greatest) = (Swift.min(least, other.least), Swift.max(greatest, other.greatest))
    }
  }

  /// Counts finite values that are not zero; the last two entries are for what lies below and above.
  private static func count(
    _ values: UnsafeBufferPointer<Float>, from low: Double, to high: Double, _ scale: Double, into counts: inout [Int]
  ) {
    let last = counts.count - 3
    counts.withUnsafeMutableBufferPointer { counts in
      for value in values where value != 0 && value.isFinite {
        let wide = Double(value)
        if wide < low {
          counts[last + 1] += 1
        } else if wide > high {
          counts[last + 2] += 1
        } else {
          counts[Swift.min(last, Int((wide - low) * scale))] += 1
        }
      }
    }
  }

  private static let piece = 1 << 15

  /// Hands over all elements as float32, some at a time. What is beyond float32's range is infinite there.
  private static func read(_ tensor: Tensor, _ body: (UnsafeBufferPointer<Float>) -> Void) throws {
    guard let format = tensor.dtype.kernelFormat, let width = tensor.dtype.byteWidth else {
      return try tensor.floats().withUnsafeBufferPointer(body)
    }
    try tensor.withContiguousBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: piece) { buffer in
        var done = 0
        while done < tensor.count {
          let length = Swift.min(piece, tensor.count - done)
          mk_convert(buffer.baseAddress, MK_FLOAT32, start + done * width, format, length)
          body(UnsafeBufferPointer(rebasing: buffer[..<length]))
          done += length
        }
      }
    }
  }
}
