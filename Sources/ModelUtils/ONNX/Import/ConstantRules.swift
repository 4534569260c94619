import ModelCheckpoints
import ModelCore
import ModelGraph

/// What does not depend on elements: constants, shapes, types.
extension NodeRules {
  static let constants: [String: Rule] = [
    "Constant": { call in [try call.constantValue()] },
    "ConstantOfShape": { call in
      guard let shape = try call.integers(0) else { throw ModelError(.malformed, "has no input 0") }
      guard case .tensor(let value)? = call.node.attribute("value") else {
        return [try call.filled(call.scalar(0, .float32), shape)]
      }
      return [try call.filled(Operand(value.tensor()).checked(), shape)]
    },
    "Identity": { call in [try call.operand(0)] },
    "Cast": { call in [try call.cast(to: call.int("to", 0))] },
    "CastLike": { call in [try call.convert(call.operand(0), call.operand(1).dtype)] },
    "Shape": { call in
      let shape = try call.operand(0).shape
      func bound(_ index: Int) -> Int { min(max(index < 0 ? index &+ shape.count : index, 0), shape.count) }
      let (start, end) = (bound(try call.int("start", 0)), bound(try call.int("end", shape.count)))
      return [try call.constant(Array(shape[start..<max(start, end)]))]
    },
    "Size": { call in [try call.constant([call.operand(0).count], [])] },
    "Range": { call in
      guard let start = try call.numbers(0)?.first, let limit = try call.numbers(1)?.first,
        let step = try call.numbers(2)?.first
      else { throw ModelError(.malformed, "has no start, limit and step") }
      let count = max(((limit - start) / step).rounded(.up), 0)
      guard step != 0, count <= Double(ONNXTracer.foldingLimit) else {
        throw ModelError(.limit, "counts from \(start) to \(limit) in steps of \(step)")
      }
      return [
        try call.constant((0..<Int(count)).map { start + Double($0) * step }, call.operand(0).dtype, [Int(count)])
      ]
    },
    "EyeLike": { call in
      let like = try call.operand(0)
      guard like.rank == 2, like.count <= ONNXTracer.foldingLimit else {
        throw ModelError(.mismatch, "takes a matrix, not \(like.shape)")
      }
      let (rows, columns, k) = (like.shape[0], like.shape[1], try call.int("k", 0))
      let dtype = try call.int("dtype").map { try call.dtype($0) } ?? like.dtype
      let values = (0..<rows).flatMap { row in (0..<columns).map { $0 - row == k ? 1.0 : 0 } }
      return [try call.constant(values, dtype, like.shape)]
    },
    "Dropout": { call in
      let x = try call.operand(0)
      let ratio = try call.opset >= 12 ? call.numbers(1)?.first ?? 0.5 : call.float("ratio", 0.5)
      let trains =
        try call.opset >= 12 ? call.numbers(2)?.first ?? 0 : (call.opset < 7 && !call.flag("is_test") ? 1 : 0)
      if trains != 0, ratio != 0 { throw Unsizable("draws random numbers") }
      // The mask had the input's type before edition 10.
      return [x, call.gives(1) ? try call.filled(call.scalar(1, call.opset >= 10 ? .bool : x.dtype), x.shape) : nil]
    },
  ]
}

extension NodeCall {
  /// - Throws: `ModelError` for a type that no tensor here has.
  func dtype(_ number: Int) throws -> DType {
    let type = ONNXElementType(number: number)
    guard let dtype = type.dtype else { throw ModelError(.unsupported, "makes elements of \(type)") }
    return dtype
  }

  func cast(to number: Int) throws -> Operand {
    let (x, dtype) = (try operand(0), try dtype(number))
    guard dtype.isInteger || DType.computed.contains(dtype) else {
      return try unknown("makes elements of \(dtype.rawValue)", TensorType(dtype, x.shape))
    }
    // Beyond the largest number of 8 bits stands that, unless it is said otherwise.
    if let largest = Self.largestOfEightBits[dtype], try flag("saturate", true), !x.dtype.isInteger {
      return try convert(unary(.clip(minimum: -largest, maximum: largest), x), dtype)
    }
    return try convert(x, dtype)
  }

  private static let largestOfEightBits: [DType: Double] = [
    .float8E4M3FN: 448, .float8E4M3FNUZ: 240, .float8E5M2: 57344, .float8E5M2FNUZ: 57344,
  ]

  func constantValue() throws -> Operand {
    for attribute in node.attributes {
      switch (attribute.name, attribute.value) {
      case ("value", .tensor(let tensor)):
        // A name under which it is found again: its output's.
        return try Operand(tensor.lazyTensor(), name: tensor.count > 1 ? node.outputs.first : nil).checked()
      case ("value_float", .float(let value)): return try scalar(Double(value), .float32)
      case ("value_floats", .floats(let values)):
        return try constant(values.map(Double.init), .float32, [values.count])
      case ("value_int", .int(let value)): return try constant([value], [])
      case ("value_ints", .ints(let values)): return try constant(values)
      case ("value_string", _), ("value_strings", _): throw Unsizable("holds text")
      default: continue
      }
    }
    throw Unsizable("holds nothing that is looked into")
  }
}
