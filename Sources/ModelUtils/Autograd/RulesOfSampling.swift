import ModelCore
import ModelGraph

/// What makes elements between others.
extension Differentiation {
  mutating func resizeGradient(_ resize: Resize, _ node: Graph.Node, _ gradient: Value) throws -> Value {
    var resize = resize
    if case .operand = resize.target { resize.target = .size(Array(shape(node.results[0]).dropFirst(2))) }
    return try emit(.gradient(.resize(resize, shape: shape(node.operands[0]))), gradient)
  }

  /// One of the two elements of an axis that a place lies between, of all places [batch, points].
  private struct Corner {
    /// Its place; 0 outside.
    let index: Value
    /// Its part of what is made; 0 outside.
    let weight: Value
    /// How that grows with the place's coordinate; 0 outside.
    let slope: Value
  }

  /// The elements give their parts back; a place moves by how the elements around it differ.
  mutating func gridSampleGradients(
    _ alignsCorners: Bool, _ node: Graph.Node, _ gradient: Value
  ) throws -> [Value?] {
    let (input, grid) = (node.operands[0], node.operands[1])
    let (whole, places) = (shape(input), shape(grid))
    let (batch, channels, size) = (whole[0], whole[1], whole[2] * whole[3])
    let points = places[1] * places[2]
    let dtype = types[input].dtype
    // Rows [batch · points, channels].
    func rows(_ value: Value, _ count: Int) throws -> Value {
      let lines = try emit(.permute([0, 2, 1]), try reshaped(value, to: [batch, channels, count]))
      return try reshaped(lines, to: [batch * count, channels])
    }
    let incoming = try rows(gradient, points)
    let elements = needs(grid) ? try rows(input, size) : nil
    let columns = try corners(grid, axis: 0, size: whole[3], alignsCorners)
    let starts = try constant(integers: (0..<batch).map { $0 * size }, [batch, 1])
    var sums = try expanded(try constant(0, dtype), to: [batch * size, channels])
    var moves: [Value?] = [nil, nil]
    for row in try corners(grid, axis: 1, size: whole[2], alignsCorners) {
      let start = try emit(.binary(.add), try scaled(row.index, by: Double(whole[3]), .int64), starts)
      for column in columns {
        let index = try reshaped(try emit(.binary(.add), start, column.index), to: [batch * points])
        if needs(input) {
          let weight = try emit(.binary(.multiply), row.weight, column.weight)
          let part = try emit(.binary(.multiply), incoming, try reshaped(weight, to: [batch * points, 1]))
          sums = try emit(.scatter(.add), sums, index, part)
        }
        if let elements {
          let around = try emit(.gather(axis: 0, batchAxes: 0), elements, index)
          let share = try emit(
            .reduce(.sum, axes: [1], keepsAxes: false), try emit(.binary(.multiply), incoming, around))
          let lines = try reshaped(share, to: [batch, points])
          for (axis, slope) in [(0, (column.slope, row.weight)), (1, (row.slope, column.weight))] {
            let part = try emit(.binary(.multiply), lines, try emit(.binary(.multiply), slope.0, slope.1))
            moves[axis] = try moves[axis].map { try emit(.binary(.add), $0, part) } ?? part
          }
        }
      }
    }
    let ordered = try emit(.permute([0, 2, 1]), try reshaped(sums, to: [batch, size, channels]))
    let moved = moves.compactMap(\.self)
    return [
      needs(input) ? try reshaped(ordered, to: whole) : nil,
      moved.isEmpty ? nil : try reshaped(try emitAll(.stack(axis: -1), moved)[0], to: places),
    ]
  }

  private mutating func corners(
    _ grid: Value, axis: Int, size: Int, _ alignsCorners: Bool
  ) throws -> [Corner] {
    let (places, dtype) = (shape(grid), types[grid].dtype)
    let scale = Double(alignsCorners ? size - 1 : size) / 2
    let coordinate = try reshaped(
      try emit(.slice(axis: 3, start: axis, end: axis + 1, step: 1), grid), to: [places[0], places[1] * places[2]])
    let place = try emit(
      .binary(.add), try scaled(coordinate, by: scale, dtype), try constant(Double(size - 1) / 2, dtype))
    let low = try emit(.unary(.floor), place)
    let (zero, one) = (try constant(0, dtype), try constant(1, dtype))
    let fraction = try emit(.binary(.subtract), place, low)
    let sides = [
      (low, try emit(.binary(.subtract), one, fraction), -scale), (try emit(.binary(.add), low, one), fraction, scale),
    ]
    return try sides.map { corner, weight, slope in
      // Also false for NaN.
      let isInside = try emit(
        .binary(.and), try emit(.compare(.greaterOrEqual), corner, zero),
        try emit(.compare(.less), corner, try constant(Double(size), dtype)))
      let index = try emit(.convert(.int64), try emit(.select, isInside, corner, zero))
      return Corner(
        index: index, weight: try emit(.select, isInside, weight, zero),
        slope: try emit(.select, isInside, try constant(slope, dtype), zero))
    }
  }
}
