import CEngine
import ModelCore
import ModelGraph

extension Compiler {
  /// Adds the steps of a node.
  mutating func lower(_ node: Graph.Node) throws {
    let isFloat = (node.operands + node.results).allSatisfy { types[$0].dtype == .float32 }
    let hasElements = (node.operands + node.results).allSatisfy { !types[$0].shape.contains(0) }
    if try view(node) { return }
    if hasElements, try arrangement(node) { return }
    if isFloat, hasElements, try computed(node) { return }
    try fallBack(node)
  }

  private mutating func computed(_ node: Graph.Node) throws -> Bool {
    let alone = Epilogue(isOfConvolution: false, result: node.results[0])
    switch node.operation {
    case .convolution(let geometry): return try convolution(geometry, node, alone)
    case .linear: return try linear(node, alone)
    case .matrixProduct: return try matrixProduct(node)
    case .batchNorm(.inference, _): return try batchNorm(node)
    case .unary(let unary): try self.unary(unary, node)
    case .binary(let function): try binary(function, node)
    case .pool(let pool): return try self.pool(pool, node)
    case .adaptivePool(let pool): return try adaptivePool(pool, node)
    case .resize(let resize): return try self.resize(resize, node)
    case .softmax(let axis, let isLogarithm): return try softmax(axis, isLogarithm, node)
    case .layerNorm(let axes, let eps): return try layerNorm(axes, eps, node)
    case .reduce(.mean, let axes, _): return try mean(axes, node)
    default: return false
    }
    return true
  }

  /// What only gives a value another shape, or a part of it a name.
  private mutating func view(_ node: Graph.Node) throws -> Bool {
    guard let first = node.operands.first else { return false }
    let type = types[node.results[0]]
    switch node.operation {
    case .dropout(let dropout) where dropout.probability == 0: set(node.results[0], try stored(first))
    case .convert(let dtype) where types[first].dtype == dtype: set(node.results[0], try stored(first))
    case .permute(let axes):
      let rank = types[first].shape.count
      let placed = try stored(first)
      set(node.results[0], placed.with(placed.layout.permuted(axes.map { $0 < 0 ? $0 + rank : $0 })))
    case .expand: set(node.results[0], try placeExpanded(first, type.shape))
    case .reshape, .flatten:
      let placed = try stored(first)
      if let layout = placed.layout.reshaped(to: type.shape) {
        set(node.results[0], placed.with(layout))
      } else {
        let source = try dense(placed, as: .rowMajor(placed.layout.shape))
        set(
          node.results[0],
          source.with(
            Layout(shape: type.shape, strides: Layout.rowMajor(type.shape).strides, offset: source.layout.offset)))
      }
    case .slice(let axis, let start, _, let step):
      let placed = try stored(first)
      let axis = axis < 0 ? axis + placed.layout.rank : axis
      let length = placed.layout.shape[axis]
      let begin = min(max(start < 0 ? start + length : start, 0), length)
      set(node.results[0], placed.with(placed.layout.sliced(axis, from: begin, count: type.shape[axis], step: step)))
    case .split(let axis, _):
      let placed = try stored(first)
      let axis = axis < 0 ? axis + placed.layout.rank : axis
      var begin = 0
      for result in node.results {
        let length = types[result].shape[axis]
        set(result, placed.with(placed.layout.sliced(axis, from: begin, count: length)))
        begin += length
      }
    default: return false
    }
    return true
  }

  private mutating func placeExpanded(_ value: Graph.Value, _ shape: [Int]) throws -> Placed {
    let placed = try stored(value)
    return placed.with(placed.layout.expanded(to: shape))
  }

  /// What moves elements of any type.
  private mutating func arrangement(_ node: Graph.Node) throws -> Bool {
    let type = types[node.results[0]]
    switch node.operation {
    case .concatenate(let axis):
      guard node.operands.allSatisfy({ types[$0].dtype == type.dtype }) else { return false }
      let axis = axis < 0 ? axis + type.shape.count : axis
      let parts = try alike(node.operands)
      let order = parts.max { $0.layout.count < $1.layout.count }?.layout.order ?? Array(type.shape.indices)
      let result = allocate(.ordered(type.shape, order), parts[0].dtype, for: node.results[0])
      var begin = 0
      for part in parts {
        let length = part.layout.shape[axis]
        let target = result.with(result.layout.sliced(axis, from: begin, count: length))
        copy(part, to: target, path: graph.scopes[node.scope].path, name: "concatenate")
        begin += length
      }
    case .stack(let axis):
      guard node.operands.allSatisfy({ types[$0].dtype == type.dtype }) else { return false }
      let axis = axis < 0 ? axis + type.shape.count : axis
      let parts = try alike(node.operands)
      let result = allocate(.rowMajor(type.shape), parts[0].dtype, for: node.results[0])
      for (index, part) in parts.enumerated() {
        var target = result.layout.sliced(axis, from: index, count: 1)
        target.shape.remove(at: axis)
        target.strides.remove(at: axis)
        copy(part, to: result.with(target), path: graph.scopes[node.scope].path, name: "stack")
      }
    case .pixelShuffle(let shuffle): try pixelShuffle(shuffle, node)
    case .pad(let margins, .constant(let value)) where margins.allSatisfy({ $0.before >= 0 && $0.after >= 0 }):
      guard type.dtype == .float32 else { return false }
      try pad(margins, Float(value), node)
    case .samePad(let padding):
      guard type.dtype == .float32 else { return false }
      try pad(padding.margins(of: types[node.operands[0]].shape), Float(padding.value), node)
    default: return false
    }
    return true
  }

