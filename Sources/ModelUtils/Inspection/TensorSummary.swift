import ModelCore

/// What the values of a tensor are like.
public struct TensorSummary: Sendable, Codable, Hashable {
  /// How many elements there are.
  public let elements: Int
  /// How many of them are zero, of either sign.
  public let zeros: Int
  /// How many are NaN or infinite.
  public let nonFinite: Int
  /// The least and the greatest finite value; nil where there is none.
  public let min: Double?, max: Double?
  /// The mean of the finite values, and their unbiased standard deviation; nil where there are too few.
  public let mean: Double?, deviation: Double?
  /// How many finite values lie in each of equal parts of the range from the least to the greatest; empty where there is
  /// no range.
  public let histogram: [Int]

  /// Reads all values.
  /// - Parameters:
  ///   - tensor: of any type whose values can be read as numbers.
  ///   - bins: how many parts the histogram has.
  /// - Throws: `ModelError` for values that cannot be read.
  public init(_ tensor: Tensor, bins: Int = 20) throws {
    let values = try tensor.doubles()
    var (zeros, finite, least, greatest, sum) = (0, 0, Double.infinity, -Double.infinity, 0.0)
    for value in values where value.isFinite {
      finite += 1
      if value == 0 { zeros += 1 }
      (least, greatest) = (Swift.min(least, value), Swift.max(greatest, value))
      sum += value
    }
    (elements, nonFinite) = (values.count, values.count - finite)
    self.zeros = zeros
    guard finite > 0 else {
      (min, max, mean, deviation, histogram) = (nil, nil, nil, nil, [])
      return
    }
    let mean = sum / Double(finite)
    var squares = 0.0
    let isRange = greatest > least && bins > 0 && (greatest - least).isFinite
    var counts = [Int](repeating: 0, count: isRange ? bins : 0)
    let scale = isRange ? Double(bins) / (greatest - least) : 0
    for value in values where value.isFinite {
      squares += (value - mean) * (value - mean)
      if isRange { counts[Swift.max(0, Swift.min(bins - 1, Int((value - least) * scale)))] += 1 }
    }
    (min, max, self.mean) = (least, greatest, mean)
    deviation = finite > 1 ? (squares / Double(finite - 1)).squareRoot() : nil
    histogram = counts
  }
}
