import ModelCore
import ModelGraph

/// The largest elements of an axis.
extension Compiler {
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
