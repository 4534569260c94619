/// A function of one number.
public enum Unary: Sendable, Hashable {
  case abs, ceil, cos, erf, exp, floor, log, negate, not, reciprocal, round, rsqrt, sign, sin, sqrt, square, tan
  /// Nil leaves that side open.
  case clip(minimum: Double?, maximum: Double?)

  // Activations, named as PyTorch's functions.
  case celu(alpha: Double)
  case elu(alpha: Double)
  /// By the error function, or approximately by tanh.
  case gelu(isApproximate: Bool)
  case hardshrink(lambda: Double)
  case hardsigmoid, hardswish
  case leakyReLU(slope: Double)
  case logSigmoid, mish, relu, selu, sigmoid, silu
  /// Linear above `threshold / beta`.
  case softplus(beta: Double, threshold: Double)
  case softshrink(lambda: Double)
  case softsign, tanh, tanhshrink
  /// What is not above the threshold becomes `value`.
  case threshold(Double, value: Double)
}

/// A function of two numbers, the operands broadcast.
public enum Binary: String, Sendable, Hashable {
  case add, subtract, multiply, divide, power, minimum, maximum
  /// Rounded toward negative infinity.
  case floorDivide
  /// With the divisor's sign.
  case remainder
  case and, or, xor
}

public enum Comparison: String, Sendable, Hashable {
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
}

public enum Reduction: String, Sendable, Hashable {
  case sum, mean, max, min, product
  /// The root of the sum of squares.
  case norm
}

extension Unary {
  /// Its value at a number, in double precision.
  package func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .abs: Swift.abs(x)
    case .ceil: x.rounded(.up)
    case .cos: CMath.cos(x)
    case .erf: CMath.erf(x)
    case .exp: CMath.exp(x)
    case .floor: x.rounded(.down)
    case .log: CMath.log(x)
    case .negate: -x
    case .not: x == 0 ? 1 : 0
    case .reciprocal: 1 / x
    case .round: x.rounded(.toNearestOrEven)
    case .rsqrt: 1 / x.squareRoot()
    case .sign: x > 0 ? 1 : x < 0 ? -1 : 0
    case .sin: CMath.sin(x)
    case .sqrt: x.squareRoot()
    case .square: x * x
    case .tan: CMath.tan(x)
    case .clip(let minimum, let maximum):
      x.isNaN ? x : Swift.min(Swift.max(x, minimum ?? -.infinity), maximum ?? .infinity)
    case .celu(let alpha): x > 0 ? x : alpha * CMath.expm1(x / alpha)
    case .elu(let alpha): x > 0 ? x : alpha * CMath.expm1(x)
    case .gelu(false): 0.5 * x * (1 + CMath.erf(x * 0.5.squareRoot()))
    case .gelu(true): 0.5 * x * (1 + CMath.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .hardshrink(let lambda): x <= lambda && x >= -lambda ? 0 : x
    case .hardsigmoid: Swift.min(Swift.max(x + 3, 0), 6) / 6
    case .hardswish: x * Swift.min(Swift.max(x + 3, 0), 6) / 6
    case .leakyReLU(let slope): x > 0 ? x : slope * x
    case .logSigmoid: Swift.min(x, 0) - CMath.log1p(CMath.exp(-Swift.abs(x)))
    case .mish: x * CMath.tanh(Self.softplus(beta: 1, threshold: 20)(x))
    case .relu: x.isNaN ? x : Swift.max(x, 0)
    case .selu: 1.0507009873554804934193349852946 * (x > 0 ? x : 1.6732632423543772848170429916717 * CMath.expm1(x))
    case .sigmoid: 1 / (1 + CMath.exp(-x))
    case .silu: x / (1 + CMath.exp(-x))
    case .softplus(let beta, let threshold): x * beta > threshold ? x : CMath.log1p(CMath.exp(x * beta)) / beta
    case .softshrink(let lambda): x > lambda ? x - lambda : x < -lambda ? x + lambda : x.isNaN ? x : 0
    case .softsign: x / (1 + Swift.abs(x))
    case .tanh: CMath.tanh(x)
    case .tanhshrink: x - CMath.tanh(x)
    case .threshold(let threshold, let value): x <= threshold ? value : x
    }
  }

  /// Whether whole numbers stay whole.
  var keepsIntegers: Bool {
    switch self {
    case .abs, .ceil, .floor, .negate, .not, .round, .sign, .square, .clip, .relu, .threshold: true
    default: false
    }
  }
}

extension Binary {
  /// Its value at two numbers, in double precision.
  func callAsFunction(_ a: Double, _ b: Double) -> Double {
    switch self {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .power: CMath.pow(a, b)
    case .minimum: a.isNaN || b.isNaN ? .nan : min(a, b)
    case .maximum: a.isNaN || b.isNaN ? .nan : max(a, b)
    case .floorDivide: (a / b).rounded(.down)
    case .remainder: a - (a / b).rounded(.down) * b
    case .and: a != 0 && b != 0 ? 1 : 0
    case .or: a != 0 || b != 0 ? 1 : 0
    case .xor: (a != 0) != (b != 0) ? 1 : 0
    }
  }
}

extension Comparison {
  func callAsFunction(_ a: Double, _ b: Double) -> Bool {
    switch self {
    case .equal: a == b
    case .notEqual: a != b
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    }
  }
}
