/// The configuration of a batch normalisation.
public struct BatchNorm: Sendable, Hashable {
  /// 1, 2 or 3 for BatchNorm1d to 3d; nil for SyncBatchNorm, which takes any.
  public var rank: Int?
  /// How many channels there are: `num_features`.
  public var features: Int
  /// What is added to the variance.
  public var eps: Double
  /// Nil means a cumulative average.
  public var momentum: Double?
  /// Whether it has a weight and a bias, [features] each.
  public var isAffine: Bool
  /// Whether it has a running mean and variance, by which it goes in evaluation.
  public var tracksRunningStatistics: Bool
  /// Whether weight, bias and statistics are buffers that training leaves as they are, as in torchvision's
  /// FrozenBatchNorm2d.
  public var isFrozen: Bool

  /// PyTorch's defaults, unless said otherwise.
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
  /// The last axes over which it normalises; also the shape of its weight and bias.
  public var normalizedShape: [Int]
  /// What is added to the variance.
  public var eps: Double
  /// Whether it has a weight, and perhaps a bias.
  public var isAffine: Bool
  /// Whether the channels stand behind the batch instead of last, as torchvision's LayerNorm2d takes them.
  public var isChannelsFirst: Bool

  /// PyTorch's defaults, unless said otherwise.
  public init(normalizedShape: [Int], eps: Double = 1e-5, isAffine: Bool = true, isChannelsFirst: Bool = false) {
    self.normalizedShape = normalizedShape
    self.eps = eps
    self.isAffine = isAffine
    self.isChannelsFirst = isChannelsFirst
  }
}

/// The configuration of a group normalisation.
public struct GroupNorm: Sendable, Hashable {
  /// Into how many groups the channels are divided.
  public var groups: Int
  /// How many channels there are, a multiple of `groups`.
  public var channels: Int
  /// What is added to the variance.
  public var eps: Double
  /// Whether it has a weight and a bias, [channels] each.
  public var isAffine: Bool

  /// PyTorch's defaults, unless said otherwise.
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
  /// How many channels there are: `num_features`.
  public var features: Int
  /// What is added to the variance.
  public var eps: Double
  /// How much of a batch goes into the running statistics; nil means a cumulative average.
  public var momentum: Double?
  /// Whether it has a weight and a bias, [features] each.
  public var isAffine: Bool
  /// Whether running statistics take the place of the instance's own in evaluation.
  public var tracksRunningStatistics: Bool

  /// PyTorch's defaults, unless said otherwise.
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
  /// The last axes over which it normalises; also the shape of its weight.
  public var normalizedShape: [Int]
  /// Nil for the distance from 1 to the next number of the input's type.
  public var eps: Double?
  /// Whether it has a weight.
  public var isAffine: Bool

  /// PyTorch's defaults, unless said otherwise.
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
  /// The factor of the mean of squares.
  public var alpha: Double
  /// The exponent.
  public var beta: Double
  /// What is added.
  public var k: Double

  /// PyTorch's defaults, unless said otherwise.
  public init(size: Int, alpha: Double = 1e-4, beta: Double = 0.75, k: Double = 1) {
    self.size = size
    self.alpha = alpha
    self.beta = beta
    self.k = k
  }
}
