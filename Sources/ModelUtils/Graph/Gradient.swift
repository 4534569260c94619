import ModelCore

/// What the gradient of an operation takes a kernel of its own for; the gradients of all others are made of ordinary
/// operations. Each takes what it needs of the forward and, last, the gradient of the operation's result.
public enum Gradient: Sendable, Hashable {
  /// Of a convolution's input, whose shape is given: takes the weight.
  case convolutionInput(ConvolutionGeometry, shape: [Int])
  /// Of its weight, whose shape is given: takes the input.
  case convolutionWeight(ConvolutionGeometry, shape: [Int])
  /// Takes the function's result where its derivative follows from that (`Unary.derivesFromResult`), else its operand.
  case unary(Unary)
  /// Takes input and slopes; gives the gradients of both.
  case prelu
  /// Of a batch norm in training: takes input, weight, the batch's mean and 1/√(variance + eps); gives the gradients of
  /// input, weight and bias.
  case batchNorm
  /// Takes the input and, where it is affine, the weight; then it gives the gradients of weight and bias too.
  case layerNorm(axes: Int, eps: Double, isAffine: Bool)
  /// Takes the input and, where it has one, the weight; then it gives the gradient of that too.
  case rmsNorm(axes: Int, eps: Double?, hasWeight: Bool)
  /// As `layerNorm`.
  case groupNorm(groups: Int, eps: Double, isAffine: Bool)
  /// Takes the input and the result: of equal elements of a window the first has the gradient. A mean needs neither's
  /// elements.
  case pool(Pool)
  /// As `pool`.
  case adaptivePool(AdaptivePool)
  /// Of the input, whose shape is given.
  case resize(Resize, shape: [Int])
  /// Of the input, whose shape is given.
  case pad([Margin], PadMode, shape: [Int])
}

extension Gradient {
  /// How many results it has.
  var resultCount: Int {
    switch self {
    case .convolutionInput, .convolutionWeight, .unary, .pool, .adaptivePool, .resize, .pad: 1
    case .prelu: 2
    case .batchNorm: 3
    case .layerNorm(_, _, let isAffine), .groupNorm(_, _, let isAffine): isAffine ? 3 : 1
    case .rmsNorm(_, _, let hasWeight): hasWeight ? 2 : 1
    }
  }
}

extension Unary {
  /// Whether the derivative follows from the result alone, so that the operand need not be kept.
  public var derivesFromResult: Bool {
    switch self {
    case .relu, .sigmoid, .tanh, .exp, .sqrt, .rsqrt, .reciprocal: true
    default: false
    }
  }

  /// Whether it is flat wherever it has a derivative, so that nothing flows back.
  public var isFlat: Bool {
    switch self {
    case .ceil, .floor, .round, .sign, .not, .bitwiseNot: true
    default: false
    }
  }

  /// The derivative, in double precision: at a result where it `derivesFromResult`, else at an operand. At kinks as
  /// PyTorch: 0 for ReLU at 0 and for a clip at its ends.
  package func derivative(_ x: Double) -> Double {
    switch self {
    case .abs: x > 0 ? 1 : x < 0 ? -1 : 0
    case .ceil, .floor, .round, .sign, .not, .bitwiseNot: 0
    case .cos: -CMath.sin(x)
    case .erf: 2 / Double.pi.squareRoot() * CMath.exp(-x * x)
    case .exp: x
    case .log: 1 / x
    case .negate: -1
    case .reciprocal: -x * x
    case .rsqrt: -0.5 * x * x * x
    case .sin: CMath.cos(x)
    case .sqrt: 0.5 / x
    case .square: 2 * x
    case .tan: 1 + CMath.tan(x) * CMath.tan(x)
    case .acos: -1 / (1 - x * x).squareRoot()
    case .acosh: 1 / (x * x - 1).squareRoot()
    case .asin: 1 / (1 - x * x).squareRoot()
    case .asinh: 1 / (x * x + 1).squareRoot()
    case .atan: 1 / (x * x + 1)
    case .atanh: 1 / (1 - x * x)
    case .cosh: CMath.sinh(x)
    case .sinh: CMath.cosh(x)
    case .clip(let minimum, let maximum): x > minimum ?? -.infinity && x < maximum ?? .infinity ? 1 : 0
    case .celu(let alpha): x > 0 ? 1 : CMath.exp(x / alpha)
    case .elu(let alpha): x > 0 ? 1 : alpha * CMath.exp(x)
    case .gelu(false):
      0.5 * (1 + CMath.erf(x * 0.5.squareRoot())) + x * CMath.exp(-0.5 * x * x) / (2 * Double.pi).squareRoot()
    case .gelu(true): Self.approximateGELUDerivative(x)
    case .hardshrink(let lambda): x <= lambda && x >= -lambda ? 0 : 1
    case .hardsigmoid: x > -3 && x < 3 ? 1.0 / 6 : 0
    case .hardswish: x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1
    case .leakyReLU(let slope): x > 0 ? 1 : slope
    case .logSigmoid: 1 / (1 + CMath.exp(x))
    case .mish: Self.mishDerivative(x)
    case .relu: x > 0 ? 1 : 0
    case .selu: 1.0507009873554804934193349852946 * (x > 0 ? 1 : 1.6732632423543772848170429916717 * CMath.exp(x))
    case .sigmoid: x * (1 - x)
    case .silu: Self.siluDerivative(x)
    case .softplus(let beta, let threshold): x * beta > threshold ? 1 : 1 / (1 + CMath.exp(-x * beta))
    case .softshrink(let lambda): x <= lambda && x >= -lambda ? 0 : 1
    case .softsign: 1 / ((1 + Swift.abs(x)) * (1 + Swift.abs(x)))
    case .tanh: 1 - x * x
    case .tanhshrink: CMath.tanh(x) * CMath.tanh(x)
    case .threshold(let threshold, _): x <= threshold ? 0 : 1
    }
  }

  private static func siluDerivative(_ x: Double) -> Double {
    let sigmoid = 1 / (1 + CMath.exp(-x))
    return sigmoid * (1 + x * (1 - sigmoid))
  }

  private static func mishDerivative(_ x: Double) -> Double {
    let (tanh, sigmoid) = (CMath.tanh(Self.softplus(beta: 1, threshold: 20)(x)), 1 / (1 + CMath.exp(-x)))
    return tanh + x * sigmoid * (1 - tanh * tanh)
  }

  private static func approximateGELUDerivative(_ x: Double) -> Double {
    let factor = (2 / Double.pi).squareRoot()
    let tanh = CMath.tanh(factor * (x + 0.044715 * x * x * x))
    return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * factor * (1 + 3 * 0.044715 * x * x)
  }
}
