import CEngine
import ModelCore
import ModelGraph

extension Compiler {
  /// Two inputs over their last two axes, the others broadcast.
  mutating func matrixProduct(_ node: Graph.Node) throws -> Bool {
    let shape = types[node.results[0]].shape
    let shapes = node.operands.map { types[$0].shape }
    guard shapes.allSatisfy({ $0.count >= 2 }), shape.count <= Int(CE_MAX_RANK) else { return false }
    let factors = try node.operands.map { operand -> Placed in
      let placed = try place(operand, as: computed)
      let layout = placed.layout
      let rank = layout.rank
      // Rows or columns that lie together are taken as they are.
      let isReady =
        (layout.strides[rank - 1] == 1 || layout.strides[rank - 2] == 1)
        && !layout.strides.enumerated().contains { $1 == 0 && layout.shape[$0] > 1 }
      return isReady ? placed : try dense(placed, as: .rowMajor(layout.shape))
    }
    let result = allocate(.rowMajor(shape), computed, for: node.results[0])
    func description(_ placed: Placed) throws -> MemoryDescription {
      // Axes of length 1 in front are broadcast.
      let added = shape.count - placed.layout.rank
      return try MemoryDescription(
        [Int](repeating: 1, count: added) + placed.layout.shape,
        strides: [Int](repeating: placed.layout.count, count: added) + placed.layout.strides, placed.dtype)
    }
    let (a, b, c) = (try description(factors[0]), try description(factors[1]), try MemoryDescription(result))
    let primitive = try Primitive("product") { ce_matmul(&$0, a.handle, b.handle, nil, c.handle, 0, nil) }
    add(node, "product", primitive, [(CE_SRC, factors[0]), (CE_WEIGHTS, factors[1])], [(CE_DST, result)])
    return true
  }

  /// One that stands alone: a factor and an addend for each channel.
  mutating func batchNorm(_ node: Graph.Node) throws -> Bool {
    guard node.operands.dropFirst().allSatisfy({ isConstant($0) }) else { return false }
    let shape = types[node.operands[0]].shape
    let (scale, shift) = try scaleAndShift(node)
    let source = try place(node.operands[0])
    let layout = Layout.ordered(shape, source.layout.order)
    let result = allocate(layout, for: node.results[0])
    let axis = shape.count > 1 ? 1 : 0
    var strides = [Int](repeating: 0, count: shape.count)
    strides[axis] = 1
    let walk = Walk([layout, source.layout, Layout(shape: shape, strides: strides)])
    add(node, "batch norm", "own", reads: [source], writes: [result]) { memory in
      let job = AffineJob(
        walk: walk, scale: scale, shift: shift, from: memory.floats(source), to: memory.floats(result))
      return { job.run() }
    }
    return true
  }

  /// Over one axis.
  mutating func softmax(_ axis: Int?, _ isLogarithm: Bool, _ node: Graph.Node) throws -> Bool {
    let shape = types[node.operands[0]].shape
    guard !shape.isEmpty else { return false }
    let given = axis ?? ([1, 3].contains(shape.count) ? 0 : 1)
    let axis = given < 0 ? given + shape.count : given
    let placed = try place(node.operands[0])
    // The axis goes innermost, which is where its numbers are wanted together.
    let order = placed.layout.order.filter { $0 != axis } + [axis]
    let source = try dense(placed, as: .ordered(shape, order))
    let result = allocate(.ordered(shape, order), for: node.results[0])
    let (rows, length) = (source.layout.count / shape[axis], shape[axis])
    let flat = try MemoryDescription([rows, length], strides: [length, 1])
    let primitive = try Primitive("softmax") { ce_softmax(&$0, flat.handle, flat.handle, 1, isLogarithm) }
    add(node, "softmax", primitive, [(CE_SRC, source)], [(CE_DST, result)])
    return true
  }

  /// Over the last axes.
  mutating func layerNorm(_ axes: Int, _ eps: Double, _ node: Graph.Node) throws -> Bool {
    guard node.operands.dropFirst().allSatisfy({ isConstant($0) }) else { return false }
    let shape = types[node.operands[0]].shape
    let length = shape.suffix(axes).reduce(1, *)
    let source = try dense(place(node.operands[0]), as: .rowMajor(shape))
    let result = allocate(.rowMajor(shape), for: node.results[0])
    let weight = node.operands.count > 1 ? try floats(node.operands[1]) : []
    let bias = node.operands.count > 2 ? try floats(node.operands[2]) : []
    let rows = source.layout.count / max(length, 1)
    add(node, "layer norm", "own", reads: [source], writes: [result]) { memory in
      let job = LayerNormJob(
        rows: rows, length: length, eps: eps, weight: weight, bias: bias, from: memory.floats(source),
        to: memory.floats(result))
      return { job.run() }
    }
    return true
  }
}

private struct AffineJob: @unchecked Sendable {
  let walk: Walk
  let scale: [Float]
  let shift: [Float]
  let from: UnsafeMutablePointer<Float>
  let to: UnsafeMutablePointer<Float>

  func run() {
    let (step, back, channel) = (walk.innerStride(0), walk.innerStride(1), walk.innerStride(2))
    walk.forEachRow { row in
      let (source, target) = (from + walk.start(ofRow: row, 1), to + walk.start(ofRow: row, 0))
      let first = walk.start(ofRow: row, 2)
      for index in 0..<walk.inner {
        let place = first + index * channel
        target[index * step] = source[index * back] * scale[place] + shift[place]
      }
    }
  }
}

private struct LayerNormJob: @unchecked Sendable {
  let rows: Int
  let length: Int
  let eps: Double
  let weight: [Float]
  let bias: [Float]
  let from: UnsafeMutablePointer<Float>
  let to: UnsafeMutablePointer<Float>

  func run() {
    let chunks = min(rows, 4 * Parallel.threadCount)
    Parallel.forEach(chunks) { chunk in
      for row in chunk * rows / chunks..<(chunk + 1) * rows / chunks { normalize(row) }
    }
  }

  private func normalize(_ row: Int) {
    let (source, target) = (from + row * length, to + row * length)
    var (sum, squares) = (0.0, 0.0)
    for index in 0..<length { sum += Double(source[index]) }
    let mean = sum / Double(length)
    for index in 0..<length {
      let difference = Double(source[index]) - mean
      squares += difference * difference
    }
    let factor = 1 / (squares / Double(length) + eps).squareRoot()
    let (center, scale) = (Float(mean), Float(factor))
    for index in 0..<length { target[index] = (source[index] - center) * scale }
    if !weight.isEmpty { for index in 0..<length { target[index] *= weight[index] } }
    if !bias.isEmpty { for index in 0..<length { target[index] += bias[index] } }
  }
}
