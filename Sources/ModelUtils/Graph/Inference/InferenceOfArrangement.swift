import ModelCore

/// Windows, and operations that move elements without changing them.
extension Inference {
  static func padded(_ input: [Int], _ margins: [Margin], _ mode: PadMode) throws -> [Int] {
    guard margins.count == input.count,
      margins.allSatisfy({ $0.before.magnitude <= Shape.limit && $0.after.magnitude <= Shape.limit })
    else { throw ModelError(.mismatch, "cannot pad \(input)") }
    for (size, margin) in zip(input, margins) {
      let largest = max(margin.before, margin.after)
      let isPossible =
        switch mode {
        case .constant: true
        case .reflect: largest <= 0 || largest < size
        case .replicate: largest <= 0 || size > 0
        case .circular: largest <= size + min(margin.before, 0) + min(margin.after, 0)
        }
      guard isPossible, size + margin.before + margin.after >= 0,
        size + min(margin.before, 0) + min(margin.after, 0) >= 0
      else { throw ModelError(.mismatch, "cannot pad \(size) elements by \(margin.before) and \(margin.after)") }
    }
    return zip(input, margins).map { $0 + $1.before + $1.after }
  }

  static func gridSample(_ shapes: [[Int]]) throws -> [Int] {
    guard shapes.count == 2, shapes[0].count == 4, shapes[1].count == 4, shapes[1][3] == 2,
      shapes[0][0] == shapes[1][0], shapes[0][2] > 0, shapes[0][3] > 0
    else { throw ModelError(.mismatch, "takes pictures and places in them") }
    return [shapes[0][0], shapes[0][1], shapes[1][1], shapes[1][2]]
  }

  static func concatenated(_ inputs: [[Int]], _ axis: Int) throws -> [Int] {
    var output = inputs[0]
    let axis = try Shape.axis(axis, output.count)
    for input in inputs.dropFirst() {
      guard input.count == output.count, input.indices.allSatisfy({ $0 == axis || input[$0] == output[$0] }) else {
        throw ModelError(
          .mismatch, "cannot join shapes \(inputs.map(\.description).joined(separator: ", ")) along axis \(axis)")
      }
      output[axis] += input[axis]
    }
    return output
  }

  static func stacked(_ inputs: [[Int]], _ axis: Int) throws -> [Int] {
    var output = inputs[0]
    guard inputs.allSatisfy({ $0 == output }) else {
      throw ModelError(.mismatch, "cannot stack tensors of different shapes")
    }
    output.insert(inputs.count, at: try Shape.axis(axis, output.count + 1))
    return output
  }

  /// The shapes of the parts.
  static func split(_ shapes: [[Int]], _ axis: Int, _ parts: Operation.Parts, _ known: [[Int]?]) throws -> [[Int]] {
    let input = shapes[0]
    let axis = try Shape.axis(axis, input.count)
    let sizes: [Int]
    switch parts {
    case .sizes(let given): sizes = given
    case .equal(let count):
      let part = (input[axis] + count - 1) / count
      sizes = (0..<count).map { min(part, input[axis] - part * $0) }
      guard sizes.allSatisfy({ $0 > 0 }) else {
        throw ModelError(.mismatch, "cannot make \(count) parts of \(input[axis])")
      }
    case .extents(let extents): sizes = try extents.map { try extent($0, shapes, known) }
    }
    guard sizes.allSatisfy({ (0...Shape.limit).contains($0) }), sizes.reduce(0, +) == input[axis] else {
      throw ModelError(.mismatch, "cannot split \(input[axis]) into \(sizes)")
    }
    return sizes.map { size in
      var shape = input
      shape[axis] = size
      return shape
    }
  }

  /// The elements that a slice begins and ends with, within an axis.
  static func bounds(_ size: Int, _ start: Int, _ end: Int?) -> Range<Int> {
    func bound(_ index: Int) -> Int { min(max(index < 0 ? index + size : index, 0), size) }
    let lower = bound(start)
    return lower..<max(bound(end ?? size), lower)
  }

  static func sliced(_ input: [Int], _ axis: Int, _ start: Int, _ end: Int?, _ step: Int) throws -> [Int] {
    var output = input
    let axis = try Shape.axis(axis, input.count)
    guard (1...Shape.limit).contains(step), start.magnitude <= 1 << 40, (end ?? 0).magnitude <= 1 << 40 else {
      throw ModelError(.mismatch, "cannot step by \(step)")
    }
    output[axis] = (bounds(input[axis], start, end).count + step - 1) / step
    return output
  }

