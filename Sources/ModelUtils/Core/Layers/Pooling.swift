/// The configuration of a MaxPool or AvgPool; one entry for each spatial axis.
public struct Pool: Sendable, Hashable {
  /// What is made of a window.
  public enum Kind: Sendable, Hashable {
    /// The largest element or the mean.
    case max, average
  }

  /// What is made of a window.
  public var kind: Kind
  /// The window.
  public var kernelSize: [Int]
  /// How far the window moves.
  public var stride: [Int]
  /// What is added on both sides: negative infinity before a maximum, zeros before a mean.
  public var padding: [Int]
  /// How far neighbouring elements of the window stand apart.
  public var dilation: [Int]
  /// Whether a last window that begins inside the input counts although it reaches beyond it.
  public var ceilMode: Bool
  /// Whether padding counts among the elements of an average.
  public var countsPadding: Bool
  /// What sums are divided by, in place of the elements that count.
  public var divisor: Int?

  /// A pool; where they are nil the stride is the window, the padding 0 and the dilation 1.
  public init(
    _ kind: Kind, kernelSize: [Int], stride: [Int]? = nil, padding: [Int]? = nil, dilation: [Int]? = nil,
    ceilMode: Bool = false, countsPadding: Bool = true, divisor: Int? = nil
  ) {
    self.kind = kind
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding ?? kernelSize.map { _ in 0 }
    self.dilation = dilation ?? kernelSize.map { _ in 1 }
    self.ceilMode = ceilMode
    self.countsPadding = countsPadding
    self.divisor = divisor
  }
}

/// The configuration of an AdaptiveMaxPool or AdaptiveAvgPool.
public struct AdaptivePool: Sendable, Hashable {
  /// What is made of a window.
  public var kind: Pool.Kind
  /// One entry for each spatial axis; nil leaves that axis as it is.
  public var outputSize: [Int?]

  /// A pool to a size.
  public init(_ kind: Pool.Kind, outputSize: [Int?]) {
    self.kind = kind
    self.outputSize = outputSize
  }
}

/// The configuration of an LPPool: the root of the sum of powers.
public struct PowerPool: Sendable, Hashable {
  /// The exponent.
  public var norm: Double
  /// The window, one entry for each spatial axis.
  public var kernelSize: [Int]
  /// How far the window moves.
  public var stride: [Int]
  /// Whether a last window that begins inside the input counts although it reaches beyond it.
  public var ceilMode: Bool

  /// A pool; the stride is the window where it is nil.
  public init(norm: Double, kernelSize: [Int], stride: [Int]? = nil, ceilMode: Bool = false) {
    self.norm = norm
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.ceilMode = ceilMode
  }
}
