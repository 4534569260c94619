import ModelCore
import ModelGraph

/// Pictures between their pixels.
extension NodeRules {
  static let sampling: [String: Rule] = [
    "GridSample": { call in [try GridSampling(call).lowered()] }
  ]
}

/// ONNX's GridSample: of pictures [batch, channels, sizes…] at places [batch, lengths…, axes], the last axis of the
/// picture first, from -1 to 1.
struct GridSampling {
  private let call: NodeCall
  private let x: Operand
  private let grid: Operand
  private let sizes: [Int]
  private let mode: String
  private let padding: String
  private let alignsCorners: Bool

  /// An element along one axis: for every point which, and how much of it.
  private struct Tap {
    let place: Operand
    let weight: Operand?
  }

  init(_ call: NodeCall) throws {
    self.call = call
    (x, grid) = (try call.operand(0), try call.operand(1))
    sizes = Array(x.shape.dropFirst(2))
    guard !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 }), grid.rank == x.rank, grid.shape.last == sizes.count,
      grid.shape[0] == x.shape[0]
    else { throw ModelError(.mismatch, "takes \(x.shape) at places \(grid.shape)") }
    switch try call.text("mode", call.opset >= 20 ? "linear" : "bilinear") {
    case "linear", "bilinear": mode = "linear"
    case "nearest": mode = "nearest"
    case "cubic", "bicubic": mode = "cubic"
    case let name: throw ModelError(.unsupported, "samples in the mode \(name)")
    }
    padding = try call.text("padding_mode", "zeros")
    guard ["zeros", "border", "reflection"].contains(padding) else {
      throw ModelError(.unsupported, "pads in the mode \(padding)")
    }
    alignsCorners = try call.flag("align_corners")
  }

  func lowered() throws -> Operand {
    let lengths = Array(grid.shape.dropFirst().dropLast())
    if sizes.count == 2, mode == "linear", padding == "zeros" {
      return try call.emit(.gridSample(alignsCorners: alignsCorners), x, grid)
    }
    let (batch, channels) = (x.shape[0], x.shape[1])
    let (points, plane) = (try call.product(lengths), try call.product(sizes))
    let flat = try call.reshape(x, [batch, channels, plane])
    let strides = Tensor.contiguousStrides(sizes)
    var terms: [(place: Operand, weight: Operand?)] = []
    for axis in sizes.indices {
      let column = sizes.count - 1 - axis
      let places = try call.reshape(call.slice(grid, grid.rank - 1, column, column + 1), [batch, points])
      let taps = try self.taps(places, sizes[axis])
      let stride = try call.constant([strides[axis]], [])
      let next = try taps.map { tap in
        (place: try call.binary(.multiply, call.convert(tap.place, .int64), stride), weight: tap.weight)
      }
      terms =
        try terms.isEmpty
        ? next
        : terms.flatMap { term in
          try next.map { other in
            (
              try call.binary(.add, term.place, other.place),
              try term.weight.map { weight in
                try other.weight.map { try call.binary(.multiply, weight, $0) } ?? weight
              } ?? other.weight
            )
          }
        }
    }
    var result: Operand?
    for term in terms {
      var values = try call.emit(.gather(axis: 2, batchAxes: 1), flat, term.place)
      if let weight = term.weight { values = try call.binary(.multiply, values, call.unsqueeze(weight, 1)) }
      result = try result.map { try call.binary(.add, $0, values) } ?? values
    }
    guard let result else { throw ModelError(.mismatch, "takes no picture") }
    return try call.reshape(result, [batch, channels] + lengths)
  }

  private func number(_ value: Double) throws -> Operand { try call.scalar(value, grid.dtype) }

  /// The elements that make up each point along an axis.
  private func taps(_ places: Operand, _ size: Int) throws -> [Tap] {
    let length = Double(size)
    let (factor, shift) = alignsCorners ? ((length - 1) / 2, (length - 1) / 2) : (length / 2, (length - 1) / 2)
    var source = try call.binary(.add, call.binary(.multiply, places, number(factor)), number(shift))
    switch mode {
    case "nearest":
      if padding != "zeros" { source = try within(source, size) }
      return [try tap(call.unary(.round, source), nil, size)]
    case "linear":
      if padding != "zeros" { source = try within(source, size) }
      let low = try call.unary(.floor, source)
      let fraction = try call.binary(.subtract, source, low)
      return [
        try tap(low, call.binary(.subtract, number(1), fraction), size),
        try tap(call.binary(.add, low, number(1)), fraction, size),
      ]
    default:
      let low = try call.unary(.floor, source)
      let fraction = try call.binary(.subtract, source, low)
      return try (-1...2).map { offset in
        let place = try call.binary(.add, low, number(Double(offset)))
        return try tap(padding == "zeros" ? place : within(place, size), cubic(fraction, offset), size)
      }
    }
  }

  /// Keys' cubic convolution with a of -0.75, at the distance of an element.
  private func cubic(_ fraction: Operand, _ offset: Int) throws -> Operand {
    let a = -0.75
    let distance =
      try offset <= 0
      ? call.binary(.subtract, fraction, number(Double(offset)))
      : call.binary(.subtract, number(Double(offset)), fraction)
    func polynomial(_ coefficients: [Double]) throws -> Operand {
      var sum = try number(coefficients[0])
      for coefficient in coefficients.dropFirst() {
        sum = try call.binary(.add, call.binary(.multiply, sum, distance), number(coefficient))
      }
      return sum
    }
    return try offset == 0 || offset == 1
      ? polynomial([a + 2, -(a + 3), 0, 1]) : polynomial([a, -5 * a, 8 * a, -4 * a])
  }

  /// An element that may lie outside: there it counts for nothing.
  private func tap(_ place: Operand, _ weight: Operand?, _ size: Int) throws -> Tap {
    let inside = try call.unary(.clip(minimum: 0, maximum: Double(size - 1)), place)
    guard padding == "zeros" else { return Tap(place: inside, weight: weight) }
    let isInside = try call.compare(.equal, place, inside)
    return Tap(place: inside, weight: try call.emit(.select, isInside, weight ?? number(1), number(0)))
  }

  /// At the border, or mirrored there.
  private func within(_ place: Operand, _ size: Int) throws -> Operand {
    let last = Double(size - 1)
    if padding == "border" { return try call.unary(.clip(minimum: 0, maximum: last), place) }
    // Between the centres of the outermost elements, or their edges.
    let (low, high) = alignsCorners ? (0, last) : (-0.5, last + 0.5)
    let span = high - low
    if span <= 0 { return try call.unary(.clip(minimum: 0, maximum: 0), place) }
    let distance = try call.unary(.abs, call.binary(.subtract, place, number(low)))
    let rest = try call.binary(.remainder, distance, number(2 * span))
    let back = try call.binary(.subtract, number(2 * span), rest)
    let mirrored = try call.binary(.add, call.binary(.minimum, rest, back), number(low))
    return try call.unary(.clip(minimum: 0, maximum: last), mirrored)
  }
}
