import ModelCore
import ModelGraph

/// One element of those along axes, and what runs along them.
extension NodeRules {
  static let reductions: [String: Rule] = [
    "ReduceSum": reduction(since: 13) { try $0.reduce(.sum, $1, $2) },
    "ReduceMean": reduction { call, x, axes in
      guard x.dtype.isInteger else { return try call.reduce(.mean, x, axes) }
      let count = try call.product(axes.map { x.shape[$0] })
      return try call.binary(.quotient, call.reduce(.sum, x, axes), call.constant([max(count, 1)], []))
    },
    "ReduceMax": reduction { try $0.extreme(.max, $1, $2) },
    "ReduceMin": reduction { try $0.extreme(.min, $1, $2) },
    "ReduceProd": reduction { try $0.reduce(.product, $1, $2) },
    "ReduceL1": reduction { try $0.reduce(.sum, $0.unary(.abs, $1), $2) },
    "ReduceL2": reduction { call, x, axes in
      try call.reduce(.norm, x.dtype.isInteger ? call.convert(x, .float64) : x, axes)
    },
    "ReduceLogSum": reduction { try $0.unary(.log, $0.reduce(.sum, $1, $2)) },
    "ReduceLogSumExp": reduction { call, x, axes in
      let x = x.dtype.isInteger ? try call.convert(x, .float64) : x
      if axes.contains(where: { x.shape[$0] == 0 }) { return try call.unary(.log, call.reduce(.sum, x, axes)) }
      // Less the largest, so that no exponential overflows; an infinite one is left alone.
      let largest = try call.reduce(.max, x, axes)
      let bound = try call.unary(.clip(minimum: -1e30, maximum: 1e30), largest)
      let sum = try call.reduce(.sum, call.unary(.exp, call.binary(.subtract, x, bound)), axes)
      return try call.binary(.add, call.unary(.log, sum), bound)
    },
    "ReduceSumSquare": reduction { try $0.reduce(.sum, $0.unary(.square, $1), $2) },
    "ArgMax": { call in [try call.extremePlace(isLargest: true)] },
    "ArgMin": { call in [try call.extremePlace(isLargest: false)] },
    "TopK": { call in try call.topK() },
    "CumSum": { call in [try call.cumulated(.add, 0)] },
    "CumProd": { call in [try call.cumulated(.multiply, 1)] },
  ]

  /// - Parameters:
  ///   - edition: since which the axes are an input.
  ///   - body: reduces along axes, which stay with length 1.
  private static func reduction(
    since edition: Int = 18, _ body: @escaping @Sendable (NodeCall, Operand, [Int]) throws -> Operand
  ) -> Rule {
    { call in
      let x = try call.operand(0)
      let given = try call.axes(1, since: edition)
      let skips = try call.flag("noop_with_empty_axes") && (given ?? []).isEmpty
      let axes =
        skips
        ? []
        : try Set(
          (given?.isEmpty ?? true ? Array(x.shape.indices) : given ?? []).map {
            try call.axis($0, x.rank)
          }
        ).sorted()
      let result = try call.convert(body(call, x, axes), x.dtype)
      if try call.flag("keepdims", true) { return [result] }
      return [try call.reshape(result, x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] })]
    }
  }
}

extension NodeCall {
  /// The largest or least element; of none the least or largest that the type has.
  func extreme(_ reduction: Reduction, _ x: Operand, _ axes: [Int]) throws -> Operand {
    guard axes.contains(where: { x.shape[$0] == 0 }) else { return try reduce(reduction, x, axes) }
    var shape = x.shape
    for axis in axes { shape[axis] = 1 }
    let bound = x.dtype.range
    return try filled(scalar(reduction == .max ? bound.lowerBound : bound.upperBound, x.dtype), shape)
  }

  func extremePlace(isLargest: Bool) throws -> Operand {
    var x = try operand(0)
    let axis = try self.axis(int("axis", 0), x.rank)
    let keepsAxis = try flag("keepdims", true)
    if !isLargest {
      // Whole numbers without a sign have no negative.
      x = try unary(.negate, x.dtype.isInteger ? convert(x, .int64) : x)
    }
    guard try flag("select_last_index") else { return try emit(.argmax(axis: axis, keepsAxis: keepsAxis), x) }
    let length = x.shape[axis]
    let place = try emit(.argmax(axis: axis, keepsAxis: keepsAxis), reversed(x, axis))
    return try binary(.subtract, constant([length - 1], []), place)
  }

  func topK() throws -> [Operand?] {
    let x = try operand(0)
    let axis = try self.axis(int("axis", -1), x.rank)
    guard let count = try opset >= 10 ? integers(1)?.first : int("k"), (0...x.shape[axis]).contains(count) else {
      throw ModelError(.mismatch, "cannot choose so many of \(x.shape[axis])")
    }
    if try flag("largest", true) { return try all(.topK(axis: axis, count: count), [x]) }
    let chosen = try all(
      .topK(axis: axis, count: count), [unary(.negate, x.dtype.isInteger ? convert(x, .int64) : x)])
    return [try convert(unary(.negate, chosen[0]), x.dtype), chosen[1]]
  }

  /// Each element combined with all before it, by doubling the distance over which is combined.
  func cumulated(_ function: Binary, _ neutral: Double) throws -> Operand {
    var x = try operand(0)
    guard let given = try integers(1)?.first else { throw ModelError(.malformed, "says no axis") }
    let axis = try self.axis(given, x.rank)
    let length = x.shape[axis]
    let (isExclusive, isReversed) = (try flag("exclusive"), try flag("reverse"))
    func moved(_ x: Operand, _ distance: Int) throws -> Operand {
      var margins = x.shape.map { _ in Margin(0) }
      margins[axis] = Margin(distance, 0)
      return try emit(.pad(margins, .constant(neutral)), slice(x, axis, 0, length - distance))
    }
    if isReversed { x = try reversed(x, axis) }
    if isExclusive, length > 0 { x = try moved(x, 1) }
    var distance = 1
    while distance < length {
      x = try binary(function, x, moved(x, distance))
      distance *= 2
    }
    return isReversed ? try reversed(x, axis) : x
  }
}

extension DType {
  /// The least and the largest number that it holds, infinities where it has them.
  var range: ClosedRange<Double> {
    switch self {
    case .bool: 0...1
    case .int8: -128...127
    case .uint8: 0...255
    case .int16: -32768...32767
    case .uint16: 0...65535
    case .int32: -0x1p31...(0x1p31 - 1)
    case .uint32: 0...(0x1p32 - 1)
    case .int64: -0x1p63...0x1p63
    case .uint64: 0...0x1p64
    default: -.infinity ... .infinity
    }
  }
}
