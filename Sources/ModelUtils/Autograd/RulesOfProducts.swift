import ModelCore
import ModelGraph

/// Convolutions, products and attention.
extension Differentiation {
  mutating func convolutionGradients(
    _ geometry: ConvolutionGeometry, _ node: Graph.Node, _ gradient: Value
  ) throws -> [Value?] {
    let (input, weight) = (node.operands[0], node.operands[1])
    var results: [Value?] = [nil, nil, nil]
    // The weight's first: the input is then let go of before anything is made of it.
    if needs(weight) {
      results[1] = try emit(.gradient(.convolutionWeight(geometry, shape: shape(weight))), input, gradient)
    }
    if let bias = node.operands.dropFirst(2).first, needs(bias) {
      let axes = shape(node.results[0]).indices.filter { $0 != 1 }
      results[2] = try emit(.reduce(.sum, axes: axes, keepsAxes: false), gradient)
    }
    if needs(input) {
      results[0] = try emit(.gradient(.convolutionInput(geometry, shape: shape(input))), weight, gradient)
    }
    return results
  }

  mutating func linearGradients(_ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let (input, weight) = (node.operands[0], node.operands[1])
    let (features, outputs) = (shape(weight)[1], shape(weight)[0])
    let rows = shape(input).dropLast().reduce(1, *)
    let flat = shape(input).count == 2 ? gradient : try reshaped(gradient, to: [rows, outputs])
    var results: [Value?] = [nil, nil, nil]
    if needs(weight) {
      let rowsOfInput = shape(input).count == 2 ? input : try reshaped(input, to: [rows, features])
      results[1] = try emit(.matrixProduct, try emit(.permute([1, 0]), flat), rowsOfInput)
    }
    if let bias = node.operands.dropFirst(2).first, needs(bias) {
      results[2] = try emit(.reduce(.sum, axes: [0], keepsAxes: false), flat)
    }
    if needs(input) {
      let product = try emit(.matrixProduct, flat, weight)
      results[0] = shape(input).count == 2 ? product : try reshaped(product, to: shape(input))
    }
    return results
  }

  private mutating func transposed(_ value: Value, rank: Int) throws -> Value {
    try emit(.permute(Array(0..<rank - 2) + [rank - 1, rank - 2]), value)
  }

  mutating func matrixProductGradients(_ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let (left, right) = (node.operands[0], node.operands[1])
    let (type, batch) = (types[node.results[0]], shape(node.results[0]).dropLast(2))
    var results: [Value?] = [nil, nil]
    if needs(left) {
      let product = try emit(.matrixProduct, gradient, try transposed(right, rank: shape(right).count))
      results[0] = try reduced(product, TensorType(type.dtype, batch + shape(left).suffix(2)), to: left)
    }
    if needs(right) {
      let product = try emit(.matrixProduct, try transposed(left, rank: shape(left).count), gradient)
      results[1] = try reduced(product, TensorType(type.dtype, batch + shape(right).suffix(2)), to: right)
    }
    return results
  }

  /// Each operand's is the product of the gradient and the other, summed over what it does not have; what neither has
  /// was summed and is repeated.
  mutating func einsumGradients(_ equation: String, _ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let parsed = try Einsum(equation, node.operands.map { shape($0) })
    guard parsed.operands.count <= 2, parsed.operands.allSatisfy({ Set($0).count == $0.count }) else {
      throw noRule("the equation \(equation)")
    }
    return try node.operands.indices.map { place in
      guard needs(node.operands[place]) else { return nil }
      let letters = parsed.operands[place]
      let other = node.operands.indices.first { $0 != place }
      let reachable = Set(parsed.output).union(other.map { parsed.operands[$0] } ?? [])
      let found = letters.filter(reachable.contains)
      var result: Value
      if let other {
        let turned = "\(String(parsed.output)),\(String(parsed.operands[other]))->\(String(found))"
        result = try emit(.einsum(turned), gradient, node.operands[other])
      } else {
        result = try emit(.einsum("\(String(parsed.output))->\(String(found))"), gradient)
      }
      if found.count < letters.count {
        result = try reshaped(result, to: letters.map { reachable.contains($0) ? parsed.sizes[$0] ?? 1 : 1 })
        result = try expanded(result, to: letters.map { parsed.sizes[$0] ?? 1 })
      }
      return result
    }
  }

  /// The weights of the values are computed anew.
  mutating func attentionGradients(_ scale: Double?, _ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let (queries, keys, values) = (node.operands[0], node.operands[1], node.operands[2])
    let (rank, dtype) = (shape(queries).count, types[queries].dtype)
    let scale = scale ?? 1 / Double(shape(queries)[rank - 1]).squareRoot()
    let scoresShape = shape(queries).dropLast() + [shape(keys)[rank - 2]]
    var scores = try emit(.matrixProduct, queries, try transposed(keys, rank: rank))
    scores = try scaled(scores, by: scale, dtype)
    if let mask = node.operands.dropFirst(3).first {
      scores =
        types[mask].dtype == .bool
        ? try emit(.select, mask, scores, try constant(-.infinity, dtype)) : try emit(.binary(.add), scores, mask)
    }
    let weights = try emit(.softmax(axis: -1, isLogarithm: false), scores)
    var results: [Value?] = [nil, nil, nil, nil]
    if needs(values) { results[2] = try emit(.matrixProduct, try transposed(weights, rank: rank), gradient) }
    guard [queries, keys].contains(where: needs) || node.operands.dropFirst(3).contains(where: needs) else {
      return results
    }
    let ofWeights = try emit(.matrixProduct, gradient, try transposed(values, rank: rank))
    let ofScores = try softmaxGradient(of: weights, ofWeights, axis: rank - 1)
    if let mask = node.operands.dropFirst(3).first, needs(mask) {
      results[3] = try reduced(ofScores, TensorType(dtype, Array(scoresShape)), to: mask)
    }
    let ofProducts = try scaled(ofScores, by: scale, dtype)
    if needs(queries) { results[0] = try emit(.matrixProduct, ofProducts, keys) }
    if needs(keys) { results[1] = try emit(.matrixProduct, try transposed(ofProducts, rank: rank), queries) }
    return results
  }
}
