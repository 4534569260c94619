import ModelCheckpoints
import ModelCore
import ModelGraph

/// Numbers of 8 bits with a scale and a zero point, computed as the floats that they stand for.
extension NodeRules {
  static let quantization: [String: Rule] = [
    "QuantizeLinear": { call in
      let x = try call.operand(0)
      let dtype = try call.optional(2)?.dtype ?? call.int("output_dtype").flatMap { $0 == 0 ? nil : try call.dtype($0) }
      return [
        try call.quantized(
          x, call.operand(1), call.optional(2), dtype ?? .uint8, axis: call.int("axis", 1),
          block: call.int("block_size", 0))
      ]
    },
    "DequantizeLinear": { call in
      let dtype = try call.int("output_dtype").flatMap { $0 == 0 ? nil : try call.dtype($0) }
      let result = try call.dequantized(
        call.operand(0), call.operand(1), call.optional(2), axis: call.int("axis", 1), block: call.int("block_size", 0))
      return [try call.convert(result, dtype ?? call.operand(1).dtype)]
    },
    "DynamicQuantizeLinear": { call in try call.dynamicallyQuantized(call.operand(0)) },
    "ConvInteger": { call in
      let x = try call.centred(call.operand(0), call.optional(2))
      let weight = try call.centred(call.operand(1), call.optional(3), axis: 0)
      return [try call.convert(call.convolution(x, weight, nil), .int32)]
    },
    "MatMulInteger": { call in
      let a = try call.centred(call.operand(0), call.optional(2), axis: call.operand(0).rank - 2)
      let b = try call.centred(call.operand(1), call.optional(3), axis: call.operand(1).rank - 1)
      return [try call.convert(call.matrixProduct(a, b), .int32)]
    },
    "QLinearConv": { call in
      let x = try call.centred(call.operand(0), call.optional(2))
      let weight = try call.centred(call.operand(3), call.optional(5), axis: 0)
      let sum = try call.convolution(x, weight, call.optional(8).map { try call.convert($0, .float32) })
      let scale = try call.binary(.multiply, call.operand(1), call.operand(4))
      let factors = try call.along(scale, axis: 1, rank: sum.rank)
      return [try call.requantized(sum, call.binary(.divide, factors, call.operand(6)), call.optional(7))]
    },
    "QLinearMatMul": { call in
      let a = try call.centred(call.operand(0), call.optional(2), axis: call.operand(0).rank - 2)
      let b = try call.centred(call.operand(3), call.optional(5), axis: call.operand(3).rank - 1)
      let product = try call.matrixProduct(a, b)
      let left = try call.along(call.convert(call.operand(1), .float32), axis: product.rank - 2, rank: product.rank)
      let right = try call.along(call.convert(call.operand(4), .float32), axis: product.rank - 1, rank: product.rank)
      let scale = try call.binary(.multiply, left, right)
      return [
        try call.requantized(
          product, call.binary(.divide, scale, call.convert(call.operand(6), .float32)), call.optional(7))
      ]
    },
  ]
}

extension NodeCall {
  /// One number for all, or one for each place of an axis of a tensor of `rank` axes.
  func along(_ parameter: Operand, axis: Int, rank: Int) throws -> Operand {
    if parameter.count == 1 { return try reshape(parameter, []) }
    guard parameter.rank == 1 else { return parameter }
    var shape = [Int](repeating: 1, count: rank)
    shape[try self.axis(axis, rank)] = parameter.count
    return try reshape(parameter, shape)
  }

  /// A scale or zero point in the shape of what it belongs to; each of blocks along an axis repeated for its elements.
  private func spread(_ parameter: Operand, over shape: [Int], axis: Int, block: Int) throws -> Operand {
    guard block > 0, parameter.rank == shape.count, !shape.isEmpty else {
      return try along(parameter, axis: axis, rank: shape.count)
    }
    let axis = try self.axis(axis, shape.count)
    guard try product([parameter.shape[axis], block]) >= shape[axis] else {
      throw ModelError(.mismatch, "has scales \(parameter.shape) for \(shape) in blocks of \(block)")
    }
    let places = try constant(counted(shape[axis]) { $0 / block })
    return try emit(.gather(axis: axis, batchAxes: 0), parameter, places)
  }

