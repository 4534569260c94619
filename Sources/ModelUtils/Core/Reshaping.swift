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

/// Which axis an Unflatten divides, and into what; a negative axis counts from the end.
public struct Unflatten: Sendable, Hashable {
  public var axis: Int
  /// At most one entry may be -1, which is what remains.
  public var sizes: [Int]

  public init(axis: Int, sizes: [Int]) {
    self.axis = axis
    self.sizes = sizes
  }
}

/// The windows of an Unfold, or of a Fold, which adds them up in a picture of a size; two entries each.
public struct Unfold: Sendable, Hashable {
  public var kernelSize: [Int]
  public var dilation: [Int]
  public var padding: [Int]
  public var stride: [Int]
  /// The picture of a Fold; nil for an Unfold.
  public var outputSize: [Int]?

  public init(
    kernelSize: [Int], dilation: [Int] = [1, 1], padding: [Int] = [0, 0], stride: [Int] = [1, 1],
    outputSize: [Int]? = nil
  ) {
    self.kernelSize = kernelSize
    self.dilation = dilation
    self.padding = padding
    self.stride = stride
    self.outputSize = outputSize
  }
}
