import ModelCore

/// Element by element.
extension Reference {
  static func prelu(_ input: ReferenceArray, slopes: ReferenceArray) -> [Double] {
    let slope = slopes.values
    let inner = slope.count > 1 ? AxisView(input.shape, axis: 1).inner : 1
    return input.values.enumerated().map { index, value in
      value > 0 ? value : slope[index / inner % slope.count] * value
    }
  }

  static func binary(_ function: Binary, _ operands: [ReferenceArray], _ type: TensorType) throws -> [Double] {
    let (left, right) = (operands[0].broadcast(to: type.shape), operands[1].broadcast(to: type.shape))
    if type.dtype.isInteger {
      switch function {
      case .floorDivide where right.contains(0), .remainder where right.contains(0), .quotient where right.contains(0),
        .truncatedRemainder where right.contains(0):
        throw ModelError(.invalid, "divides a whole number by 0")
      case .power where right.contains { $0 < 0 }:
        throw ModelError(.invalid, "raises a whole number to a negative power")
      case .add, .subtract, .multiply, .divide, .power, .minimum, .maximum, .floorDivide, .remainder, .quotient,
        .truncatedRemainder, .and, .or, .xor, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight:
        break
      }
    }
    return zip(left, right).map { function($0, $1) }
  }

  static func compare(_ comparison: Comparison, _ operands: [ReferenceArray], _ type: TensorType) -> [Double] {
    zip(operands[0].broadcast(to: type.shape), operands[1].broadcast(to: type.shape)).map {
      comparison($0, $1) ? 1 : 0
    }
  }

  static func select(_ operands: [ReferenceArray], _ type: TensorType) -> [Double] {
    let (yes, no) = (operands[1].broadcast(to: type.shape), operands[2].broadcast(to: type.shape))
    return operands[0].broadcast(to: type.shape).enumerated().map { $1 != 0 ? yes[$0] : no[$0] }
  }

  /// Floats become whole numbers toward zero, NaN 0; float32 stays unrounded, narrower types round.
  static func convert(_ input: ReferenceArray, to dtype: DType) throws -> [Double] {
    if dtype.isInteger {
      let isBool = dtype == .bool
      return input.values.map { isBool ? ($0 == 0 ? 0 : 1) : $0.isNaN ? 0 : $0.rounded(.towardZero) }
    }
    guard dtype != .float64, dtype != .float32 else { return input.values }
    return try ReferenceArray(TensorType(dtype, input.shape), input.values).tensor().doubles()
  }

  static func dropout(_ operands: [ReferenceArray], _ dropout: Dropout) throws -> [Double] {
    let values = operands[0].values
    if dropout.probability == 0 { return values }
    if dropout.probability == 1 { return values.map { $0 * 0 } }
    guard operands.count > 1 else {
      throw ModelError(.unsupported, "dropout draws random numbers", advice: "set its probability to 0")
    }
    let draws = DropoutDraws(dropout, state: operands[1].values.map { Int($0) })
    let size = max(dropout.units(of: operands[0].shape).size, 1)
    return values.enumerated().map { $1 * draws.factor(of: $0 / size) }
  }
}
