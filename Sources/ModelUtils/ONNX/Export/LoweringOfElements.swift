import ModelCheckpoints
import ModelCore
import ModelGraph

/// Element by element.
extension ONNXLowering {
  mutating func unary(_ function: Unary, _ x: ONNXValue, _ dtype: DType) throws -> ONNXValue {
    // Functions of fractions make fractions of whole numbers.
    let x = cast(x, to: dtype)
    func attribute(_ name: String, _ value: Double) -> ONNXAttribute { ONNXAttribute(name, Float(value)) }
    switch function {
    case .abs: return node("Abs", [x], like: x)
    case .acos: return node("Acos", [x], like: x)
    case .acosh: return node("Acosh", [x], like: x)
    case .asin: return node("Asin", [x], like: x)
    case .asinh: return node("Asinh", [x], like: x)
    case .atan: return node("Atan", [x], like: x)
    case .atanh: return node("Atanh", [x], like: x)
    case .bitwiseNot: return node(try bitwise("BitwiseNot"), [x], like: x)
    case .ceil: return x.dtype.isFloatingPoint ? node("Ceil", [x], like: x) : x
    case .cos: return node("Cos", [x], like: x)
    case .cosh: return node("Cosh", [x], like: x)
    case .erf: return node("Erf", [x], like: x)
    case .exp: return node("Exp", [x], like: x)
    case .floor: return x.dtype.isFloatingPoint ? node("Floor", [x], like: x) : x
    case .log: return node("Log", [x], like: x)
    case .negate: return node("Neg", [x], like: x)
    case .not:
      if x.dtype == .bool { return node("Not", [x], like: x) }
      return cast(node("Equal", x, try scalar(0, like: x), .bool), to: x.dtype)
    case .reciprocal: return node("Reciprocal", [x], like: x)
    case .round: return x.dtype.isFloatingPoint ? node("Round", [x], like: x) : x
    case .rsqrt: return node("Reciprocal", [node("Sqrt", [x], like: x)], like: x)
    case .sign: return node("Sign", [x], like: x)
    case .sin: return node("Sin", [x], like: x)
    case .sinh: return node("Sinh", [x], like: x)
    case .sqrt: return node("Sqrt", [x], like: x)
    case .square: return node("Mul", x, x)
    case .tan: return node("Tan", [x], like: x)
    case .clip(let minimum, let maximum):
      let low = try minimum.map { try scalar($0, like: x) }
      let high = try maximum.map { try scalar($0, like: x) }
      return low == nil && high == nil ? x : node("Clip", [x, low, high], like: x)
    case .celu(let alpha): return node("Celu", [x], [attribute("alpha", alpha)], like: x)
    case .elu(let alpha): return node("Elu", [x], [attribute("alpha", alpha)], like: x)
    case .gelu(let isApproximate): return try gelu(x, isApproximate: isApproximate)
    case .hardshrink(let lambda): return node("Shrink", [x], [attribute("lambd", lambda)], like: x)
    case .hardsigmoid: return node("HardSigmoid", [x], [attribute("alpha", 1 / 6)], like: x)
    case .hardswish:
      if opset >= 14 { return node("HardSwish", [x], like: x) }
      return node("Mul", x, node("HardSigmoid", [x], [attribute("alpha", 1 / 6)], like: x))
    case .leakyReLU(let slope): return node("LeakyRelu", [x], [attribute("alpha", slope)], like: x)
    case .logSigmoid:
      let negative = node("Neg", [x], like: x)
      return node("Neg", [node("Softplus", [negative], like: x)], like: x)
    case .mish:
      if opset >= 18 { return node("Mish", [x], like: x) }
      return node("Mul", x, node("Tanh", [node("Softplus", [x], like: x)], like: x))
    case .relu:
      if !x.dtype.isFloatingPoint { return node("Max", x, try scalar(0, like: x)) }
      return node("Relu", [x], like: x)
    case .selu: return node("Selu", [x], like: x)
    case .sigmoid: return node("Sigmoid", [x], like: x)
    case .silu: return node("Mul", x, node("Sigmoid", [x], like: x))
    case .softplus(let beta, let threshold): return try softplus(x, beta: beta, threshold: threshold)
    case .softshrink(let lambda):
      return node("Shrink", [x], [attribute("bias", lambda), attribute("lambd", lambda)], like: x)
    case .softsign: return node("Softsign", [x], like: x)
    case .tanh: return node("Tanh", [x], like: x)
    case .tanhshrink: return node("Sub", x, node("Tanh", [x], like: x))
    case .threshold(let threshold, let value):
      let isLow = node("LessOrEqual", x, try scalar(threshold, like: x), .bool)
      return node("Where", [isLow, try scalar(value, like: x), x], like: x)
    }
  }

  /// - Throws: `ModelError` for an opset that has no operators on bits.
  private func bitwise(_ operation: String) throws -> String {
    guard opset >= 18 else {
      throw ModelError(.unsupported, "opset \(opset) has no \(operation)", advice: "export with --opset 18")
    }
    return operation
  }

