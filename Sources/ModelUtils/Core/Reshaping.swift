/// The configuration of an Upsample: a size, or a factor for each spatial axis.
public struct Upsample: Sendable, Hashable {
  public enum Target: Sendable, Hashable {
    /// One entry for each spatial axis, or one for all.
    case size([Int])
    /// Factors in the same way; the size is rounded down.
    case scale([Double])
  }

  public var target: Target
  /// PyTorch's name: nearest, nearest-exact, linear, bilinear, bicubic, trilinear.
  public var mode: String

  public init(_ target: Target, mode: String = "nearest") {
    self.target = target
    self.mode = mode
  }
}

/// The configuration of a pad: amounts before and after, the last axis first, as PyTorch counts them.
public struct Padding: Sendable, Hashable {
  public var amounts: [Int]
  /// constant, reflect, replicate or circular.
  public var mode: String

  public init(_ amounts: [Int], mode: String = "constant") {
    self.amounts = amounts
    self.mode = mode
  }
}

/// Which axes a Flatten joins; negative ones count from the end.
public struct Flatten: Sendable, Hashable {
  public var start: Int
  public var end: Int

  public init(start: Int = 1, end: Int = -1) {
    self.start = start
    self.end = end
  }
}

/// PixelShuffle moves channels into the picture; PixelUnshuffle the reverse.
public struct PixelShuffle: Sendable, Hashable {
  public var factor: Int
  public var isInverse: Bool

  public init(factor: Int, isInverse: Bool = false) {
    self.factor = factor
    self.isInverse = isInverse
  }
}
