import ModelCore
import ModelGraph

/// What works element by element, and what makes one element of several.
extension Differentiation {
  mutating func unaryGradient(_ function: Unary, _ node: Graph.Node, _ gradient: Value) throws -> Value? {
    if function.isFlat { return nil }
    if function == .negate { return try emit(.unary(.negate), gradient) }
    let known = function.derivesFromResult ? node.results[0] : node.operands[0]
    return try emit(.gradient(.unary(function)), known, gradient)
  }

  mutating func binaryGradients(_ function: Binary, _ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let (a, b, type) = (node.operands[0], node.operands[1], types[node.results[0]])
    func product(_ x: Value, _ y: Value) throws -> Value { try emit(.binary(.multiply), x, y) }
    var ofA: Value?
    var ofB: Value?
    switch function {
    case .add: (ofA, ofB) = (gradient, gradient)
    case .subtract:
      ofA = gradient
      if needs(b) { ofB = try emit(.unary(.negate), gradient) }
    case .multiply:
      if needs(a) { ofA = try product(gradient, b) }
      if needs(b) { ofB = try product(gradient, a) }
    case .divide:
      let share = try emit(.binary(.divide), gradient, b)
      ofA = share
      if needs(b) { ofB = try emit(.unary(.negate), try product(share, node.results[0])) }
    case .power:
      if needs(a) {
        let lower = try emit(.binary(.subtract), b, try constant(1, types[b].dtype))
        let slope = try product(b, try emit(.binary(.power), a, lower))
        // A power of 0 is 1 everywhere, at 0 too.
        let isZero = try emit(.compare(.equal), b, try constant(0, types[b].dtype))
        ofA = try product(gradient, try emit(.select, isZero, try constant(0, type.dtype), slope))
      }
      if needs(b) {
        let slope = try product(node.results[0], try emit(.unary(.log), a))
        let isZero = try emit(.compare(.equal), a, try constant(0, types[a].dtype))
        ofB = try product(gradient, try emit(.select, isZero, try constant(0, type.dtype), slope))
      }
    case .minimum, .maximum:
      // Equal operands share it.
      let half = try scaled(
        try emit(.convert(type.dtype), try emit(.compare(.equal), a, b)), by: 0.5, type.dtype)
      func share(_ comparison: Comparison) throws -> Value {
        let wins = try emit(.convert(type.dtype), try emit(.compare(comparison), a, b))
        return try product(gradient, try emit(.binary(.add), wins, half))
      }
      if needs(a) { ofA = try share(function == .maximum ? .greater : .less) }
      if needs(b) { ofB = try share(function == .maximum ? .less : .greater) }
    case .remainder, .truncatedRemainder:
      ofA = gradient
      if needs(b) {
        let times = try emit(.binary(function == .remainder ? .floorDivide : .quotient), a, b)
        ofB = try emit(.unary(.negate), try product(gradient, times))
      }
    // Flat, or of whole numbers.
    case .floorDivide, .quotient, .and, .or, .xor, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight:
      return []
    }
    return [
      try ofA.flatMap { needs(a) ? try reduced($0, type, to: a) : nil },
      try ofB.flatMap { needs(b) ? try reduced($0, type, to: b) : nil },
    ]
  }

  mutating func selectGradients(_ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let type = types[node.results[0]]
    let zero = try constant(0, type.dtype)
    func part(_ operand: Value, _ isFirst: Bool) throws -> Value? {
      guard needs(operand) else { return nil }
      let (yes, no) = isFirst ? (gradient, zero) : (zero, gradient)
      return try reduced(try emit(.select, node.operands[0], yes, no), type, to: operand)
    }
    return [nil, try part(node.operands[1], true), try part(node.operands[2], false)]
  }

  mutating func reduceGradient(
    _ reduction: Reduction, _ axes: [Int], _ node: Graph.Node, _ gradient: Value
  ) throws -> Value {
    let input = node.operands[0]
    let (whole, dtype) = (shape(input), types[input].dtype)
    let chosen = Set(axes.map { axis($0, input) })
    let kept = whole.indices.map { chosen.contains($0) ? 1 : whole[$0] }
    let column = try reshaped(gradient, to: kept)
    switch reduction {
    case .sum: return try expanded(column, to: whole)
    case .mean:
      let count = Double(chosen.reduce(1) { $0 * whole[$1] })
      return try expanded(try emit(.binary(.divide), column, try constant(count, dtype)), to: whole)
    case .max, .min:
      // The largest share it.
      let result = try reshaped(node.results[0], to: kept)
      let isChosen = try emit(.convert(dtype), try emit(.compare(.equal), input, result))
      let count = try emit(.reduce(.sum, axes: chosen.sorted(), keepsAxes: true), isChosen)
      return try emit(.binary(.multiply), isChosen, try emit(.binary(.divide), column, count))
    case .norm:
      let result = try reshaped(node.results[0], to: kept)
      let share = try emit(.binary(.divide), input, result)
      let isZero = try emit(.compare(.equal), result, try constant(0, dtype))
      return try emit(
        .binary(.multiply), column, try emit(.select, isZero, try constant(0, dtype), share))
    case .product: return try emit(.binary(.multiply), column, try productShares(input, chosen.sorted(), dtype))
    }
  }

  /// The product of all elements but one, for each of them: nothing is divided by 0.
  private mutating func productShares(_ input: Value, _ axes: [Int], _ dtype: DType) throws -> Value {
    let (zero, one) = (try constant(0, dtype), try constant(1, dtype))
    let isZero = try emit(.compare(.equal), input, zero)
    let others = try emit(.select, isZero, one, input)
    let product = try emit(.reduce(.product, axes: axes, keepsAxes: true), others)
    let zeros = try emit(.reduce(.sum, axes: axes, keepsAxes: true), try emit(.convert(dtype), isZero))
    let ofZero = try emit(.select, try emit(.compare(.equal), zeros, one), product, zero)
    let ofOthers = try emit(
      .select, try emit(.compare(.equal), zeros, zero), try emit(.binary(.divide), product, others), zero)
    return try emit(.select, isZero, ofZero, ofOthers)
  }
}