  static func gathered(_ shapes: [[Int]], _ axis: Int, _ batchAxes: Int) throws -> [Int] {
    guard shapes.count == 2 else { throw ModelError(.mismatch, "takes a tensor and places") }
    let (input, places) = (shapes[0], shapes[1])
    let axis = try Shape.axis(axis, input.count)
    guard (0...axis).contains(batchAxes), places.count >= batchAxes,
      input.prefix(batchAxes) == places.prefix(batchAxes)
    else { throw ModelError(.mismatch, "has places \(places) for \(input)") }
    return Array(input.prefix(axis) + places.dropFirst(batchAxes) + input.dropFirst(axis + 1))
  }

  static func scattered(_ operands: [TensorType]) throws -> [Int] {
    guard operands.count == 3, operands[0].shape.count == 2, operands[1].shape.count == 1, operands[1].dtype.isInteger,
      operands[0].dtype == operands[2].dtype, operands[2].shape == operands[1].shape + operands[0].shape.dropFirst()
    else { throw ModelError(.mismatch, "takes rows, places, and a row for each") }
    return operands[0].shape
  }

  static func permuted(_ input: [Int], _ axes: [Int]) throws -> [Int] {
    let axes = axes.map { $0 < 0 ? $0 &+ input.count : $0 }
    guard axes.sorted() == Array(input.indices) else {
      throw ModelError(.mismatch, "cannot permute \(input) as \(axes)")
    }
    return axes.map { input[$0] }
  }

  // MARK: Extents

  private static func extent(_ extent: Extent, _ shapes: [[Int]], _ known: [[Int]?]) throws -> Int {
    switch extent {
    case .fixed(let size): return size
    case .inferred: throw ModelError(.mismatch, "two axes are left open")
    case .of(let operand, let axis, let multiple, let divisor):
      guard shapes.indices.contains(operand), divisor > 0, (0...1 << 20).contains(multiple) else {
        throw ModelError(.mismatch, "has no such input")
      }
      let size = shapes[operand][try Shape.axis(axis, shapes[operand].count)] * multiple
      guard size % divisor == 0 else { throw ModelError(.mismatch, "cannot divide \(size) by \(divisor)") }
      return size / divisor
    case .element(let operand, let index):
      guard known.indices.contains(operand), let values = known[operand], values.indices.contains(index) else {
        throw ModelError(.unsupported, "a size depends on what is computed")
      }
      return values[index]
    case .axes: throw ModelError(.mismatch, "takes several axes where one is asked for")
    }
  }

  /// The axes of an operand from one on up to another.
  private static func axes(_ operand: Int, _ start: Int, _ end: Int?, _ shapes: [[Int]]) throws -> ArraySlice<Int> {
    guard shapes.indices.contains(operand) else { throw ModelError(.mismatch, "has no such input") }
    let rank = shapes[operand].count
    func bound(_ axis: Int) throws -> Int { axis == rank ? rank : try Shape.axis(axis, rank) }
    let (lower, upper) = (try bound(start), try end.map(bound) ?? rank)
    guard lower <= upper else { throw ModelError(.mismatch, "axis \(start) comes behind axis \(end ?? rank)") }
    return shapes[operand][lower..<upper]
  }

  static func reshaped(_ shapes: [[Int]], _ extents: [Extent], _ known: [[Int]?]) throws -> [Int] {
    let count = Shape.count(shapes[0])
    var output: [Int] = []
    var open: Int?
    for extent in extents {
      if case .axes(let operand, let start, let end) = extent {
        output += try axes(operand, start, end, shapes)
        continue
      }
      var size = 1
      if extent != .inferred { size = try self.extent(extent, shapes, known) }
      if extent == .inferred || size == -1 {
        guard open == nil else { throw ModelError(.mismatch, "two axes are left open") }
        open = output.count
        size = 1
      }
      output.append(size)
    }
    let whole = Shape.count(try Shape.checked(output))
    if let open {
      guard whole > 0, count % whole == 0 else { throw ModelError(.mismatch, "cannot make \(shapes[0]) \(output)") }
      output[open] = count / whole
    } else if whole != count {
      throw ModelError(.mismatch, "cannot make \(shapes[0]) \(output)")
    }
    return output
  }

