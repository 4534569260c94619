/// What a module computes, where we understand it. A new case is a compile error wherever it matters.
public enum Layer: Sendable, Hashable {
  /// Conv1d, Conv2d, Conv3d and their transposes.
  case convolution(Convolution)
  /// BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm and FrozenBatchNorm2d.
  case batchNorm(BatchNorm)
  /// Linear: input […, in].
  case linear(Linear)
  /// LayerNorm and torchvision's LayerNorm2d.
  case layerNorm(LayerNorm)
  /// GroupNorm: input [batch, channels, …].
  case groupNorm(GroupNorm)
  /// ReLU, SiLU, … : a function of each element alone.
  case activation(Activation)
  /// Softmax, LogSoftmax, Softmin and Softmax2d.
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
  /// Flatten.
  case flatten(Flatten)
  /// PixelShuffle and PixelUnshuffle.
  case pixelShuffle(PixelShuffle)
  /// InstanceNorm in one to three dimensions.
  case instanceNorm(InstanceNorm)
  /// RMSNorm.
  case rmsNorm(RMSNorm)
  /// LocalResponseNorm.
  case localResponseNorm(LocalResponseNorm)
  /// The first half of an axis times the sigmoid of the second.
  case glu(axis: Int)
  /// RNN, LSTM and GRU: gives all states, the last one of every layer and direction, and an LSTM's last cells.
  case recurrent(Recurrent)
  /// RNNCell, LSTMCell and GRUCell: takes one step's input, perhaps with the states before it, and gives the states
  /// behind it.
  case recurrentCell(RecurrentCell)
  /// LPPool in one to three dimensions.
  case powerPool(PowerPool)
  /// Unflatten.
  case unflatten(Unflatten)
  /// ChannelShuffle: the channels of the groups in turns.
  case channelShuffle(groups: Int)
  /// Unfold and Fold.
  case unfold(Unfold)
  /// Embedding and EmbeddingBag, whose bags are the rows of its input.
  case embedding(Embedding)
  /// Takes two tensors.
  case bilinear(Bilinear)
  /// Identity: gives what it is given.
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
  /// Whether it is a ConvTranspose.
  public var isTransposed: Bool
  /// The channels of its input.
  public var inChannels: Int
  /// The channels of its output.
  public var outChannels: Int
  /// The window, one entry for each spatial axis, as in all lists here.
  public var kernelSize: [Int]
  /// How far the window moves.
  public var stride: [Int]
  /// Nil for the textual padding `same`, which keeps the input's size.
  public var padding: [Int]?
  /// How far neighbouring elements of the kernel stand apart.
  public var dilation: [Int]
  /// Into how many groups channels are divided that do not mix.
  public var groups: Int
  /// What the padding is: zeros, reflect, replicate or circular.
  public var paddingMode: String
  /// What a transposed convolution adds to one side of its output; zeros otherwise.
  public var outputPadding: [Int]

  /// A configuration of as many spatial axes as `kernelSize` has entries. Where they are nil strides and dilations are
  /// 1, paddings 0; the textual padding `same` is set afterwards.
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
  /// How many numbers it takes.
  public var inFeatures: Int
  /// How many numbers it gives.
  public var outFeatures: Int

  /// A fully connected layer of the given sizes.
  public init(inFeatures: Int, outFeatures: Int) {
    self.inFeatures = inFeatures
    self.outFeatures = outFeatures
  }
}
