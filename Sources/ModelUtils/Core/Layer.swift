/// What a module computes, where we understand it. A new case is a compile error wherever it matters.
public enum Layer: Sendable, Hashable {
  /// Conv1d, Conv2d, Conv3d and their transposes.
  case convolution(Convolution)
  /// BatchNorm1d, BatchNorm2d, BatchNorm3d and SyncBatchNorm.
  case batchNorm(BatchNorm)
  case linear(Linear)
  case identity
  /// Runs its children in order.
  case sequential
  /// Holds children without running them: ModuleList, ModuleDict.
  case container
  /// A PyTorch module without parameters that works on each element: ReLU, SiLU, Dropout, …
  case activation
  /// A PyTorch module that combines neighbouring elements: pools, pads, upsampling, …
  case spatial
  /// Any other class: its children are known, its forward is not.
  case opaque
}

/// The configuration of a convolution; PyTorch's attribute names in Swift's spelling.
public struct Convolution: Sendable, Hashable {
  /// The number of spatial axes: 1, 2 or 3.
  public var rank: Int { kernelSize.count }
  public var isTransposed: Bool
  public var inChannels: Int
  public var outChannels: Int
  public var kernelSize: [Int]
  public var stride: [Int]
  /// Nil for the textual paddings `same` and `valid`, which stay as they are.
  public var padding: [Int]?
  public var dilation: [Int]
  public var groups: Int
  public var paddingMode: String

  public init(
    isTransposed: Bool = false, inChannels: Int, outChannels: Int, kernelSize: [Int],
    stride: [Int]? = nil, padding: [Int]? = nil, dilation: [Int]? = nil, groups: Int = 1,
    paddingMode: String = "zeros"
  ) {
    self.isTransposed = isTransposed
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize.map { _ in 1 }
    self.padding = padding ?? kernelSize.map { _ in 0 }
    self.dilation = dilation ?? kernelSize.map { _ in 1 }
    self.groups = groups
    self.paddingMode = paddingMode
  }

  /// The shape of the weight: [out, in/groups, kernel…], or [in, out/groups, kernel…] when transposed. Nil unless groups divide both.
  public var weightShape: [Int]? {
    guard groups > 0, inChannels % groups == 0, outChannels % groups == 0 else { return nil }
    return (isTransposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups])
      + kernelSize
  }
}

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

/// The configuration of a fully connected layer; its weight is [outFeatures, inFeatures].
public struct Linear: Sendable, Hashable {
  public var inFeatures: Int
  public var outFeatures: Int

  public init(inFeatures: Int, outFeatures: Int) {
    self.inFeatures = inFeatures
    self.outFeatures = outFeatures
  }
}
