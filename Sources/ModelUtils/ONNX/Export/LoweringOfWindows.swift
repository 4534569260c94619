import ModelCheckpoints
import ModelCore
import ModelGraph

/// Over windows.
extension ONNXLowering {
  mutating func pool(_ pool: Pool, _ input: ONNXValue, _ shapes: [[Int]]) throws -> ONNXValue {
    let rank = pool.kernelSize.count
    if input.rank == rank + 1 {
      // ONNX wants a batch.
      let batched = try self.pool(pool, unsqueezed(input, axes: [0]), shapes.map { [1] + $0 })
      return try squeezed(batched, axes: [0])
    }
    let ends = zip(input.shapes, shapes).map { endPadding(pool, Array($0.suffix(rank)), Array($1.suffix(rank))) }
    // What last windows lack depends on the size.
    guard isFixed(ends), !pool.ceilMode || isFixed(shapes), zip(ends[0], pool.kernelSize).allSatisfy({ $0 < $1 }) else {
      guard pool.kind == .max || (pool.divisor == nil && pool.padding.allSatisfy { $0 == 0 }) else {
        throw ModelError(.unsupported, "an average pool whose last windows differ from size to size is not exported")
      }
      return node(pool, input, pool.padding, pool.padding, shapes, ceilMode: true)
    }
    let exceeds = zip(ends[0], pool.padding).contains { $0 > $1 }
    switch pool.kind {
    case .max: return node(pool, input, pool.padding, ends[0], shapes)
    case .average:
      guard pool.divisor != nil || (exceeds && pool.countsPadding && pool.padding.contains { $0 > 0 }) else {
        return node(pool, input, pool.padding, ends[0], shapes, countsPadding: pool.countsPadding && !exceeds)
      }
      // The zeros that count are put there before.
      let reach = pool.divisor == nil ? pool.padding : ends[0]
      let margins = [Margin(0), Margin(0)] + zip(pool.padding, reach).map { Margin($0, $1) }
      let zeros = try pad(input, margins, .constant(0))
      let none = pool.padding.map { _ in 0 }
      let rest = zip(ends[0], reach).map { $0 - $1 }
      let mean = node(pool, zeros, none, rest, shapes, countsPadding: false)
      guard let divisor = pool.divisor else { return mean }
      let window = pool.kernelSize.reduce(1, *)
      return node("Mul", mean, try scalar(Double(window) / Double(divisor), like: mean))
    }
  }

  /// What must follow the elements of each axis so that as many windows fit as the result has.
  private func endPadding(_ pool: Pool, _ input: [Int], _ output: [Int]) -> [Int] {
    input.indices.map { axis in
      let reach = pool.dilation[axis] * (pool.kernelSize[axis] - 1) + 1
      let needed = (output[axis] - 1) * pool.stride[axis] + reach - input[axis] - pool.padding[axis]
      return max(needed, pool.padding[axis])
    }
  }

  private mutating func node(
    _ pool: Pool, _ input: ONNXValue, _ before: [Int], _ after: [Int], _ shapes: [[Int]], ceilMode: Bool = false,
    countsPadding: Bool = false
  ) -> ONNXValue {
    var attributes = [
      ONNXAttribute("kernel_shape", pool.kernelSize), ONNXAttribute("pads", before + after),
      ONNXAttribute("strides", pool.stride),
    ]
    if ceilMode { attributes.append(ONNXAttribute("ceil_mode", 1)) }
    if pool.dilation.contains(where: { $0 != 1 }) { attributes.append(ONNXAttribute("dilations", pool.dilation)) }
    if countsPadding, pool.kind == .average { attributes.append(ONNXAttribute("count_include_pad", 1)) }
    return node(pool.kind == .max ? "MaxPool" : "AveragePool", [input], attributes, input.dtype, shapes)
  }

