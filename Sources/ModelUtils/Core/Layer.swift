/// What a module computes, where we understand it. A new case is a compile error wherever it matters.
public enum Layer: Sendable, Hashable {
  /// Conv1d, Conv2d, Conv3d and their transposes.
  case convolution(Convolution)
  /// BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm and FrozenBatchNorm2d.
  case batchNorm(BatchNorm)
  case linear(Linear)
  case layerNorm(LayerNorm)
  case groupNorm(GroupNorm)
  /// ReLU, SiLU, … : a function of each element alone.
  case activation(Activation)
  case softmax(Softmax)
  /// Takes queries, keys and values; gives the attended values.
  case multiheadAttention(MultiheadAttention)
  /// Dropout and its relatives, which do nothing in evaluation.
  case dropout
  /// MaxPool and AvgPool in one to three dimensions.
  case pool(Pool)
  /// AdaptiveMaxPool and AdaptiveAvgPool in one to three dimensions.
  case adaptivePool(AdaptivePool)
  /// Upsample, UpsamplingNearest2d and UpsamplingBilinear2d.
  case upsample(Upsample)
  /// ZeroPad, ConstantPad, ReflectionPad, ReplicationPad, CircularPad.
  case pad(Padding)
  case flatten(Flatten)
  case pixelShuffle(PixelShuffle)
  case instanceNorm(InstanceNorm)
  case rmsNorm(RMSNorm)
  case localResponseNorm(LocalResponseNorm)
  /// The first half of an axis times the sigmoid of the second.
  case glu(axis: Int)
  /// RNN, LSTM and GRU: gives all states, the last one of every layer and direction, and an LSTM's last cells.
  case recurrent(Recurrent)
  /// LPPool in one to three dimensions.
  case powerPool(PowerPool)
  case unflatten(Unflatten)
  case channelShuffle(groups: Int)
  /// Unfold and Fold.
  case unfold(Unfold)
  /// Embedding and EmbeddingBag, whose bags are the rows of its input.
  case embedding(Embedding)
  /// Takes two tensors.
  case bilinear(Bilinear)
  case identity
  /// Runs its children in order.
  case sequential
  /// Holds children without running them: ModuleList, ModuleDict.
  case container
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
  /// Nil for the textual padding `same`, which keeps the input's size.
  public var padding: [Int]?
  public var dilation: [Int]
  public var groups: Int
  public var paddingMode: String
  /// What a transposed convolution adds to one side of its output; zeros otherwise.
  public var outputPadding: [Int]

  public init(
    isTransposed: Bool = false, inChannels: Int, outChannels: Int, kernelSize: [Int],
    stride: [Int]? = nil, padding: [Int]? = nil, dilation: [Int]? = nil, groups: Int = 1,
    paddingMode: String = "zeros", outputPadding: [Int]? = nil
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
    self.outputPadding = outputPadding ?? kernelSize.map { _ in 0 }
  }

  /// The shape of the weight: [out, in/groups, kernel…], or [in, out/groups, kernel…] when transposed. Nil unless
  /// groups divide both.
  public var weightShape: [Int]? {
    guard groups > 0, inChannels % groups == 0, outChannels % groups == 0 else { return nil }
    return (isTransposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups])
      + kernelSize
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
