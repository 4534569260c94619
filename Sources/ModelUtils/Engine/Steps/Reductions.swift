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
  private func restored(_ layout: Layout, _ shape: [Int]) -> Layout {
    if layout.rank == shape.count { return layout }
    var (rest, strides) = (zip(layout.shape, layout.strides).filter { $0.0 != 1 }[...], [Int]())
    for size in shape { strides.append(size == 1 ? 0 : rest.popFirst()?.1 ?? 0) }
    return Layout(shape: shape, strides: strides, offset: layout.offset)
  }

  // MARK: The largest

  /// The place of the largest element of an axis.
  mutating func argmax(_ axis: Int, _ node: Graph.Node) throws {
    try largest(axis, count: 1, values: nil, places: node.results[0], node, "argmax")
  }

  /// The largest elements of an axis in falling order, and their places.
  mutating func topK(_ axis: Int, _ node: Graph.Node) throws {
    let axis = axis < 0 ? axis + types[node.operands[0]].shape.count : axis
    let count = types[node.results[0]].shape[axis]
    try largest(axis, count: count, values: node.results[0], places: node.results[1], node, "top k")
  }

  private mutating func largest(
    _ axis: Int, count: Int, values: Graph.Value?, places: Graph.Value, _ node: Graph.Node, _ name: String
  ) throws {
    let placed = try place(node.operands[0])
    let axis = axis < 0 ? axis + placed.layout.rank : axis
    let order = placed.layout.order.filter { $0 != axis } + [axis]
    let source = try dense(placed, as: .ordered(placed.layout.shape, order))
    var shape = placed.layout.shape
    shape[axis] = count
    let layout = Layout.ordered(shape, order)
    let indices = allocate(layout, .int64)
    let elements = values.map { _ in allocate(layout, placed.dtype) }
    if let values, let elements { set(values, elements) }
    set(places, indices.with(restored(layout, types[places].shape)))
    let length = placed.layout.shape[axis]
    let rows = source.layout.count / length
    let dtype = placed.dtype
    add(node, name, "own", reads: [source], writes: [indices] + (elements.map { [$0] } ?? [])) { memory in
      let job = LargestJob(
        length: length, count: count, dtype: dtype, from: memory.pointer(source),
        places: memory.pointer(indices).assumingMemoryBound(to: Int64.self),
        values: elements.map { memory.pointer($0) })
      return {
        Parallel.forEachRange(rows, of: length) { range in
          for row in range { job.run(row) }
        }
      }
    }
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

/// The largest elements of rows: of equal ones the first, and NaN before any number.
private struct LargestJob: @unchecked Sendable {
  let length: Int
  let count: Int
  let dtype: DType
  let from: UnsafeMutableRawPointer
  let places: UnsafeMutablePointer<Int64>
  let values: UnsafeMutableRawPointer?

  func run(_ row: Int) {
    let width = dtype.byteWidth ?? 1
    let source = from + row * length * width
    if dtype == .float32, count == 1 {
      places[row] = Int64(largest(source.assumingMemoryBound(to: Float.self)))
    } else {
      select(source, row)
    }
    guard let values else { return }
    for index in row * count..<(row + 1) * count {
      (values + index * width).copyMemory(from: source + Int(places[index]) * width, byteCount: width)
    }
  }

  private func largest(_ elements: UnsafeMutablePointer<Float>) -> Int {
    var (place, best) = (0, elements[0])
    for index in 0..<length {
      let value = elements[index]
      if value > best { (place, best) = (index, value) }
      if value.isNaN { return index }
    }
    return place
  }

  private func select(_ source: UnsafeMutableRawPointer, _ row: Int) {
    withUnsafeTemporaryAllocation(of: Key.self, capacity: max(count, 1)) { heap in
      withUnsafeTemporaryAllocation(of: Double.self, capacity: 512) { numbers in
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: 512) { wholes in
          guard let numbers = numbers.baseAddress, let wholes = wholes.baseAddress else { return }
          let width = dtype.byteWidth ?? 1
          var used = 0
          for begin in stride(from: 0, to: length, by: 512) {
            let part = min(512, length - begin)
            if dtype.isInteger {
              Int64.load(dtype, source + begin * width, 1, wholes, part)
            } else {
              Double.load(dtype, source + begin * width, 1, numbers, part)
            }
            for index in 0..<part {
              let order = dtype.isInteger ? wholes[index] : numbers[index].order
              let key = Key(order: order, place: begin + index)
              if used < count {
                heap[used] = key
                used += 1
                if used == count { for root in (0..<count / 2).reversed() { sift(heap, root, count) } }
              } else if count > 0, key.isBefore(heap[0]) {
                heap[0] = key
                sift(heap, 0, count)
              }
            }
          }
        }
      }
      // The last one of the heap is its root.
      for end in (0..<count).reversed() {
        places[row * count + end] = Int64(heap[0].place)
        heap[0] = heap[end]
        sift(heap, 0, end)
      }
    }
  }

  /// Puts the last in order of a heap at its root.
  private func sift(_ heap: UnsafeMutableBufferPointer<Key>, _ start: Int, _ count: Int) {
    guard start < count else { return }
    var root = start
    let key = heap[root]
    while 2 * root + 1 < count {
      var child = 2 * root + 1
      if child + 1 < count, heap[child].isBefore(heap[child + 1]) { child += 1 }
      guard key.isBefore(heap[child]) else { break }
      heap[root] = heap[child]
      root = child
    }
    heap[root] = key
  }

  private struct Key {
    let order: Int64
    let place: Int

    func isBefore(_ other: Key) -> Bool { order > other.order || (order == other.order && place < other.place) }
  }
}

extension Double {
  /// A whole number in the same order; both zeros are one, and NaN is greater than any number.
  fileprivate var order: Int64 {
    if isNaN { return .max }
    let bits = Int64(bitPattern: (self + 0).bitPattern)
    return self == 0 ? 0 : bits < 0 ? .min &- bits : bits
  }
}