  mutating func adaptivePool(_ pool: AdaptivePool, _ input: ONNXValue, _ shapes: [[Int]]) throws -> ONNXValue {
    let rank = pool.outputSize.count
    if input.rank == rank + 1 {
      let batched = try adaptivePool(pool, unsqueezed(input, axes: [0]), shapes.map { [1] + $0 })
      return try squeezed(batched, axes: [0])
    }
    if shapes == input.shapes { return input }
    let name = pool.kind == .max ? "Max" : "Average"
    if pool.outputSize.allSatisfy({ $0 == 1 }) {
      return node("Global\(name)Pool", [input], [], input.dtype, shapes)
    }
    let sizes = input.shapes.map { Array($0.suffix(rank)) }
    let targets = shapes.map { Array($0.suffix(rank)) }
    guard isFixed(sizes), isFixed(targets) else {
      throw ModelError(
        .unsupported, "a pool to a size depends on the size of its input", advice: "export it without --dynamic")
    }
    if zip(sizes[0], targets[0]).allSatisfy({ $0 % $1 == 0 }) {
      let window = zip(sizes[0], targets[0]).map { $0 / $1 }
      return node(
        Pool(pool.kind, kernelSize: window), input, window.map { _ in 0 }, window.map { _ in 0 }, shapes)
    }
    var x = input
    for axis in 0..<rank where sizes[0][axis] != targets[0][axis] {
      let windows = (0..<targets[0][axis]).map { place in
        place * sizes[0][axis] / targets[0][axis]..<((place + 1) * sizes[0][axis] + targets[0][axis] - 1)
          / targets[0][axis]
      }
      x = try pool.kind == .max ? largest(x, axis: axis + 2, windows) : mean(x, axis: axis + 2, windows)
    }
    return x
  }

  /// The means of windows of an axis, by a matrix of the elements' shares.
  private mutating func mean(_ x: ONNXValue, axis: Int, _ windows: [Range<Int>]) throws -> ONNXValue {
    let size = x.shape[axis]
    var shares = [Double](repeating: 0, count: size * windows.count)
    for (place, window) in windows.enumerated() {
      for index in window { shares[index * windows.count + place] = 1 / Double(window.count) }
    }
    let matrix = try constant(ReferenceArray(TensorType(x.dtype, [size, windows.count]), shares).tensor())
    var order = Array(0..<x.rank)
    order.swapAt(axis, x.rank - 1)
    return transposed(matrixProduct(transposed(x, order), matrix), order)
  }

  /// The largest elements of windows of an axis, one after the other.
  private mutating func largest(_ x: ONNXValue, axis: Int, _ windows: [Range<Int>]) throws -> ONNXValue {
    guard windows.count <= 256 else {
      throw ModelError(.unsupported, "an adaptive maximum of \(windows.count) windows of several sizes is not exported")
    }
    func shapes(_ length: Int) -> [[Int]] {
      x.shapes.map { shape in
        var part = shape
        part[axis] = length
        return part
      }
    }
    let parts = try windows.map { window in
      let part = try slice(
        x, axis: axis, start: window.lowerBound, end: window.upperBound, step: 1, shapes(window.count))
      return try reduce(part, "ReduceMax", [axis], keepsAxes: true)
    }
    return concatenate(parts, axis: axis, x.dtype, shapes(windows.count))
  }

  mutating func resize(
    _ resize: Resize, _ input: ONNXValue, beside others: [ONNXValue], _ shapes: [[Int]]
  ) throws -> ONNXValue {
    if shapes == input.shapes { return input }
    var attributes: [ONNXAttribute]
    switch resize.mode {
    case .nearest:
      attributes = [
        ONNXAttribute("coordinate_transformation_mode", "asymmetric"), ONNXAttribute("mode", "nearest"),
        ONNXAttribute("nearest_mode", "floor"),
      ]
    case .nearestExact:
      attributes = [
        ONNXAttribute("coordinate_transformation_mode", "half_pixel"), ONNXAttribute("mode", "nearest"),
        ONNXAttribute("nearest_mode", "round_prefer_ceil"),
      ]
    case .linear, .cubic:
      attributes = [
        ONNXAttribute("coordinate_transformation_mode", resize.alignsCorners ? "align_corners" : "half_pixel"),
        ONNXAttribute("mode", resize.mode == .cubic ? "cubic" : "linear"),
      ]
      if resize.mode == .cubic { attributes.append(ONNXAttribute("cubic_coeff_a", Float(-0.75))) }
    }
    // A region that is not looked at, but for opset 12 must be there.
    let region = opset >= 13 ? nil : try constant(Tensor(.float32, [0]))
    if let scales = scales(resize, input, shapes) {
      let factors = try constant(ReferenceArray(TensorType(.float32, [input.rank]), scales).tensor())
      return node("Resize", [input, region, factors], attributes, input.dtype, shapes)
    }
    let sizes = try lengthsOperand((0..<input.rank).map { axis in shapes.map { $0[axis] } }, beside: [input] + others)
    return node("Resize", [input, region, opset >= 13 ? nil : region, sizes], attributes, input.dtype, shapes)
  }

