import ModelCheckpoints
import ModelCore
import ModelGraph

/// Functions of one or two elements.
extension NodeRules {
  static let elementwise: [String: Rule] = [
    "Abs": function(.abs), "Acos": function(.acos), "Acosh": function(.acosh), "Asin": function(.asin),
    "Asinh": function(.asinh), "Atan": function(.atan), "Atanh": function(.atanh), "BitwiseNot": function(.bitwiseNot),
    "Ceil": function(.ceil), "Cos": function(.cos), "Cosh": function(.cosh), "Erf": function(.erf),
    "Exp": function(.exp), "Floor": function(.floor), "Log": function(.log), "Neg": function(.negate),
    "Not": function(.not), "Reciprocal": function(.reciprocal), "Round": function(.round), "Sign": function(.sign),
    "Sin": function(.sin), "Sinh": function(.sinh), "Sqrt": function(.sqrt), "Tan": function(.tan),
    "Tanh": function(.tanh),
    "Add": pair { _ in .add }, "Sub": pair { _ in .subtract },
    "Mul": { call in [try call.multiplied()] },
    "Div": pair { $0 ? .quotient : .divide },
    "And": pair { _ in .and }, "Or": pair { _ in .or }, "Xor": pair { _ in .xor },
    "BitwiseAnd": pair { _ in .bitwiseAnd }, "BitwiseOr": pair { _ in .bitwiseOr },
    "BitwiseXor": pair { _ in .bitwiseXor },
    "BitShift": { call in
      let direction = try call.text("direction", "")
      guard ["LEFT", "RIGHT"].contains(direction) else { throw ModelError(.malformed, "shifts to no side") }
      return [try call.binary(direction == "LEFT" ? .shiftLeft : .shiftRight, call.operand(0), call.operand(1))]
    },
    "Mod": { call in
      [try call.binary(call.flag("fmod") ? .truncatedRemainder : .remainder, call.operand(0), call.operand(1))]
    },
    "Pow": { call in [try call.power(call.operand(0), call.legacyOperand())] },
    "Max": { call in [try call.folded(.maximum, call.allOperands())] },
    "Min": { call in [try call.folded(.minimum, call.allOperands())] },
    "Sum": { call in [try call.folded(.add, call.allOperands())] },
    "Mean": { call in
      let operands = try call.allOperands()
      let sum = try call.folded(.add, operands)
      return [try call.binary(.divide, sum, call.scalar(Double(operands.count), sum.dtype))]
    },
    "Where": { call in [try call.emit(.select, call.operand(0), call.operand(1), call.operand(2))] },
    "Clip": { call in [try call.clip()] },
  ]

  private static func function(_ function: Unary) -> Rule {
    { call in [try call.unary(function, call.operand(0))] }
  }

  private static func pair(_ function: @escaping @Sendable (_ isOfIntegers: Bool) -> Binary) -> Rule {
    { call in
      let (a, b) = (try call.operand(0), try call.legacyOperand())
      return [try call.binary(function(a.dtype.isInteger && b.dtype.isInteger), a, b)]
    }
  }

  static let comparisons: [String: Rule] = [
    "Equal": comparison(.equal), "Greater": comparison(.greater), "GreaterOrEqual": comparison(.greaterOrEqual),
    "Less": comparison(.less), "LessOrEqual": comparison(.lessOrEqual),
    "IsNaN": { call in [try call.compare(.notEqual, call.operand(0), call.operand(0))] },
    "IsInf": { call in
      let x = try call.operand(0)
      let (negative, positive) = (try call.flag("detect_negative", true), try call.flag("detect_positive", true))
      func equal(_ value: Double) throws -> Operand { try call.compare(.equal, x, call.scalar(value, x.dtype)) }
      switch (negative, positive) {
      case (true, true): return [try call.binary(.or, equal(.infinity), equal(-.infinity))]
      case (false, true): return [try equal(.infinity)]
      case (true, false): return [try equal(-.infinity)]
      case (false, false): return [try call.filled(call.scalar(0, .bool), x.shape)]
      }
    },
  ]