  static func expanded(_ shapes: [[Int]], _ extents: [Extent], _ known: [[Int]?]) throws -> [Int] {
    let output = try Shape.checked(try extents.map { try extent($0, shapes, known) })
    guard try Shape.broadcast([shapes[0], output]) == output else {
      throw ModelError(.mismatch, "cannot repeat \(shapes[0]) as \(output)")
    }
    return output
  }
}

extension Pool {
  /// [batch, channels, spatial…], or without the batch, to the same.
  func outputShape(of input: [Int]) throws -> [Int] {
    let rank = kernelSize.count
    guard rank > 0 else { throw ModelError(.malformed, "its windows have no axes") }
    guard input.count == rank + 2 || input.count == rank + 1 else {
      throw ModelError(.mismatch, "takes \(rank + 2) axes, but \(input) comes to it")
    }
    guard stride.count == rank, padding.count == rank, dilation.count == rank, divisor != 0 else {
      throw ModelError(.malformed, "its configuration is no valid one")
    }
    var output = input
    for (axis, index) in ((input.count - rank)...).prefix(rank).enumerated() {
      output[index] = try Shape.windows(
        input[index], kernel: kernelSize[axis], stride: stride[axis], padding: (padding[axis], padding[axis]),
        dilation: dilation[axis], ceilMode: ceilMode)
    }
    return output
  }
}

extension AdaptivePool {
  func outputShape(of input: [Int]) throws -> [Int] {
    let rank = outputSize.count
    guard rank > 0 else { throw ModelError(.malformed, "its windows have no axes") }
    guard input.count == rank + 2 || input.count == rank + 1 else {
      throw ModelError(.mismatch, "takes \(rank + 2) axes, but \(input) comes to it")
    }
    return input.dropLast(rank) + zip(outputSize, input.suffix(rank)).map { $0 ?? $1 }
  }
}

extension Resize {
  func outputShape(of shapes: [[Int]]) throws -> [Int] {
    let input = shapes[0]
    guard input.count >= 3 else { throw ModelError(.mismatch, "takes 3 axes or more, but \(input) comes to it") }
    let sizes = input.dropFirst(2)
    func spread<T>(_ values: [T]) throws -> [T] {
      if values.count == 1 { return [T](repeating: values[0], count: sizes.count) }
      guard values.count == sizes.count else { throw ModelError(.malformed, "its configuration is no valid one") }
      return values
    }
    switch target {
    case .size(let target): return try input.prefix(2) + spread(target)
    case .operand:
      guard shapes.count == 2, shapes[1].count == input.count else {
        throw ModelError(.mismatch, "cannot take the size of another tensor")
      }
      return Array(input.prefix(2) + shapes[1].dropFirst(2))
    case .scale(let factors):
      return try input.prefix(2)
        + zip(sizes, spread(factors)).map { size, factor in
          let length = (Double(size) * factor).rounded(.down)
          guard length >= 1, length <= Double(Shape.limit) else {
            throw ModelError(.mismatch, "cannot scale \(size) by \(factor)")
          }
          return Int(length)
        }
    }
  }
}

extension PixelShuffle {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count >= 3, (1...1024).contains(factor) else { throw ModelError(.mismatch, "cannot shuffle \(input)") }
    let (channels, height, width) = (input[input.count - 3], input[input.count - 2], input[input.count - 1])
    if isInverse {
      guard height % factor == 0, width % factor == 0 else {
        throw ModelError(.mismatch, "cannot divide \(input) by \(factor)")
      }
      return input.dropLast(3) + [channels * factor * factor, height / factor, width / factor]
    }
    guard channels % (factor * factor) == 0 else { throw ModelError(.mismatch, "cannot divide \(input) by \(factor)") }
    return input.dropLast(3) + [channels / (factor * factor), height * factor, width * factor]
  }
}

extension Flatten {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard !input.isEmpty else { return [1] }
    let (start, end) = (try Shape.axis(start, input.count), try Shape.axis(end, input.count))
    guard start <= end else { throw ModelError(.malformed, "its configuration is no valid one") }
    return input[..<start] + [Shape.count(input[start...end])] + input[(end + 1)...]
  }
}
