extension Function {
  /// The shape that the function makes of its inputs' shapes.
  /// - Throws: `ModelError` for inputs that it cannot take.
  public func outputShape(of inputs: [[Int]]) throws -> [Int] {
    if case .constant(let shape) = self { return shape }
    guard let input = inputs.first else { throw ModelError("has no input") }
    switch self {
    case .constant(let shape): return shape
    case .elementwise: return try Shape.broadcast(inputs)
    case .concatenate(let axis): return try Self.concatenated(inputs, axis)
    case .stack(let axis):
      guard inputs.allSatisfy({ $0 == input }) else { throw ModelError("cannot stack tensors of different shapes") }
      var output = input
      output.insert(inputs.count, at: try Shape.axis(axis, input.count + 1))
      return output
    case .matrixProduct: return try Self.product(inputs)
    case .einsum(let equation): return try Einsum(equation, inputs).outputShape
    case .attention:
      guard inputs.count == 3, input.count >= 2, let size = inputs[2].last else {
        throw ModelError("attention takes queries, keys and values")
      }
      return input.dropLast() + [size]
    case .slice(let axis, let start, let end, let step):
      var output = input
      let axis = try Shape.axis(axis, input.count)
      func bound(_ index: Int) -> Int { min(max(index < 0 ? index + input[axis] : index, 0), input[axis]) }
      let length = max(bound(end ?? input[axis]) - bound(start), 0)
      guard step > 0 else { throw ModelError("cannot step by \(step)") }
      output[axis] = (length + step - 1) / step
      return output
    case .chunk(let axis, let index, let count):
      var output = input
      let axis = try Shape.axis(axis, input.count)
      guard count > 0 else { throw ModelError("cannot make \(count) parts") }
      let part = (input[axis] + count - 1) / count
      output[axis] = min(part, input[axis] - part * index)
      guard output[axis] > 0 else { throw ModelError("cannot make \(count) parts of \(input[axis])") }
      return output
    case .reshape(let extents): return try Self.reshaped(inputs, extents)
    case .permute(let axes):
      guard axes.sorted() == Array(input.indices) else { throw ModelError("cannot permute \(input) as \(axes)") }
      return axes.map { input[$0] }
    case .reduce(_, let axes, let keepsAxes):
      let axes = Set(try axes.map { try Shape.axis($0, input.count) })
      return input.indices.compactMap { axes.contains($0) ? (keepsAxes ? 1 : nil) : input[$0] }
    case .resize:
      guard inputs.count == 2, input.count >= 3, inputs[1].count == input.count else {
        throw ModelError("cannot take the size of another tensor")
      }
      return Array(input.prefix(2) + inputs[1].dropFirst(2))
    case .largest(let axis, let count):
      var output = input
      let axis = try Shape.axis(axis, input.count)
      guard count >= 0 else { throw ModelError("cannot choose \(count)") }
      output[axis] = min(count, input[axis])
      return output
    case .gather(let axis):
      guard inputs.count == 2 else { throw ModelError("takes a tensor and places") }
      var output = input
      output[try Shape.axis(axis, input.count)] = inputs[1][try Shape.axis(axis, inputs[1].count)]
      return output
    case .deformableAttention:
      guard inputs.count == 3, input.count == 4, inputs[1].count == 5, inputs[2] == inputs[1].dropLast(),
        inputs[2][0] == input[0], inputs[2][2] == input[2]
      else { throw ModelError("attention takes values, locations and weights") }
      return [input[0], inputs[2][1], input[2] * input[3]]
    }
  }

  private static func concatenated(_ inputs: [[Int]], _ axis: Int) throws -> [Int] {
    var output = inputs[0]
    let axis = try Shape.axis(axis, output.count)
    for input in inputs.dropFirst() {
      guard input.count == output.count, input.indices.allSatisfy({ $0 == axis || input[$0] == output[$0] }) else {
        throw ModelError("cannot join shapes \(inputs.map(\.description).joined(separator: ", ")) along axis \(axis)")
      }
      output[axis] += input[axis]
    }
    return output
  }

  private static func product(_ inputs: [[Int]]) throws -> [Int] {
    guard inputs.count == 2, inputs[0].count >= 2, inputs[1].count >= 2,
      let inner = inputs[0].last, inner == inputs[1][inputs[1].count - 2]
    else { throw ModelError("cannot multiply \(inputs.map(\.description).joined(separator: " by "))") }
    return try Shape.broadcast(inputs.map { Array($0.dropLast(2)) })
      + [inputs[0][inputs[0].count - 2], inputs[1][inputs[1].count - 1]]
  }

  private static func reshaped(_ inputs: [[Int]], _ extents: [Extent]) throws -> [Int] {
    let count = Shape.count(inputs[0])
    var output: [Int] = []
    var open: Int?
    for extent in extents {
      switch extent {
      case .fixed(let size): output.append(size)
      case .inferred:
        guard open == nil else { throw ModelError("two axes are left open") }
        open = output.count
        output.append(1)
      case .of(let input, let axis, let multiple, let divisor):
        guard inputs.indices.contains(input), divisor > 0, (0...1 << 20).contains(multiple) else {
          throw ModelError("has no such input")
        }
        let size = inputs[input][try Shape.axis(axis, inputs[input].count)] * multiple
        guard size % divisor == 0 else { throw ModelError("cannot divide \(size) by \(divisor)") }
        output.append(size / divisor)
      }
    }
    let known = Shape.count(try Shape.checked(output))
    if let open {
      guard known > 0, count % known == 0 else { throw ModelError("cannot make \(inputs[0]) \(output)") }
      output[open] = count / known
    } else if known != count {
      throw ModelError("cannot make \(inputs[0]) \(output)")
    }
    return output
  }
}

/// A two-operand einsum such as `bnqc,bkc->bqnk`: the size of every letter.
package struct Einsum {
  package let sizes: [Character: Int]
  package let outputShape: [Int]

  /// - Throws: `ModelError` for an equation that does not fit the shapes, or that is not written out.
  package init(_ equation: String, _ shapes: [[Int]]) throws {
    let sides = equation.split(separator: "-", omittingEmptySubsequences: false)
    let operands = sides.first?.split(separator: ",", omittingEmptySubsequences: false) ?? []
    guard sides.count == 2, sides[1].first == ">", operands.count == shapes.count,
      zip(operands, shapes).allSatisfy({ $0.count == $1.count })
    else { throw ModelError("the equation \(equation) does not fit its inputs") }
    var sizes: [Character: Int] = [:]
    for (operand, shape) in zip(operands, shapes) {
      for (letter, size) in zip(operand, shape) {
        guard sizes[letter, default: size] == size else {
          throw ModelError("the equation \(equation) does not fit its inputs")
        }
        sizes[letter] = size
      }
    }
    self.sizes = sizes
    outputShape = try sides[1].dropFirst().map { letter in
      guard let size = sizes[letter] else { throw ModelError("the equation \(equation) does not fit its inputs") }
      return size
    }
  }
}
