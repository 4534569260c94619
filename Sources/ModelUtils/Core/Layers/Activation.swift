/// A function of each element alone, by the name of PyTorch's class.
public struct Activation: Sendable, Hashable {
  /// PyTorch's class.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// max(x, 0) + min(α · (exp(x / α) - 1), 0).
    case celu = "CELU"
    /// x above 0, else α · (exp(x) - 1).
    case elu = "ELU"
    /// x · Φ(x), by the error function or approximately by tanh.
    case gelu = "GELU"
    /// 0 from -λ to λ, else x.
    case hardshrink = "Hardshrink"
    /// x / 6 + 1/2, clipped to 0 and 1.
    case hardsigmoid = "Hardsigmoid"
    /// x · hardsigmoid(x).
    case hardswish = "Hardswish"
    /// x, clipped to two bounds, -1 and 1 unless given.
    case hardtanh = "Hardtanh"
    /// x above 0, else a slope times x.
    case leakyReLU = "LeakyReLU"
    /// log(sigmoid(x)).
    case logSigmoid = "LogSigmoid"
    /// x · tanh(softplus(x)).
    case mish = "Mish"
    /// Has a weight for each channel, or one for all.
    case prelu = "PReLU"
    /// max(x, 0).
    case relu = "ReLU"
    /// x, clipped to 0 and 6.
    case relu6 = "ReLU6"
    /// As LeakyReLU, with a slope drawn at random in training and the mean of the bounds else.
    case rrelu = "RReLU"
    /// A scaled ELU with the two constants of self-normalising networks.
    case selu = "SELU"
    /// 1 / (1 + exp(-x)).
    case sigmoid = "Sigmoid"
    /// x · sigmoid(x), also called swish.
    case silu = "SiLU"
    /// log(1 + exp(β · x)) / β.
    case softplus = "Softplus"
    /// x moved toward 0 by λ, 0 from -λ to λ.
    case softshrink = "Softshrink"
    /// x / (1 + |x|).
    case softsign = "Softsign"
    /// tanh(x).
    case tanh = "Tanh"
    /// x - tanh(x).
    case tanhshrink = "Tanhshrink"
    /// x above a threshold, else a value.
    case threshold = "Threshold"
  }

  /// Which function it is; its numbers are among the module's attributes.
  public var kind: Kind
  /// PyTorch's `inplace`, which does not change what is computed.
  public var isInPlace: Bool

  /// An activation of a kind.
  public init(_ kind: Kind, isInPlace: Bool = false) {
    self.kind = kind
    self.isInPlace = isInPlace
  }
}

/// Softmax, LogSoftmax, Softmin or Softmax2d.
public struct Softmax: Sendable, Hashable {
  /// PyTorch's class.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// exp(x), divided by its sum.
    case softmax = "Softmax"
    /// The logarithm of that.
    case logSoftmax = "LogSoftmax"
    /// Of -x.
    case softmin = "Softmin"
    /// Over the channels of a picture.
    case softmax2d = "Softmax2d"
  }

  /// Which of them it is.
  public var kind: Kind
  /// Negative ones count from the end; nil lets PyTorch choose by the rank.
  public var axis: Int?

  /// One over an axis.
  public init(_ kind: Kind = .softmax, axis: Int?) {
    self.kind = kind
    self.axis = axis
  }
}
