import ModelCore
import ModelGraph

/// What moves elements.
extension Differentiation {
  mutating func padGradient(
    _ margins: [Margin], _ mode: PadMode, _ node: Graph.Node, _ gradient: Value
  ) throws -> Value {
    if case .constant = mode {
      return try emit(.pad(margins.map { Margin(-$0.before, -$0.after) }, .constant(0)), gradient)
    }
    return try emit(.gradient(.pad(margins, mode, shape: shape(node.operands[0]))), gradient)
  }

  mutating func concatenateGradients(_ axis: Int, _ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let axis = self.axis(axis, node.results[0])
    var start = 0
    return try node.operands.map { operand in
      let end = start + shape(operand)[axis]
      defer { start = end }
      guard needs(operand) else { return nil }
      let part = try emit(.slice(axis: axis, start: start, end: end, step: 1), gradient)
      let dtype = types[operand].dtype
      return dtype == types[node.results[0]].dtype ? part : try emit(.convert(dtype), part)
    }
  }

  mutating func stackGradients(_ axis: Int, _ node: Graph.Node, _ gradient: Value) throws -> [Value?] {
    let axis = self.axis(axis, node.results[0])
    return try node.operands.enumerated().map { place, operand in
      guard needs(operand) else { return nil }
      let part = try emit(.slice(axis: axis, start: place, end: place + 1, step: 1), gradient)
      let flat = try reshaped(part, to: shape(operand))
      let dtype = types[operand].dtype
      return dtype == types[node.results[0]].dtype ? flat : try emit(.convert(dtype), flat)
    }
  }

  mutating func splitGradient(_ axis: Int, _ node: Graph.Node, _ incoming: [Value?]) throws -> Value {
    let parts = try zip(node.results, incoming).map { result, gradient in
      try gradient ?? filled(0, like: result)
    }
    return parts.count == 1 ? parts[0] : try emitAll(.concatenate(axis: self.axis(axis, node.operands[0])), parts)[0]
  }

  /// Zeros around it, and between its elements where they were not neighbours.
  mutating func sliceGradient(
    _ axis: Int, _ start: Int, _ step: Int, _ node: Graph.Node, _ gradient: Value
  ) throws -> Value {
    let input = node.operands[0]
    let axis = self.axis(axis, input)
    let (whole, part) = (shape(input), shape(node.results[0]))
    let begin = min(max(start < 0 ? start + whole[axis] : start, 0), whole[axis])
    var (result, length) = (gradient, part[axis])
    func padded(_ value: Value, _ rank: Int, _ place: Int, _ margin: Margin) throws -> Value {
      var margins = [Margin](repeating: Margin(0), count: rank)
      margins[place] = margin
      return try emit(.pad(margins, .constant(0)), value)
    }
    if step > 1, length > 0 {
      var spread = part
      spread.insert(1, at: axis + 1)
      result = try padded(try reshaped(result, to: spread), spread.count, axis + 1, Margin(0, step - 1))
      length *= step
      spread = part
      spread[axis] = length
      result = try reshaped(result, to: spread)
    }
    let margin = Margin(begin, whole[axis] - begin - length)
    return margin == Margin(0) ? result : try padded(result, whole.count, axis, margin)
  }

  /// Adds the rows of the gradient to the places that they were taken from.
  mutating func gatherGradient(
    _ axis: Int, _ batchAxes: Int, _ node: Graph.Node, _ gradient: Value
  ) throws -> Value {
    let (input, places) = (node.operands[0], node.operands[1])
    let whole = shape(input)
    let axis = self.axis(axis, input)
    let batch = whole.prefix(batchAxes).reduce(1, *)
    let middle = whole[batchAxes..<axis].reduce(1, *)
    let (length, inner) = (whole[axis], whole.dropFirst(axis + 1).reduce(1, *))
    let count = shape(places).dropFirst(batchAxes).reduce(1, *)
    // Rows of [middle, inner], so many for each entry of the batch.
    var rows = try reshaped(gradient, to: [batch, middle, count, inner])
    rows = try reshaped(try emit(.permute([0, 2, 1, 3]), rows), to: [batch * count, middle * inner])
    var indices = try reshaped(try emit(.convert(.int64), places), to: [batch, count])
    let isNegative = try emit(.compare(.less), indices, try constant(integers: [0], []))
    indices = try emit(
      .select, isNegative, try emit(.binary(.add), indices, try constant(integers: [length], [])), indices)
    if batch > 1 {
      indices = try emit(
        .binary(.add), indices, try constant(integers: (0..<batch).map { $0 * length }, [batch, 1]))
    }
    indices = try reshaped(indices, to: [batch * count])
    let zeros = try expanded(
      try constant(0, types[input].dtype), to: [batch * length, middle * inner])
    let sums = try emit(.scatter(.add), zeros, indices, rows)
    let ordered = try emit(
      .permute([0, 2, 1, 3]), try reshaped(sums, to: [batch, length, middle, inner]))
    return try reshaped(ordered, to: whole)
  }

  mutating func scatterGradients(
    _ reduction: ScatterReduction, _ node: Graph.Node, _ gradient: Value
  ) throws -> [Value?] {
    let (places, rows) = (node.operands[1], node.operands[2])
    guard reduction == .none || reduction == .add else { throw noRule("a scatter by \(reduction.rawValue)") }
    var ofBase: Value? = gradient
    if reduction == .none, needs(node.operands[0]) {
      ofBase = try emit(.scatter(.none), gradient, places, try filled(0, like: rows))
    }
    let ofRows = needs(rows) ? try emit(.gather(axis: 0, batchAxes: 0), gradient, places) : nil
    return [ofBase, nil, ofRows]
  }

  mutating func permuteGradient(_ axes: [Int], _ node: Graph.Node, _ gradient: Value) throws -> Value {
    let axes = axes.map { axis($0, node.operands[0]) }
    return try emit(.permute(axes.indices.map { place in axes.firstIndex(of: place) ?? 0 }), gradient)
  }

  /// Each of the chosen gives its gradient back to the place that it stood at.
  mutating func topKGradient(_ axis: Int, _ node: Graph.Node, _ gradient: Value) throws -> Value {
    let input = node.operands[0]
    let axis = self.axis(axis, input)
    let (whole, chosen) = (shape(input), shape(node.results[0]))
    // [outer, count, 1, inner] against the places [length, 1].
    let outer = whole.prefix(axis).reduce(1, *)
    let inner = whole.dropFirst(axis + 1).reduce(1, *)
    let column = [outer, chosen[axis], 1, inner]
    let places = try reshaped(
      try constant(integers: Array(0..<whole[axis]), [whole[axis]]), to: [whole[axis], 1])
    let isThere = try emit(.compare(.equal), try reshaped(node.results[1], to: column), places)
    let spread = try emit(
      .binary(.multiply), try emit(.convert(types[input].dtype), isThere), try reshaped(gradient, to: column))
    return try reshaped(try emit(.reduce(.sum, axes: [1], keepsAxes: false), spread), to: whole)
  }
}
