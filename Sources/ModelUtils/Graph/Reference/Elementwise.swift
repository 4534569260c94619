import ModelCore

/// A function of one number.
public enum Unary: Sendable, Hashable {
  /// PyTorch's function of the name. `not` is 1 where the number is 0, `round` rounds halves to even, `rsqrt` is 1/√x,
  /// `sign` of 0 is 0.
  case abs, ceil, cos, erf, exp, floor, log, negate, not, reciprocal, round, rsqrt, sign, sin, sqrt, square, tan
  /// The inverse circular functions, and the hyperbolic ones with theirs (`tanh` stands below).
  case acos, acosh, asin, asinh, atan, atanh, cosh, sinh
  /// Of a whole number, every bit turned over.
  case bitwiseNot
  /// Nil leaves that side open.
  case clip(minimum: Double?, maximum: Double?)

  // Activations, named as PyTorch's functions.
  /// max(x, 0) + min(α · (exp(x / α) - 1), 0).
  case celu(alpha: Double)
  /// x above 0, else α · (exp(x) - 1).
  case elu(alpha: Double)
  /// By the error function, or approximately by tanh.
  case gelu(isApproximate: Bool)
  /// 0 from -λ to λ, else x.
  case hardshrink(lambda: Double)
  /// min(max(x + 3, 0), 6) / 6, and x times that.
  case hardsigmoid, hardswish
  /// x above 0, else the slope times x.
  case leakyReLU(slope: Double)
  /// log(sigmoid(x)), x · tanh(log(1 + exp(x))), max(x, 0), a scaled `elu`, 1 / (1 + exp(-x)), and x · sigmoid(x).
  case logSigmoid, mish, relu, selu, sigmoid, silu
  /// Linear above `threshold / beta`.
  case softplus(beta: Double, threshold: Double)
  /// x moved toward 0 by λ, 0 from -λ to λ.
  case softshrink(lambda: Double)
  /// x / (1 + |x|), tanh(x), and x - tanh(x).
  case softsign, tanh, tanhshrink
  /// What is not above the threshold becomes `value`.
  case threshold(Double, value: Double)
}

/// A function of two numbers, the operands broadcast.
public enum Binary: String, Sendable, Hashable {
  /// As PyTorch's functions; a minimum or maximum with NaN is NaN.
  case add, subtract, multiply, divide, power, minimum, maximum
  /// Rounded toward negative infinity.
  case floorDivide
  /// With the divisor's sign.
  case remainder
  /// Rounded toward zero, and what that leaves: with the dividend's sign.
  case quotient, truncatedRemainder
  /// Logical, of what is not 0; they give 1 or 0.
  case and, or, xor
  /// Of whole numbers, bit by bit; shifts by the second operand, to the right with the sign.
  case bitwiseAnd, bitwiseOr, bitwiseXor, shiftLeft, shiftRight
}

/// A comparison of two numbers, the operands broadcast. One with NaN is false, but for `notEqual`.
public enum Comparison: String, Sendable, Hashable {
  /// What must hold of the first operand and the second.
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
}

/// What is made of the elements along some axes.
public enum Reduction: String, Sendable, Hashable {
  /// The sum, mean, greatest, least or product.
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
    case .acos: CMath.acos(x)
    case .acosh: CMath.acosh(x)
    case .asin: CMath.asin(x)
    case .asinh: CMath.asinh(x)
    case .atan: CMath.atan(x)
    case .atanh: CMath.atanh(x)
    case .cosh: CMath.cosh(x)
    case .sinh: CMath.sinh(x)
    case .bitwiseNot: -1 - x
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
    case .abs, .ceil, .floor, .negate, .not, .round, .sign, .square, .clip, .relu, .threshold, .bitwiseNot: true
    default: false
    }
  }
}

extension Binary {
  /// Its value at two numbers, in double precision.
  package func callAsFunction(_ a: Double, _ b: Double) -> Double {
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
    case .quotient: (a / b).rounded(.towardZero)
    case .truncatedRemainder: a.truncatingRemainder(dividingBy: b)
    case .and: a != 0 && b != 0 ? 1 : 0
    case .or: a != 0 || b != 0 ? 1 : 0
    case .xor: (a != 0) != (b != 0) ? 1 : 0
    case .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight:
      whole(Int64(exactly: a) ?? 0, Int64(exactly: b) ?? 0).map { Double($0) } ?? .nan
    }
  }

  /// Its value at two whole numbers, which wrap around; nil where they have none.
  package func whole(_ a: Int64, _ b: Int64) -> Int64? {
    switch self {
    case .add: a &+ b
    case .subtract: a &- b
    case .multiply: a &* b
    case .minimum: min(a, b)
    case .maximum: max(a, b)
    case .and: a != 0 && b != 0 ? 1 : 0
    case .or: a != 0 || b != 0 ? 1 : 0
    case .xor: (a != 0) != (b != 0) ? 1 : 0
    case .bitwiseAnd: a & b
    case .bitwiseOr: a | b
    case .bitwiseXor: a ^ b
    case .shiftLeft: b < 0 ? nil : a << b
    case .shiftRight: b < 0 ? nil : a >> b
    case .floorDivide:
      divided(a, b).map { quotient, rest in rest != 0 && (rest < 0) != (b < 0) ? quotient - 1 : quotient }
    case .remainder: divided(a, b).map { _, rest in rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest }
    case .quotient: divided(a, b)?.quotient
    case .truncatedRemainder: divided(a, b)?.rest
    case .power: raised(a, b)
    // Its result is no whole number's type.
    case .divide: nil
    }
  }

  private func divided(_ a: Int64, _ b: Int64) -> (quotient: Int64, rest: Int64)? {
    if b == 0 { return nil }
    let (quotient, overflow) = a.dividedReportingOverflow(by: b)
    return overflow ? (a, 0) : (quotient, a % b)
  }

  private func raised(_ base: Int64, _ exponent: Int64) -> Int64? {
    guard exponent >= 0 else { return nil }
    var (result, factor, rest) = (Int64(1), base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result = result &* factor }
      factor = factor &* factor
      rest >>= 1
    }
    return result
  }
}

extension Comparison {
  /// Whether it holds; none but `notEqual` does of NaN.
  @inlinable package func callAsFunction<N: Comparable>(_ a: N, _ b: N) -> Bool {
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