  /// Values of one type where they are stored: in that of the first, or each in its own where they differ.
  private mutating func alike(_ values: [Graph.Value]) throws -> [Placed] {
    let stored = try values.map { try self.stored($0) }
    guard stored.contains(where: { $0.dtype != stored[0].dtype }) else { return stored }
    return try values.map { try place($0) }
  }

  /// Blocks of channels become blocks of pixels, or back: both are another order of axes that are divided.
  private mutating func pixelShuffle(_ shuffle: PixelShuffle, _ node: Graph.Node) throws {
    let (shape, factor) = (types[node.results[0]].shape, shuffle.factor)
    let placed = try stored(node.operands[0])
    let (rank, old) = (shape.count, placed.layout.shape)
    let front = Array(shape.dropLast(3))
    let divided: [Int]
    let order: [Int]
    if shuffle.isInverse {
      divided = front + [old[rank - 3], shape[rank - 2], factor, shape[rank - 1], factor]
      order = Array(0..<rank - 3) + [0, 2, 4, 1, 3].map { $0 + rank - 3 }
    } else {
      divided = front + [shape[rank - 3], factor, factor, old[rank - 2], old[rank - 1]]
      order = Array(0..<rank - 3) + [0, 3, 1, 4, 2].map { $0 + rank - 3 }
    }
    let source =
      try placed.layout.reshaped(to: divided).map { placed.with($0) }
      ?? dense(placed, as: .rowMajor(old)).with(.rowMajor(divided))
    let moved = source.layout.permuted(order)
    let result = allocate(.rowMajor(shape), source.dtype, for: node.results[0])
    copy(
      source.with(moved), to: result.with(.rowMajor(moved.shape)), path: graph.scopes[node.scope].path,
      name: "pixel shuffle")
  }

  private mutating func pad(_ margins: [Margin], _ value: Float, _ node: Graph.Node) throws {
    let shape = types[node.results[0]].shape
    let source = try place(node.operands[0])
    let result = allocate(.ordered(shape, source.layout.order), for: node.results[0])
    var inside = result.layout
    for (axis, margin) in margins.enumerated() {
      inside = inside.sliced(axis, from: margin.before, count: source.layout.shape[axis])
    }
    let (copy, count, target) = (Copy(source, to: inside), result.layout.count, result.with(inside))
    add(node, "pad", "own", reads: [source], writes: [result]) { memory in
      let (from, to, all) = (memory.pointer(source), memory.pointer(target), memory.floats(result))
      return {
        all.update(repeating: value, count: count)
        copy.run(from, to)
      }
    }
  }

  // MARK: What has no kernel

  /// Computes a node as the reference interpreter does: right, and slow.
  private mutating func fallBack(_ node: Graph.Node) throws {
    if case .other(let name) = node.operation { throw ModelError(.unsupported, "what \(name) computes is not known") }
    ModelLog.logger.debug("computed by the reference: \(node.operation)")
    let operandTypes = node.operands.map { types[$0] }
    let resultTypes = node.results.map { types[$0] }
    let sources = try node.operands.map { operand -> Placed in
      let placed = try place(operand)
      return try dense(placed, as: .rowMajor(placed.layout.shape))
    }
    let results = node.results.map { allocate(.rowMajor(types[$0].shape), for: $0) }
    let operation = node.operation
    add(node, "\(operation)", "reference", reads: sources, writes: results) { memory in
      let from = sources.map { memory.pointer($0) }
      let to = results.map { memory.pointer($0) }
      return {
        let operands = try zip(operandTypes, from).map { type, pointer in
          try ReferenceArray(
            Tensor(type.dtype, type.shape) { bytes in
              if let base = bytes.baseAddress { base.copyMemory(from: pointer, byteCount: bytes.count) }
            })
        }
        for (array, pointer) in zip(try Reference.compute(operation, operands, resultTypes), to) {
          let tensor = try array.tensor()
          try tensor.copyBytes(to: UnsafeMutableRawBufferPointer(start: pointer, count: tensor.byteCount))
        }
      }
    }
  }
}