  private static func comparison(_ comparison: Comparison) -> Rule {
    { call in [try call.compare(comparison, call.operand(0), call.legacyOperand())] }
  }

  static let activations: [String: Rule] = [
    "Relu": function(.relu), "Sigmoid": function(.sigmoid), "Mish": function(.mish), "Softsign": function(.softsign),
    "HardSwish": function(.hardswish), "Softplus": function(.softplus(beta: 1, threshold: .infinity)),
    "LeakyRelu": { call in [try call.unary(.leakyReLU(slope: call.float("alpha", 0.01)), call.operand(0))] },
    "Elu": { call in [try call.unary(.elu(alpha: call.float("alpha", 1)), call.operand(0))] },
    "Celu": { call in [try call.unary(.celu(alpha: call.float("alpha", 1)), call.operand(0))] },
    "ThresholdedRelu": { call in
      [try call.unary(.threshold(call.float("alpha", 1), value: 0), call.operand(0))]
    },
    "Gelu": { call in
      [try call.unary(.gelu(isApproximate: call.text("approximate", "none") == "tanh"), call.operand(0))]
    },
    "Selu": { call in
      // The first edition had fewer digits.
      let (alpha, gamma) = call.opset < 6 ? (1.6732, 1.0507) : (1.67326319217681884765625, 1.05070102214813232421875)
      let x = try call.unary(.elu(alpha: call.float("alpha", alpha)), call.operand(0))
      return [try call.binary(.multiply, x, call.scalar(call.float("gamma", gamma), x.dtype))]
    },
    "HardSigmoid": { call in [try call.hardSigmoid()] },
    "Swish": { call in
      let (x, alpha) = (try call.operand(0), try call.float("alpha", 1))
      if alpha == 1 { return [try call.unary(.silu, x)] }
      let scaled = try call.binary(.multiply, x, call.scalar(alpha, x.dtype))
      return [try call.binary(.multiply, x, call.unary(.sigmoid, scaled))]
    },
    "Shrink": { call in
      let (x, lambda, bias) = (try call.operand(0), try call.float("lambd", 0.5), try call.float("bias", 0))
      if bias == 0, !x.dtype.isInteger { return [try call.unary(.hardshrink(lambda: lambda), x)] }
      let zero = try call.scalar(0, x.dtype)
      let above = try call.binary(.subtract, x, call.scalar(bias, x.dtype))
      let below = try call.binary(.add, x, call.scalar(bias, x.dtype))
      let rest = try call.emit(.select, call.compare(.less, x, call.scalar(-lambda, .float32)), below, zero)
      return [try call.emit(.select, call.compare(.greater, x, call.scalar(lambda, .float32)), above, rest)]
    },
    "PRelu": { call in
      let (x, slope) = (try call.operand(0), try call.operand(1))
      let isByChannel =
        slope.rank <= x.rank - 1 && slope.rank > 0 && slope.rank == x.rank - 1 && x.rank >= 2
        && slope.shape[0] == x.shape[1] && slope.shape.dropFirst().allSatisfy { $0 == 1 }
      if slope.count == 1 { return [try call.emit(.prelu, x, call.reshape(slope, []))] }
      if isByChannel { return [try call.emit(.prelu, x, call.reshape(slope, [slope.shape[0]]))] }
      let scaled = try call.binary(.multiply, x, slope)
      return [try call.emit(.select, call.compare(.less, x, call.scalar(0, x.dtype)), scaled, x)]
    },
    "Softmax": { call in try call.softmax(isLogarithm: false) },
    "LogSoftmax": { call in try call.softmax(isLogarithm: true) },
    "Hardmax": { call in
      try call.alongAxis { x, axis in
        let places = try call.emit(.argmax(axis: axis, keepsAxis: true), x)
        var shape = [Int](repeating: 1, count: x.rank)
        shape[axis] = x.shape[axis]
        let equal = try call.compare(.equal, places, call.reshape(call.range(x.shape[axis]), shape))
        return try call.convert(equal, x.dtype)
      }
    },
  ]
}

