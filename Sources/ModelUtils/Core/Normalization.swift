/// The configuration of a batch normalisation.
public struct BatchNorm: Sendable, Hashable {
  /// 1, 2 or 3 for BatchNorm1d to 3d; nil for SyncBatchNorm, which takes any.
  public var rank: Int?
  public var features: Int
  public var eps: Double
  /// Nil means a cumulative average.
  public var momentum: Double?
  public var isAffine: Bool
  public var tracksRunningStatistics: Bool
  /// Whether weight, bias and statistics are buffers that training leaves as they are, as in torchvision's
  /// FrozenBatchNorm2d.
  public var isFrozen: Bool

  public init(
    rank: Int?, features: Int, eps: Double = 1e-5, momentum: Double? = 0.1, isAffine: Bool = true,
    tracksRunningStatistics: Bool = true, isFrozen: Bool = false
  ) {
    self.rank = rank
    self.features = features
    self.eps = eps
    self.momentum = momentum
    self.isAffine = isAffine
    self.tracksRunningStatistics = tracksRunningStatistics
    self.isFrozen = isFrozen
  }
}

/// The configuration of a layer normalisation over the last axes.
public struct LayerNorm: Sendable, Hashable {
  public var normalizedShape: [Int]
  public var eps: Double
  public var isAffine: Bool
  /// Whether the channels stand behind the batch instead of last, as torchvision's LayerNorm2d takes them.
  public var isChannelsFirst: Bool

  public init(normalizedShape: [Int], eps: Double = 1e-5, isAffine: Bool = true, isChannelsFirst: Bool = false) {
    self.normalizedShape = normalizedShape
    self.eps = eps
    self.isAffine = isAffine
    self.isChannelsFirst = isChannelsFirst
  }
}

/// The configuration of a group normalisation.
public struct GroupNorm: Sendable, Hashable {
  public var groups: Int
  public var channels: Int
  public var eps: Double
  public var isAffine: Bool

  public init(groups: Int, channels: Int, eps: Double = 1e-5, isAffine: Bool = true) {
    self.groups = groups
    self.channels = channels
    self.eps = eps
    self.isAffine = isAffine
  }
}

/// The configuration of an instance normalisation.
public struct InstanceNorm: Sendable, Hashable {
  /// 1, 2 or 3.
  public var rank: Int
  public var features: Int
  public var eps: Double
  public var momentum: Double?
  public var isAffine: Bool
  /// Whether running statistics take the place of the instance's own in evaluation.
  public var tracksRunningStatistics: Bool

  public init(
    rank: Int, features: Int, eps: Double = 1e-5, momentum: Double? = 0.1, isAffine: Bool = false,
    tracksRunningStatistics: Bool = false
  ) {
    self.rank = rank
    self.features = features
    self.eps = eps
    self.momentum = momentum
    self.isAffine = isAffine
    self.tracksRunningStatistics = tracksRunningStatistics
  }
}

/// The configuration of a normalisation by the root of the mean square of the last axes.
public struct RMSNorm: Sendable, Hashable {
  public var normalizedShape: [Int]
  /// Nil for the distance from 1 to the next number of the input's type.
  public var eps: Double?
  public var isAffine: Bool

  public init(normalizedShape: [Int], eps: Double? = nil, isAffine: Bool = true) {
    self.normalizedShape = normalizedShape
    self.eps = eps
    self.isAffine = isAffine
  }
}

/// The configuration of a normalisation by neighbouring channels: x / (k + alpha · mean of squares)^beta.
public struct LocalResponseNorm: Sendable, Hashable {
  /// How many channels are neighbours.
  public var size: Int
  public var alpha: Double
  public var beta: Double
  public var k: Double

  public init(size: Int, alpha: Double = 1e-4, beta: Double = 0.75, k: Double = 1) {
    self.size = size
    self.alpha = alpha
    self.beta = beta
    self.k = k
  }
}
