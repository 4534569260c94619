/// A function of each element alone, by the name of PyTorch's class.
public struct Activation: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case celu = "CELU"
    case elu = "ELU"
    case gelu = "GELU"
    case hardshrink = "Hardshrink"
    case hardsigmoid = "Hardsigmoid"
    case hardswish = "Hardswish"
    case hardtanh = "Hardtanh"
    case leakyReLU = "LeakyReLU"
    case logSigmoid = "LogSigmoid"
    case mish = "Mish"
    /// Has a weight for each channel, or one for all.
    case prelu = "PReLU"
    case relu = "ReLU"
    case relu6 = "ReLU6"
    case rrelu = "RReLU"
    case selu = "SELU"
    case sigmoid = "Sigmoid"
    case silu = "SiLU"
    case softplus = "Softplus"
    case softshrink = "Softshrink"
    case softsign = "Softsign"
    case tanh = "Tanh"
    case tanhshrink = "Tanhshrink"
    case threshold = "Threshold"
  }

  public var kind: Kind
  public var isInPlace: Bool

  public init(_ kind: Kind, isInPlace: Bool = false) {
    self.kind = kind
    self.isInPlace = isInPlace
  }
}

/// Softmax, LogSoftmax, Softmin or Softmax2d.
public struct Softmax: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case softmax = "Softmax"
    case logSoftmax = "LogSoftmax"
    case softmin = "Softmin"
    /// Over the channels of a picture.
    case softmax2d = "Softmax2d"
  }

  public var kind: Kind
  /// Negative ones count from the end; nil lets PyTorch choose by the rank.
  public var axis: Int?

  public init(_ kind: Kind = .softmax, axis: Int?) {
    self.kind = kind
    self.axis = axis
  }
}