  /// The factors of all axes, where they were given or are whole.
  private func scales(_ resize: Resize, _ input: ONNXValue, _ shapes: [[Int]]) -> [Double]? {
    if case .scale(let factors) = resize.target {
      let factors = factors.count == 1 ? [Double](repeating: factors[0], count: input.rank - 2) : factors
      return [1, 1] + factors
    }
    // A size that is taken from another tensor is a multiple of this one's by chance.
    guard isFixed(shapes) else { return nil }
    let factors = zip(input.shapes, shapes).map { zip($0, $1).map { $0 > 0 && $1 % $0 == 0 ? $1 / $0 : 0 } }
    return factors[0].contains(0) ? nil : factors[0].map(Double.init)
  }

  mutating func pad(_ input: ONNXValue, _ margins: [Margin], _ mode: PadMode) throws -> ONNXValue {
    guard margins.contains(where: { $0 != Margin(0) }) else { return input }
    let shapes = input.shapes.map { zip($0, margins).map { $0 + $1.before + $1.after } }
    var attributes: [ONNXAttribute] = []
    var filler: ONNXValue?
    switch mode {
    case .constant(let value): filler = value == 0 ? nil : try scalar(value, like: input)
    case .reflect: attributes = [ONNXAttribute("mode", "reflect")]
    case .replicate: attributes = [ONNXAttribute("mode", "edge")]
    case .circular:
      if opset < 19 { return try circled(input, margins) }
      attributes = [ONNXAttribute("mode", "wrap")]
    }
    let amounts = try integers(margins.map(\.before) + margins.map(\.after))
    let result = node("Pad", [input, amounts, filler], attributes, input.dtype, shapes)
    if mode == .constant(0) { padded[result.name] = (input, margins) }
    return result
  }

  /// What stands at the other end of each axis is put before and after it; what is cut off is no part of the circle.
  private mutating func circled(_ input: ONNXValue, _ margins: [Margin]) throws -> ONNXValue {
    var x = input
    for (axis, margin) in margins.enumerated() where margin != Margin(0) {
      func part(_ x: ONNXValue, _ start: Int, _ end: Int?) throws -> ONNXValue {
        let shapes = x.shapes.map { shape in
          var part = shape
          let last = end.map { $0 < 0 ? shape[axis] + $0 : min($0, shape[axis]) } ?? shape[axis]
          part[axis] = max(last - (start < 0 ? shape[axis] + start : start), 0)
          return part
        }
        return try slice(x, axis: axis, start: start, end: end, step: 1, shapes)
      }
      if margin.before < 0 || margin.after < 0 {
        x = try part(x, max(-margin.before, 0), margin.after < 0 ? margin.after : nil)
      }
      var parts = [x]
      if margin.before > 0 { parts.insert(try part(x, -margin.before, nil), at: 0) }
      if margin.after > 0 { parts.append(try part(x, 0, margin.after)) }
      let shapes = x.shapes.indices.map { probe in
        var shape = x.shapes[probe]
        shape[axis] = parts.reduce(0) { $0 + $1.shapes[probe][axis] }
        return shape
      }
      x = concatenate(parts, axis: axis, x.dtype, shapes)
    }
    return x
  }

  mutating func samePad(_ padding: SamePadding, _ input: ONNXValue) throws -> ONNXValue {
    let margins = try input.shapes.map { try padding.margins(of: $0) }
    let spatial = input.shapes.map { Array($0.suffix(padding.stride.count)) }
    guard margins.allSatisfy({ $0 == margins[0] }), isFixed(spatial) || padding.stride.allSatisfy({ $0 == 1 }) else {
      throw ModelError(
        .unsupported, "the padding depends on the size of its input", advice: "export it without --dynamic")
    }
    return try pad(input, margins[0], .constant(padding.value))
  }

  mutating func gridSample(_ operands: [ONNXValue], alignsCorners: Bool, _ shapes: [[Int]]) throws -> ONNXValue {
    guard opset >= 16 else {
      throw ModelError(
        .unsupported, "opset \(opset) has no GridSample, which its attention needs",
        advice: "export it with --opset 16 or more")
    }
    let attributes = [
      ONNXAttribute("align_corners", alignsCorners ? 1 : 0),
      ONNXAttribute("mode", opset >= 20 ? "linear" : "bilinear"), ONNXAttribute("padding_mode", "zeros"),
    ]
    return node("GridSample", operands, attributes, operands[0].dtype, shapes)
  }
}