  private mutating func gelu(_ x: ONNXValue, isApproximate: Bool) throws -> ONNXValue {
    if opset >= 20 {
      return node("Gelu", [x], isApproximate ? [ONNXAttribute("approximate", "tanh")] : [], like: x)
    }
    var inner: ONNXValue
    if isApproximate {
      let cube = node("Mul", x, node("Mul", x, x))
      inner = node("Add", x, node("Mul", cube, try scalar(0.044715, like: x)))
      inner = node("Tanh", [node("Mul", inner, try scalar((2 / Double.pi).squareRoot(), like: x))], like: x)
    } else {
      inner = node("Erf", [node("Div", x, try scalar(2.0.squareRoot(), like: x))], like: x)
    }
    let share = node("Add", inner, try scalar(1, like: x))
    return node("Mul", node("Mul", x, share), try scalar(0.5, like: x))
  }

  private mutating func softplus(_ x: ONNXValue, beta: Double, threshold: Double) throws -> ONNXValue {
    if beta == 1, threshold >= 15 { return node("Softplus", [x], like: x) }
    let steep = node("Mul", x, try scalar(beta, like: x))
    let soft = node("Div", node("Softplus", [steep], like: x), try scalar(beta, like: x))
    // From there on the difference to a line is beyond single precision.
    if threshold >= 15 { return soft }
    let isLinear = node("Greater", steep, try scalar(threshold, like: x), .bool)
    return node("Where", [isLinear, x, soft], like: x)
  }

  mutating func prelu(_ x: ONNXValue, _ slope: ONNXValue) throws -> ONNXValue {
    let slopes = slope.shape.reduce(1, *) > 1 ? try channelwise(slope, rank: x.rank) : slope
    return node("PRelu", [x, slopes], like: x)
  }

  /// - Parameter isCount: whether both are known not to be negative.
  mutating func binary(
    _ function: Binary, _ first: ONNXValue, _ second: ONNXValue, _ dtype: DType, isCount: Bool
  ) throws -> ONNXValue {
    switch function {
    case .and, .or, .xor:
      let names: [Binary: String] = [.and: "And", .or: "Or", .xor: "Xor"]
      let result = node(names[function] ?? "", cast(first, to: .bool), cast(second, to: .bool), .bool)
      return cast(result, to: dtype)
    default: break
    }
    let (a, b) = (cast(first, to: dtype), cast(second, to: dtype))
    switch function {
    case .add: return node("Add", a, b)
    case .subtract: return node("Sub", a, b)
    case .multiply: return node("Mul", a, b)
    case .divide: return node("Div", a, b)
    case .power: return node("Pow", a, b)
    case .minimum: return node("Min", a, b)
    case .maximum: return node("Max", a, b)
    case .floorDivide:
      if dtype.isFloatingPoint {
        let quotient = node("Div", a, b)
        return node("Floor", [quotient], like: quotient)
      }
      // ONNX's division of whole numbers rounds toward zero, its Mod has the divisor's sign.
      return isCount ? node("Div", a, b) : node("Div", node("Sub", a, node("Mod", a, b)), b)
    case .remainder:
      if !dtype.isFloatingPoint { return node("Mod", a, b) }
      let quotient = node("Div", a, b)
      return node("Sub", a, node("Mul", node("Floor", [quotient], like: quotient), b))
    case .quotient:
      let quotient = node("Div", a, b)
      if !dtype.isFloatingPoint { return quotient }
      let size = node("Floor", [node("Abs", [quotient], like: quotient)], like: quotient)
      return node("Mul", size, node("Sign", [quotient], like: quotient))
    case .truncatedRemainder:
      return node("Mod", [a, b], [ONNXAttribute("fmod", 1)], dtype, zip(a.shapes, b.shapes).map(broadcastShape))
    case .bitwiseAnd: return node(try bitwise("BitwiseAnd"), a, b)
    case .bitwiseOr: return node(try bitwise("BitwiseOr"), a, b)
    case .bitwiseXor: return node(try bitwise("BitwiseXor"), a, b)
    case .and, .or, .xor, .shiftLeft, .shiftRight:
      throw ModelError(.unsupported, "\(function.rawValue) is not exported")
    }
  }

  mutating func compare(_ comparison: Comparison, _ first: ONNXValue, _ second: ONNXValue) -> ONNXValue {
    var dtype = DType.promoted([TensorType(first.dtype, first.shape), TensorType(second.dtype, second.shape)])
    let isOrder = comparison != .equal && comparison != .notEqual
    if dtype == .bool, isOrder { dtype = .int32 }
    let (a, b) = (cast(first, to: dtype), cast(second, to: dtype))
    switch comparison {
    case .equal: return node("Equal", a, b, .bool)
    case .notEqual:
      let same = node("Equal", a, b, .bool)
      return node("Not", [same], like: same)
    case .less: return node("Less", a, b, .bool)
    case .lessOrEqual: return node("LessOrEqual", a, b, .bool)
    case .greater: return node("Greater", a, b, .bool)
    case .greaterOrEqual: return node("GreaterOrEqual", a, b, .bool)
    }
  }

  mutating func select(_ operands: [ONNXValue], _ dtype: DType, _ shapes: [[Int]]) -> ONNXValue {
    let condition = cast(operands[0], to: .bool)
    return node("Where", [condition, cast(operands[1], to: dtype), cast(operands[2], to: dtype)], [], dtype, shapes)
  }

  /// In another type, where it has another.
  mutating func cast(_ x: ONNXValue, to dtype: DType) -> ONNXValue {
    guard x.dtype != dtype, let type = ONNXElementType(dtype) else { return x }
    return node("Cast", [x], [ONNXAttribute("to", type.number)], dtype, x.shapes)
  }
}
