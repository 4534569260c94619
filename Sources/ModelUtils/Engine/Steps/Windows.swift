import CEngine
import ModelCore
import ModelGraph

extension Compiler {
  mutating func pool(_ pool: Pool, _ node: Graph.Node) throws -> Bool {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    // A divisor of its own, and windows that ceil mode lets reach beyond what a mean counts, are the reference's.
    let isMean = pool.kind == .average
    var window = ce_window(pool, input: input, output: shape)
    let reachesBeyond = [window.after.0, window.after.1, window.after.2].prefix(pool.padding.count).enumerated()
      .contains { Int($1) > pool.padding[$0] }
    guard pool.kernelSize.count == input.count - 2, input.count <= 5, pool.divisor == nil,
      !isMean || !reachesBeyond || !pool.countsPadding || pool.padding.allSatisfy({ $0 == 0 }),
      !(isMean && pool.dilation.contains { $0 != 1 })
    else { return false }
    let source = try dense(stored(node.operands[0]), as: .channelsLast(input))
    let result = allocate(.channelsLast(shape), source.dtype, for: node.results[0])
    let (src, dst) = (try MemoryDescription(source), try MemoryDescription(result))
    let kind =
      !isMean ? CE_MAX_POOL : pool.countsPadding && !reachesBeyond ? CE_MEAN_WITH_PADDING : CE_MEAN_WITHOUT_PADDING
    let primitive = try Primitive("pool") { ce_pooling(&$0, kind, src.handle, dst.handle, &window) }
    add(node, "pool", primitive, [(CE_SRC, source)], [(CE_DST, result)])
    return true
  }

  /// Windows of one size, where the output's size divides the input's.
  mutating func adaptivePool(_ pool: AdaptivePool, _ node: Graph.Node) throws -> Bool {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let sizes = Array(zip(input, shape).dropFirst(2))
    guard sizes.count == input.count - 2, sizes.allSatisfy({ $0.0 % $0.1 == 0 }) else { return false }
    if pool.kind == .average, sizes.allSatisfy({ $0.1 == 1 }) {
      return try mean(Array(input.indices.dropFirst(2)), node)
    }
    return try self.pool(Pool(pool.kind, kernelSize: sizes.map { $0.0 / $0.1 }), node)
  }

  /// The mean over axes of which all are the innermost but the channels, or the last.
  mutating func mean(_ axes: [Int], _ node: Graph.Node) throws -> Bool {
    let input = types[node.operands[0]].shape
    let axes = Set(axes.map { $0 < 0 ? $0 + input.count : $0 })
    let kept = input.indices.filter { !axes.contains($0) }
    let placed = try place(node.operands[0])
    // [kept…, reduced…] as two loops over whatever the strides are.
    let outer = Layout(shape: kept.map { input[$0] }, strides: kept.map { placed.layout.strides[$0] })
    let reduced = axes.sorted()
    let inner = Walk([
      Layout(shape: reduced.map { input[$0] }, strides: reduced.map { placed.layout.strides[$0] })
    ])
    let result = allocate(.rowMajor(types[node.results[0]].shape), for: node.results[0])
    let target = Layout.rowMajor(outer.shape)
    let walk = Walk([target, outer])
    let count = inner.rows * inner.inner
    add(node, "mean", "own", reads: [placed], writes: [result]) { memory in
      let job = MeanJob(
        walk: walk, inner: inner, count: count, from: memory.floats(placed), to: memory.floats(result))
      return { job.run() }
    }
    return true
  }

  mutating func resize(_ resize: Resize, _ node: Graph.Node) throws -> Bool {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    guard input.count == 4, resize.mode != .cubic else { return false }
    let taps = (2...3).map { axis -> [Tap2] in
      var factor: Double?
      if case .scale(let factors) = resize.target { factor = factors[factors.count == 1 ? 0 : axis - 2] }
      return (0..<shape[axis]).map {
        let taps = resize.taps($0, size: input[axis], newSize: shape[axis], factor: factor)
        return Tap2(
          first: taps[0].index, second: taps[taps.count - 1].index, weight: Float(taps.count > 1 ? taps[1].weight : 0))
      }
    }
    let source = try dense(place(node.operands[0]), as: .channelsLast(input))
    let result = allocate(.channelsLast(shape), for: node.results[0])
    let isNearest = resize.mode != .linear
    add(node, "resize", "own", reads: [source], writes: [result]) { memory in
      let job = ResizeJob(
        rows: taps[0], columns: taps[1], channels: input[1], height: input[2], width: input[3], batches: input[0],
        isNearest: isNearest, from: memory.floats(source), to: memory.floats(result))
      return { job.run() }
    }
    return true
  }
}

/// The two elements that a new one lies between, and the second's weight.
struct Tap2: Sendable {
  let first: Int
  let second: Int
  let weight: Float
}

private struct MeanJob: @unchecked Sendable {
  let walk: Walk
  let inner: Walk
  let count: Int
  let from: UnsafeMutablePointer<Float>
  let to: UnsafeMutablePointer<Float>

  func run() {
    let (length, step) = (inner.inner, inner.innerStride(0))
    walk.forEachRow { row in
      let (start, target) = (walk.start(ofRow: row, 1), walk.start(ofRow: row, 0))
      for index in 0..<walk.inner {
        var sum = 0.0
        for part in 0..<inner.rows {
          let source = from + start + index * walk.innerStride(1) + inner.start(ofRow: part, 0)
          for element in 0..<length { sum += Double(source[element * step]) }
        }
        to[target + index * walk.innerStride(0)] = Float(sum / Double(count))
      }
    }
  }
}

/// Pixels of [batch, height, width, channels] between others.
private struct ResizeJob: @unchecked Sendable {
  let rows: [Tap2]
  let columns: [Tap2]
  let channels: Int
  let height: Int
  let width: Int
  let batches: Int
  let isNearest: Bool
  let from: UnsafeMutablePointer<Float>
  let to: UnsafeMutablePointer<Float>

  func run() {
    Parallel.forEach(batches * rows.count) { line in
      let (batch, row) = (line / rows.count, rows[line % rows.count])
      let first = from + (batch * height + row.first) * width * channels
      let second = from + (batch * height + row.second) * width * channels
      var target = to + line * columns.count * channels
      for column in columns {
        let (a, b) = (column.first * channels, column.second * channels)
        if isNearest {
          target.update(from: first + a, count: channels)
        } else {
          for channel in 0..<channels {
            let top = first[a + channel] + (first[b + channel] - first[a + channel]) * column.weight
            let bottom = second[a + channel] + (second[b + channel] - second[a + channel]) * column.weight
            target[channel] = top + (bottom - top) * row.weight
          }
        }
        target += channels
      }
    }
  }
}
