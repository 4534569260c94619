import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// One number of those along axes.
  mutating func reduce(_ reduction: Reduction, _ axes: [Int], _ node: Graph.Node) throws {
    let type = types[node.results[0]]
    let placed = try place(node.operands[0])
    // Whole numbers are added as such: in double, which holds them up to 2^53, as their type then does.
    guard type.dtype == .float32, placed.dtype == .float32 else {
      let wide = converted(placed, to: .float64)
      return try reduceOthers(reduction, axes, wide, node)
    }
    let result = reduced(placed, reduction, axes, node)
    set(node.results[0], result.with(restored(result.layout, type.shape)))
  }

  /// The sum over axes, which go.
  mutating func sum(_ placed: Placed, _ axes: [Int], _ node: Graph.Node) throws -> Placed {
    reduced(placed, .sum, axes, node)
  }

  private mutating func reduced(
    _ placed: Placed, _ reduction: Reduction, _ axes: [Int], _ node: Graph.Node
  ) -> Placed {
    let (kept, reduced) = split(placed.layout, axes)
    let target = Layout.ordered(kept.shape, Layout(shape: kept.shape, strides: kept.strides).order)
    let result = allocate(target, .float32)
    let walk = Walk([target, kept])
    let inner = Walk([reduced])
    let count = reduced.count
    let measure: mk_measure =
      switch reduction {
      case .sum, .mean: MK_SUM
      case .max: MK_LARGEST
      case .min: MK_SMALLEST
      case .product: MK_PRODUCT
      case .norm: MK_SQUARES
      }
    add(node, reduction.rawValue, "own", reads: [placed], writes: [result]) { memory in
      let job = ReduceJob(
        walk: walk, inner: inner, measure: measure, from: memory.floats(placed), to: memory.floats(result)
      ) { reduction.finished($0, count) }
      return { job.run() }
    }
    return result
  }

  private mutating func reduceOthers(
    _ reduction: Reduction, _ axes: [Int], _ source: Placed, _ node: Graph.Node
  ) throws {
    let type = types[node.results[0]]
    let (kept, reduced) = split(source.layout, axes)
    let sums = allocate(.rowMajor(kept.shape), .float64)
    let (walk, inner) = (Walk([sums.layout, kept]), Walk([reduced]))
    let count = reduced.count
    add(node, reduction.rawValue, "own", reads: [source], writes: [sums]) { memory in
      let from = memory.pointer(source).assumingMemoryBound(to: Double.self)
      let to = memory.pointer(sums).assumingMemoryBound(to: Double.self)
      return {
        for row in 0..<walk.rows {
          let start = walk.start(ofRow: row)
          for column in 0..<walk.columns {
            var total = reduction.neutral
            for part in 0..<inner.rows {
              let first = start[1] + column * walk.step[1] + inner.start(ofRow: part)[0]
              for index in 0..<inner.columns { total = reduction.combined(total, from[first + index * inner.step[0]]) }
            }
            to[start[0] + column * walk.step[0]] = reduction.finished(total, count)
          }
        }
      }
    }
    let result = converted(sums, to: type.dtype)
    set(node.results[0], result.with(restored(result.layout, type.shape)))
  }

  /// The axes that stay and those that go, in their order.
  private func split(_ layout: Layout, _ axes: [Int]) -> (kept: Layout, reduced: Layout) {
    let chosen = Set(axes.map { $0 < 0 ? $0 + layout.rank : $0 })
    func part(_ axes: [Int]) -> Layout {
      Layout(shape: axes.map { layout.shape[$0] }, strides: axes.map { layout.strides[$0] })
    }
    return (part(layout.shape.indices.filter { !chosen.contains($0) }), part(chosen.sorted()))
  }

  /// With the axes of length 1 that a shape has besides.
  func restored(_ layout: Layout, _ shape: [Int]) -> Layout {
    if layout.rank == shape.count { return layout }
    var (rest, strides) = (zip(layout.shape, layout.strides).filter { $0.0 != 1 }[...], [Int]())
    for size in shape { strides.append(size == 1 ? 0 : rest.popFirst()?.1 ?? 0) }
    return Layout(shape: shape, strides: strides, offset: layout.offset)
  }
}

extension Reduction {
  fileprivate var neutral: Double {
    switch self {
    case .max: -.infinity
    case .min: .infinity
    case .product: 1
    case .sum, .mean, .norm: 0
    }
  }

  fileprivate func combined(_ total: Double, _ value: Double) -> Double {
    switch self {
    case .sum, .mean: total + value
    case .norm: total + value * value
    case .product: total * value
    case .max: Binary.maximum(total, value)
    case .min: Binary.minimum(total, value)
    }
  }

  fileprivate func finished(_ total: Double, _ count: Int) -> Double {
    switch self {
    case .mean: total / Double(count)
    case .norm: total.squareRoot()
    case .sum, .max, .min, .product: total
    }
  }
}

private struct ReduceJob: @unchecked Sendable {
  /// Over what stays: the result, the source.
  let walk: Walk
  /// Over what goes.
  let inner: Walk
  let measure: mk_measure
  let from: UnsafeMutablePointer<Float>
  let to: UnsafeMutablePointer<Float>
  let finish: @Sendable (Double) -> Double
  /// How many totals are kept at a time.
  private static let block = 256

  func run() {
    let (rows, columns) = (walk.rows, walk.columns)
    guard rows > 0, columns > 0 else { return }
    let blocks = (columns + Self.block - 1) / Self.block
    let size = min(columns, Self.block) * max(1, inner.rows * inner.columns)
    Parallel.forEachRange(rows * blocks, of: size) { range in
      withUnsafeTemporaryAllocation(of: Double.self, capacity: Self.block) { buffer in
        guard let totals = buffer.baseAddress else { return }
        for index in range { run(row: index / blocks, from: index % blocks * Self.block, totals) }
      }
    }
  }

  private func run(row: Int, from first: Int, _ totals: UnsafeMutablePointer<Double>) {
    let count = min(Self.block, walk.columns - first)
    let start = walk.start(ofRow: row) &+ walk.step &* first
    let neutral =
      measure == MK_LARGEST ? -Double.infinity : measure == MK_SMALLEST ? .infinity : measure == MK_PRODUCT ? 1 : 0
    totals.update(repeating: neutral, count: count)
    // Two axes at a time.
    let middle = inner.shape.count > 1 ? inner.shape[inner.shape.count - 2] : 1
    let step = middle > 1 ? inner.start(ofRow: 1)[0] : 0
    for part in stride(from: 0, to: inner.rows, by: middle) {
      let source = from + start[1] + inner.start(ofRow: part)[0]
      if inner.columns >= middle || step == 0 {
        for row in 0..<middle {
          mk_accumulate(measure, totals, source + row * step, inner.columns, count, inner.step[0], walk.step[1], nil)
        }
      } else {
        for column in 0..<inner.columns {
          mk_accumulate(measure, totals, source + column * inner.step[0], middle, count, step, walk.step[1], nil)
        }
      }
    }
    for index in 0..<count { to[start[0] + index * walk.step[0]] = Float(finish(totals[index])) }
  }
}
