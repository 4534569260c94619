/// The configuration of an Upsample: a size, or a factor for each spatial axis.
public struct Upsample: Sendable, Hashable {
  /// The new size.
  public enum Target: Sendable, Hashable {
    /// One entry for each spatial axis, or one for all.
    case size([Int])
    /// Factors in the same way; the size is rounded down.
    case scale([Double])
  }

  /// The new size.
  public var target: Target
  /// PyTorch's name: nearest, nearest-exact, linear, bilinear, bicubic, trilinear.
  public var mode: String

  /// An upsampling to a target.
  public init(_ target: Target, mode: String = "nearest") {
    self.target = target
    self.mode = mode
  }
}

/// The configuration of a pad: amounts before and after, the last axis first, as PyTorch counts them.
public struct Padding: Sendable, Hashable {
  /// Before and after the last axis, then before and after the one before it, …; negative ones cut.
  public var amounts: [Int]
  /// constant, reflect, replicate or circular.
  public var mode: String

  /// A pad by amounts, with zeros unless said otherwise.
  public init(_ amounts: [Int], mode: String = "constant") {
    self.amounts = amounts
    self.mode = mode
  }
}

/// Which axes a Flatten joins; negative ones count from the end.
public struct Flatten: Sendable, Hashable {
  /// The first axis that is joined.
  public var start: Int
  /// The last axis that is joined.
  public var end: Int

  /// All axes but the first, unless said otherwise.
  public init(start: Int = 1, end: Int = -1) {
    self.start = start
    self.end = end
  }
}

/// PixelShuffle moves channels into the picture; PixelUnshuffle the reverse.
public struct PixelShuffle: Sendable, Hashable {
  /// By how much the picture grows along both axes.
  public var factor: Int
  /// Whether it is a PixelUnshuffle, by which the picture shrinks.
  public var isInverse: Bool

  /// A PixelShuffle unless said otherwise.
  public init(factor: Int, isInverse: Bool = false) {
    self.factor = factor
    self.isInverse = isInverse
  }
}

/// Which axis an Unflatten divides, and into what; a negative axis counts from the end.
public struct Unflatten: Sendable, Hashable {
  /// The axis that is divided.
  public var axis: Int
  /// At most one entry may be -1, which is what remains.
  public var sizes: [Int]

  /// An axis and the lengths that it becomes.
  public init(axis: Int, sizes: [Int]) {
    self.axis = axis
    self.sizes = sizes
  }
}

/// The windows of an Unfold, or of a Fold, which adds them up in a picture of a size; two entries each.
public struct Unfold: Sendable, Hashable {
  /// The window's [height, width].
  public var kernelSize: [Int]
  /// How far neighbouring elements of the window stand apart.
  public var dilation: [Int]
  /// The zeros on both sides.
  public var padding: [Int]
  /// How far the window moves.
  public var stride: [Int]
  /// The picture of a Fold; nil for an Unfold.
  public var outputSize: [Int]?

  /// PyTorch's defaults, unless said otherwise.
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
