import CEngine
import ModelCore
import ModelGraph

extension Compiler {
  /// Adds the steps of a node.
  mutating func lower(_ node: Graph.Node) throws {
    if case .other(let name) = node.operation { throw ModelError(.unsupported, "what \(name) computes is not known") }
    if try view(node) { return }
    // Of nothing nothing is computed.
    if node.results.allSatisfy({ types[$0].shape.contains(0) }) {
      for result in node.results { _ = allocate(.rowMajor(types[result].shape), for: result) }
      return
    }
    if try arrangement(node) || element(node) { return }
    if isOfFloats(node), try computed(node) { return }
    try fallBack(node)
  }

  /// Whether it computes on float32 alone; a mask of bool, a count of batches, and what only lends its size may be else.
  private func isOfFloats(_ node: Graph.Node) -> Bool {
    let operands = node.operands.enumerated().filter { index, operand in
      switch node.operation {
      case .attention: index != 3 || types[operand].dtype != .bool
      case .batchNorm: index != 5
      case .resize: index == 0
      default: true
      }
    }
    return (operands.map(\.element) + node.results).allSatisfy { types[$0].dtype == .float32 }
  }

  /// Whether every operand has elements.
  private func haveElements(_ operands: some Sequence<Graph.Value>) -> Bool {
    operands.allSatisfy { !types[$0].shape.contains(0) }
  }

  /// What works on elements of any type.
  private mutating func element(_ node: Graph.Node) throws -> Bool {
    guard haveElements(node.operands), let first = node.operands.first else { return false }
    let types = (node.operands + node.results).map { self.types[$0].dtype }
    guard types.allSatisfy({ $0.isInteger || $0.kernelFormat != nil }) else { return false }
    switch node.operation {
    case .unary(let function):
      if types.allSatisfy({ $0 == .float32 }) { try unary(function, node) } else { try numbers(of: function, node) }
    case .binary(let function): try binary(function, node)
    case .compare(let comparison): try compare(comparison, node)
    case .select: try select(node)
    case .prelu where types.allSatisfy({ $0 == .float32 }): try prelu(node)
    case .convert(let dtype):
      set(node.results[0], converted(try place(first), to: dtype, path: graph.scopes[node.scope].path))
    case .dropout(let dropout) where dropout.probability == 1: try zeroed(node)
    case .dropout(let dropout): try self.dropout(dropout, node)
    case .reduce(let reduction, let axes, _): try reduce(reduction, axes, node)
    case .argmax(let axis, _): try argmax(axis, node)
    case .topK(let axis, _): try topK(axis, node)
    default: return false
    }
    return true
  }

  /// What computes on float32.
  private mutating func computed(_ node: Graph.Node) throws -> Bool {
    guard haveElements(node.operands) else { return false }
    let alone = Epilogue(isOfConvolution: false, takesBias: false, result: node.results[0])
    switch node.operation {
    case .convolution(let geometry): return try convolution(geometry, node, alone)
    case .linear: return try linear(node, alone)
    case .matrixProduct: return try matrixProduct(node)
    case .einsum(let equation): try einsum(equation, node)
    case .attention(let scale): return try attention(scale, node)
    case .recurrence(let recurrence): return try self.recurrence(recurrence, node)
    case .batchNorm(.training(let momentum), let eps): try batchNormInTraining(momentum, eps, node, current[0])
    case .batchNorm(.inference, let eps): try batchNorm(eps, node)
    case .gradient(let gradient): return try self.gradient(gradient, node)
    case .layerNorm(let axes, let eps): try normalized(axes, eps, isCentered: true, node)
    case .rmsNorm(let axes, let eps): try normalized(axes, eps ?? Double(Float.ulpOfOne), isCentered: false, node)
    case .groupNorm(let groups, let eps): try groupNorm(groups, eps, node)
    case .softmax(let axis, let isLogarithm): try softmax(axis, isLogarithm, node)
    case .pool(let pool): try self.pool(pool, node)
    case .adaptivePool(let pool): try adaptivePool(pool, node)
    case .resize(let resize): try self.resize(resize, node)
    case .gridSample(let alignsCorners): try gridSample(alignsCorners: alignsCorners, node)
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
    switch node.operation {
    case .concatenate(let axis): try concatenate(axis, node)
    case .stack(let axis): try stack(axis, node)
    case .pixelShuffle(let shuffle): try pixelShuffle(shuffle, node)
    case .pad(let margins, let mode): try pad(margins, mode, node)
    case .samePad(let padding):
      try pad(padding.margins(of: types[node.operands[0]].shape), .constant(padding.value), node)
    case .gather(let axis, let batchAxes) where types[node.operands[1]].dtype.isInteger && haveElements(node.operands):
      try gather(axis, batchAxes, node)
    case .coordinates: try coordinates(node)
    default: return false
    }
    return true
  }

  // MARK: What has no kernel

  /// Computes a node as the reference interpreter does, right and slow: products, norms, pools and resizings of other
  /// types than float32, and what makes something of operands without elements.
  private mutating func fallBack(_ node: Graph.Node) throws {
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
