import ModelCheckpoints
import ModelCore
import ModelGraph

/// Lengths that follow from the dynamic axes.
extension ONNXLowering {
  /// What the file says of an axis: its length, the name of a dynamic axis, or nothing.
  func dimension(_ lengths: [Int]) -> ONNXValueInfo.Dimension {
    if isFixed(lengths) { return .fixed(lengths[0]) }
    for (index, axis) in probes.axes.enumerated() {
      let own = graph.inputs.indices.contains(axis.input) ? shapes(of: graph.inputs[axis.input]) : []
      if own.map({ $0[axis.axis] }) == lengths { return .symbol(probes.axes[index].name) }
    }
    return .unknown
  }

  func isFixed(_ lengths: [Int]) -> Bool { lengths.allSatisfy { $0 == lengths[0] } }

  /// Whether shapes are the same for all inputs.
  func isFixed(_ shapes: [[Int]]) -> Bool { shapes.allSatisfy { $0 == shapes[0] } }

  /// A shape as an operand: of a constant where it can be said by one.
  /// - Parameters:
  ///   - source: whose elements are arranged anew: 0 stands for its length of the same axis, -1 for what remains. Nil
  ///     where ONNX allows neither.
  ///   - operands: whose axes may be referred to.
  mutating func shapeOperand(_ shapes: [[Int]], of source: ONNXValue?, beside operands: [ONNXValue]) throws -> ONNXValue
  {
    if isFixed(shapes) { return try integers(shapes[0]) }
    var lengths: [Int?] = []
    var remains = false
    for axis in shapes[0].indices {
      let length = shapes.map { $0[axis] }
      if isFixed(length) {
        lengths.append(length[0])
      } else if let source, axis < source.rank, source.lengths(axis) == length {
        lengths.append(0)
      } else if source != nil, !remains {
        remains = true
        lengths.append(-1)
      } else {
        lengths.append(nil)
      }
    }
    let known = lengths.compactMap { $0 }
    if known.count == lengths.count { return try integers(known) }
    return try lengthsOperand(shapes[0].indices.map { axis in shapes.map { $0[axis] } }, beside: operands)
  }

  /// Lengths in a row, [count].
  mutating func lengthsOperand(_ lengths: [[Int]], beside operands: [ONNXValue]) throws -> ONNXValue {
    var parts: [ONNXValue] = []
    var fixed: [Int] = []
    for length in lengths {
      if isFixed(length) {
        fixed.append(length[0])
        continue
      }
      if !fixed.isEmpty { parts.append(try integers(fixed)) }
      fixed = []
      parts.append(try length1(length, beside: operands))
    }
    if !fixed.isEmpty { parts.append(try integers(fixed)) }
    if parts.count == 1 { return parts[0] }
    return node("Concat", parts, [ONNXAttribute("axis", 0)], .int64, probes.types.map { _ in [lengths.count] })
  }

  /// A length that depends on dynamic axes, [1].
  mutating func length1(_ length: [Int], beside operands: [ONNXValue]) throws -> ONNXValue {
    let sources = try operands + graph.inputs.map { try operand($0) }
    for source in sources {
      if let axis = (0..<source.rank).first(where: { source.lengths($0) == length }) {
        return try shape(of: source, axis: axis)
      }
    }
    for source in sources {
      for axis in 0..<source.rank {
        if let found = try scaled(source.lengths(axis), to: length, { try $0.shape(of: source, axis: axis) }) {
          return found
        }
      }
    }
    for source in sources {
      for axis in 0..<source.rank {
        for other in axis + 1..<max(source.rank, axis + 1) {
          let product = zip(source.lengths(axis), source.lengths(other)).map { $0 &* $1 }
          let found = try scaled(product, to: length) {
            let (a, b) = (try $0.shape(of: source, axis: axis), try $0.shape(of: source, axis: other))
            return $0.node("Mul", a, b)
          }
          if let found { return found }
        }
      }
    }
    throw ModelError(
      .unsupported, "the length of an axis does not follow simply from the dynamic ones",
      advice: "export it for one size, without --dynamic")
  }

  /// `multiple / divisor` of lengths where these are others.
  private mutating func scaled(
    _ source: [Int], to length: [Int], _ make: (inout ONNXLowering) throws -> ONNXValue
  ) throws -> ONNXValue? {
    guard !isFixed(source), source[0] > 0, length[0] > 0 else { return nil }
    let common = Self.commonDivisor(source[0], length[0])
    let (multiple, divisor) = (length[0] / common, source[0] / common)
    guard multiple <= 1 << 20, divisor <= 1 << 20, zip(source, length).allSatisfy({ $0 &* multiple == $1 &* divisor })
    else { return nil }
    var value = try make(&self)
    if multiple > 1 { value = node("Mul", value, try integers([multiple])) }
    if divisor > 1 { value = node("Div", value, try integers([divisor])) }
    return value
  }

  private static func commonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : commonDivisor(b, a % b) }

  /// The length of an axis of a value, [1].
  private mutating func shape(of value: ONNXValue, axis: Int) throws -> ONNXValue {
    let key = "\(axis) of \(value.name)"
    if let known = dimensions[key] { return known }
    let one = probes.types.map { _ in [1] }
    let found: ONNXValue
    if opset >= 15 {
      found = node("Shape", [value], [ONNXAttribute("start", axis), ONNXAttribute("end", axis + 1)], .int64, one)
    } else {
      let shape = node("Shape", [value], [], .int64, probes.types.map { _ in [value.rank] })
      found = node("Gather", [shape, try integers([axis])], [ONNXAttribute("axis", 0)], .int64, one)
    }
    dimensions[key] = found
    return found
  }
}
