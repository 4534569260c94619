import ModelCore
import ModelGraph

/// Normalisations and softmax.
extension Differentiation {
  mutating func batchNormGradients(
    _ mode: BatchNormMode, _ eps: Double, _ node: Graph.Node, _ gradient: Value
  ) throws -> [Value?] {
    let (input, weight, bias) = (node.operands[0], node.operands[1], node.operands[2])
    if case .training = mode {
      let results = try emitAll(
        .gradient(.batchNorm), [input, weight, node.results[3], node.results[4], gradient])
      return results.map { $0 }
    }
    guard !needs(node.operands[3]), !needs(node.operands[4]) else { throw noRule("a running statistic") }
    let dtype = types[input].dtype
    let column = [shape(weight)[0]] + [Int](repeating: 1, count: shape(input).count - 2)
    let variance = try emit(.binary(.add), node.operands[4], try constant(eps, dtype))
    let inverse = try emit(.unary(.rsqrt), variance)
    let others = shape(input).indices.filter { $0 != 1 }
    var results: [Value?] = [nil, nil, nil]
    if needs(input) {
      let factor = try reshaped(try emit(.binary(.multiply), weight, inverse), to: column)
      results[0] = try emit(.binary(.multiply), gradient, factor)
    }
    if needs(weight) {
      let centred = try emit(.binary(.subtract), input, try reshaped(node.operands[3], to: column))
      let product = try emit(.binary(.multiply), gradient, centred)
      let sum = try emit(.reduce(.sum, axes: others, keepsAxes: false), product)
      results[1] = try emit(.binary(.multiply), sum, inverse)
    }
    if needs(bias) { results[2] = try emit(.reduce(.sum, axes: others, keepsAxes: false), gradient) }
    return results
  }

  /// Of what normalises by the input's own statistics.
  mutating func normGradients(
    _ node: Graph.Node, _ gradient: Value, _ rule: (_ hasWeight: Bool) -> Gradient
  ) throws -> [Value?] {
    let operands = node.operands.prefix(2) + [gradient]
    return try emitAll(.gradient(rule(node.operands.count > 1)), Array(operands)).map { $0 }
  }

  mutating func softmaxGradient(
    _ axis: Int?, _ isLogarithm: Bool, _ node: Graph.Node, _ gradient: Value
  ) throws -> Value {
    let (result, rank) = (node.results[0], shape(node.results[0]).count)
    guard rank > 0 else { return try filled(0, like: node.operands[0]) }
    let axis = self.axis(axis ?? ([1, 3].contains(rank) ? 0 : 1), result)
    guard isLogarithm else { return try softmaxGradient(of: result, gradient, axis: axis) }
    let sum = try emit(.reduce(.sum, axes: [axis], keepsAxes: true), gradient)
    let share = try emit(.binary(.multiply), try emit(.unary(.exp), result), sum)
    return try emit(.binary(.subtract), gradient, share)
  }

  mutating func softmaxGradient(of result: Value, _ gradient: Value, axis: Int) throws -> Value {
    let product = try emit(.binary(.multiply), gradient, result)
    let sum = try emit(.reduce(.sum, axes: [axis], keepsAxes: true), product)
    return try emit(.binary(.multiply), result, try emit(.binary(.subtract), gradient, sum))
  }
}