extension NodeCall {
  /// The second operand; before edition 7 it was broadcast where that was said, along axes that were said.
  func legacyOperand() throws -> Operand {
    let (first, second) = (try operand(0), try operand(1))
    guard opset < 7, try flag("broadcast"), let axis = try int("axis") else { return second }
    let start = try self.axis(axis, first.rank)
    let missing = first.rank - start - second.rank
    guard missing >= 0 else { throw ModelError(.mismatch, "cannot broadcast \(second.shape) to \(first.shape)") }
    return try reshape(second, second.shape + [Int](repeating: 1, count: missing))
  }

  /// In the base's type.
  func power(_ base: Operand, _ exponent: Operand) throws -> Operand {
    if let tensor = exponent.tensor, tensor.count == 1, base.rank >= exponent.rank, !base.dtype.isInteger {
      switch try tensor.doubles()[0] {
      case 1: return base
      case 2: return try unary(.square, base)
      case 0.5: return try unary(.sqrt, base)
      default: break
      }
    }
    if base.dtype == exponent.dtype { return try binary(.power, base, exponent) }
    if !base.dtype.isInteger { return try binary(.power, base, convert(exponent, base.dtype)) }
    if exponent.dtype.isInteger { return try binary(.power, base, convert(exponent, base.dtype)) }
    return try convert(binary(.power, convert(base, .float64), convert(exponent, .float64)), base.dtype)
  }

  /// Bounds are attributes before edition 11, then inputs; an upper one below the lower wins.
  func clip() throws -> Operand {
    let x = try operand(0)
    if opset < 11 {
      let (low, high) = (try float("min", -.infinity), try float("max", .infinity))
      return try unary(.clip(minimum: low > -.infinity ? low : nil, maximum: high < .infinity ? high : nil), x)
    }
    let bounds = try (1...2).map { index -> Operand? in
      try optional(index).map { bound in
        guard bound.count == 1 else { throw ModelError(.mismatch, "has a bound of shape \(bound.shape)") }
        return try reshape(bound, [])
      }
    }
    let numbers = try bounds.map { try $0?.tensor?.doubles()[0] }
    if zip(bounds, numbers).allSatisfy({ $0 == nil || $1 != nil }) {
      return try unary(.clip(minimum: numbers[0], maximum: numbers[1]), x)
    }
    var result = x
    if let low = bounds[0] { result = try binary(.maximum, result, low) }
    if let high = bounds[1] { result = try binary(.minimum, result, high) }
    return result
  }

  func hardSigmoid() throws -> Operand {
    let (x, alpha, beta) = (try operand(0), try float("alpha", 0.2), try float("beta", 0.5))
    if abs(alpha - 1.0 / 6) < 1e-6, beta == 0.5 { return try unary(.hardsigmoid, x) }
    let scaled = try binary(.add, binary(.multiply, x, scalar(alpha, x.dtype)), scalar(beta, x.dtype))
    return try unary(.clip(minimum: 0, maximum: 1), scaled)
  }

  /// Before edition 13 all axes from one on are one.
  func alongAxis(_ body: (Operand, Int) throws -> Operand) throws -> [Operand?] {
    let x = try operand(0)
    if opset >= 13 {
      if x.rank == 0 { return [try reshape(body(reshape(x, [1]), 0), [])] }
      return [try body(x, axis(int("axis", -1), x.rank))]
    }
    let given = try int("axis", 1)
    let axis = given == x.rank ? given : try self.axis(given, x.rank)
    if axis == x.rank - 1 { return [try body(x, axis)] }
    let flat = try reshape(x, [product(x.shape[..<axis]), product(x.shape[axis...])])
    return [try reshape(body(flat, 1), x.shape)]
  }

  func softmax(isLogarithm: Bool) throws -> [Operand?] {
    try alongAxis { try emit(.softmax(axis: $1, isLogarithm: isLogarithm), $0) }
  }
}
