import ModelCore

/// What overlaps are computed in: doubles for their values, dual numbers for their derivatives too. Where a function has
/// no derivative, it has the one that torch gives it.
protocol OverlapNumber: Sendable {
  init(_ value: Double)
  var value: Double { get }
  static func + (left: Self, right: Self) -> Self
  static func - (left: Self, right: Self) -> Self
  static func * (left: Self, right: Self) -> Self
  static func / (left: Self, right: Self) -> Self
  /// A function of it, by the value and the derivative there.
  func applying(_ value: Double, slope: Double) -> Self
  /// Of two equal numbers: half of the derivatives of each.
  static func tied(_ left: Self, _ right: Self) -> Self
}

extension OverlapNumber {
  static func + (left: Self, right: Double) -> Self { left + Self(right) }
  static func - (left: Self, right: Double) -> Self { left - Self(right) }
  static func - (left: Double, right: Self) -> Self { Self(left) - right }
  static func * (left: Self, right: Double) -> Self { left * Self(right) }
  static func / (left: Self, right: Double) -> Self { left / Self(right) }

  static func larger(_ left: Self, _ right: Self) -> Self {
    left.value > right.value ? left : right.value > left.value ? right : tied(left, right)
  }
  static func smaller(_ left: Self, _ right: Self) -> Self {
    left.value < right.value ? left : right.value < left.value ? right : tied(left, right)
  }

  /// 0 where it is negative; at 0 itself the derivative passes.
  var notNegative: Self { value >= 0 ? self : Self(0) }
  var square: Self { self * self }
  /// Its derivative at 0 is 0.
  var magnitude: Self { applying(abs(value), slope: value > 0 ? 1 : value < 0 ? -1 : 0) }
  var squareRoot: Self {
    let root = value.squareRoot()
    return applying(root, slope: 0.5 / root)
  }
  var exponential: Self {
    let power = CMath.exp(value)
    return applying(power, slope: power)
  }
  var cosine: Self { applying(CMath.cos(value), slope: -CMath.sin(value)) }
  var arcSine: Self { applying(CMath.asin(value), slope: 1 / (1 - value * value).squareRoot()) }
  var arcTangent: Self { applying(CMath.atan(value), slope: 1 / (1 + value * value)) }
}

extension Double: OverlapNumber {
  var value: Double { self }
  func applying(_ value: Double, slope: Double) -> Double { value }
  static func tied(_ left: Double, _ right: Double) -> Double { left }
}

/// A number with its derivatives by four others, such as the sides of a box.
struct DualNumber: OverlapNumber {
  var value: Double
  var partials: SIMD4<Double>

  init(_ value: Double) { self.init(value, SIMD4(repeating: 0)) }

  init(_ value: Double, _ partials: SIMD4<Double>) { (self.value, self.partials) = (value, partials) }

  /// One of the four.
  init(_ value: Double, variable: Int) {
    self.init(value)
    partials[variable] = 1
  }

  static func + (left: DualNumber, right: DualNumber) -> DualNumber {
    DualNumber(left.value + right.value, left.partials + right.partials)
  }
  static func - (left: DualNumber, right: DualNumber) -> DualNumber {
    DualNumber(left.value - right.value, left.partials - right.partials)
  }
  static func * (left: DualNumber, right: DualNumber) -> DualNumber {
    DualNumber(left.value * right.value, left.partials * right.value + right.partials * left.value)
  }
  static func / (left: DualNumber, right: DualNumber) -> DualNumber {
    let quotient = left.value / right.value
    return DualNumber(quotient, (left.partials - right.partials * quotient) / right.value)
  }
  func applying(_ value: Double, slope: Double) -> DualNumber { DualNumber(value, partials * slope) }
  static func tied(_ left: DualNumber, _ right: DualNumber) -> DualNumber {
    DualNumber(left.value, (left.partials + right.partials) / 2)
  }
}
