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

  public init(
    rank: Int?, features: Int, eps: Double = 1e-5, momentum: Double? = 0.1, isAffine: Bool = true,
    tracksRunningStatistics: Bool = true
  ) {
    self.rank = rank
    self.features = features
    self.eps = eps
    self.momentum = momentum
    self.isAffine = isAffine
    self.tracksRunningStatistics = tracksRunningStatistics
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