  func dequantized(
    _ x: Operand, _ scale: Operand, _ zero: Operand?, axis: Int = 1, block: Int = 0
  ) throws -> Operand {
    let dtype: DType = scale.dtype == .float64 ? .float64 : .float32
    var numbers = try convert(x, dtype)
    if let zero {
      numbers = try binary(
        .subtract, numbers, spread(convert(zero, dtype), over: x.shape, axis: axis, block: block))
    }
    return try binary(.multiply, numbers, spread(convert(scale, dtype), over: x.shape, axis: axis, block: block))
  }

  func quantized(
    _ x: Operand, _ scale: Operand, _ zero: Operand?, _ dtype: DType, axis: Int = 1, block: Int = 0
  ) throws -> Operand {
    guard dtype.isInteger else {
      return try unknown("makes elements of \(dtype.rawValue)", TensorType(dtype, x.shape))
    }
    let numbers = try x.dtype.isInteger || x.dtype == .bfloat16 || x.dtype == .float16 ? convert(x, .float32) : x
    let divided = try binary(
      .divide, numbers, spread(convert(scale, numbers.dtype), over: x.shape, axis: axis, block: block))
    let zero = try zero.map { try spread(convert($0, numbers.dtype), over: x.shape, axis: axis, block: block) }
    return try saturated(divided, zero, dtype)
  }

  /// Rounded, moved by the zero point, and within what the type holds.
  func saturated(_ x: Operand, _ zero: Operand?, _ dtype: DType) throws -> Operand {
    var rounded = try unary(.round, x)
    if let zero { rounded = try binary(.add, rounded, zero) }
    let range = dtype.range
    return try convert(unary(.clip(minimum: range.lowerBound, maximum: range.upperBound), rounded), dtype)
  }

  func requantized(_ x: Operand, _ factor: Operand, _ zero: Operand?) throws -> Operand {
    let scaled = try binary(.multiply, x, convert(factor, x.dtype))
    return try saturated(scaled, zero.map { try reshape(convert($0, x.dtype), []) }, zero?.dtype ?? .uint8)
  }

  /// Less the zero point, which may be each place's of an axis.
  func centred(_ x: Operand, _ zero: Operand?, axis: Int = 0) throws -> Operand {
    let numbers = try convert(x, .float32)
    guard let zero else { return numbers }
    if let tensor = zero.tensor, tensor.count == 1, try tensor.doubles()[0] == 0 { return numbers }
    return try binary(.subtract, numbers, along(convert(zero, .float32), axis: axis, rank: x.rank))
  }

  /// To unsigned numbers of 8 bits, by a scale and a zero point that follow from the least and the largest element.
  func dynamicallyQuantized(_ x: Operand) throws -> [Operand] {
    let axes = Array(x.shape.indices)
    let (zero, top) = (try scalar(0, x.dtype), try scalar(255, x.dtype))
    let high = try binary(.maximum, reduce(.max, x, axes, keepsAxes: false), zero)
    let low = try binary(.minimum, reduce(.min, x, axes, keepsAxes: false), zero)
    let range = try binary(.subtract, high, low)
    // Where all is 0 any scale will do.
    let isFlat = try compare(.equal, range, zero)
    let scale = try emit(.select, isFlat, scalar(1, x.dtype), binary(.divide, range, top))
    let place = try binary(.divide, binary(.subtract, zero, low), scale)
    let zeroPoint = try unary(.round, unary(.clip(minimum: 0, maximum: 255), place))
    return [try saturated(binary(.divide, x, scale), zeroPoint, .uint8), scale, try convert(zeroPoint, .uint8)]
  }
}
