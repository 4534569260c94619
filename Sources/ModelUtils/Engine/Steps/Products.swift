import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// Two inputs over their last two axes, the others broadcast.
  mutating func matrixProduct(_ node: Graph.Node) throws -> Bool {
    guard types[node.results[0]].shape.count <= Int(CE_MAX_RANK) else { return false }
    let result = try product(
      factor(place(node.operands[0], as: computed)), factor(place(node.operands[1], as: computed)), node,
      for: node.results[0])
    set(node.results[0], result)
    return true
  }

  /// The product of two factors that are ready for it, row-major.
  /// - Parameter value: what it is, where it is a value of the graph as it is.
  mutating func product(
    _ left: Placed, _ right: Placed, _ node: Graph.Node, for value: Graph.Value? = nil
  ) throws -> Placed {
    let (rows, columns) = (left.layout.shape[left.layout.rank - 2], right.layout.shape[right.layout.rank - 1])
    let rank = max(left.layout.rank, right.layout.rank)
    func description(_ placed: Placed) throws -> (shape: [Int], made: MemoryDescription) {
      // Axes of length 1 in front are broadcast.
      let added = rank - placed.layout.rank
      let shape = [Int](repeating: 1, count: added) + placed.layout.shape
      let strides = [Int](repeating: placed.layout.count, count: added) + placed.layout.strides
      return (shape, try MemoryDescription(shape, strides: strides, placed.dtype))
    }
    let (a, b) = (try description(left), try description(right))
    let batch = zip(a.shape, b.shape).dropLast(2).map { max($0, $1) }
    let layout = Layout.rowMajor(batch + [rows, columns])
    let result = value.map { allocate(layout, left.dtype, for: $0) } ?? allocate(layout, left.dtype)
    let c = try MemoryDescription(result)
    let primitive = try Primitive("product") { ce_matmul(&$0, a.made.handle, b.made.handle, nil, c.handle, 0, nil) }
    add(node, "product", primitive, [(CE_SRC, left), (CE_WEIGHTS, right)], [(CE_DST, result)])
    return result
  }

  /// Over one axis.
  mutating func softmax(_ axis: Int?, _ isLogarithm: Bool, _ node: Graph.Node) throws {
    let shape = types[node.operands[0]].shape
    if shape.isEmpty {
      set(node.results[0], try addConstant([isLogarithm ? 0 : 1], .rowMajor([])))
      return
    }
    let given = axis ?? ([1, 3].contains(shape.count) ? 0 : 1)
    let axis = given < 0 ? given + shape.count : given
    let placed = try place(node.operands[0])
    // The axis goes innermost, which is where its numbers are wanted together.
    let order = placed.layout.order.filter { $0 != axis } + [axis]
    let source = try dense(placed, as: .ordered(shape, order))
    // Over a copy that nothing else takes.
    let result = source.buffer == placed.buffer ? allocate(.ordered(shape, order), for: node.results[0]) : source
    if source.buffer != placed.buffer { set(node.results[0], result) }
    let (rows, length) = (source.layout.count / shape[axis], shape[axis])
    if isLogarithm {
      add(node, "log softmax", "own", reads: [source], writes: [result]) { memory in
        nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
        return {
          Parallel.forEachRange(rows, of: length) { range in
            for row in range { logSoftmax(from + row * length, to + row * length, length) }
          }
        }
      }
      return
    }
    let flat = try MemoryDescription([rows, length], strides: [length, 1])
    let primitive = try Primitive("softmax") { ce_softmax(&$0, flat.handle, flat.handle, 1, false) }
    add(node, "softmax", primitive, [(CE_SRC, source)], [(CE_DST, result)])
  }
}

/// Numbers less the logarithm of the sum of their exponentials; both places may be one.
///
/// oneDNN's is off by 1e-6, which is more than a loss where a class is nearly certain.
private func logSoftmax(_ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ count: Int) {
  var largest = -Float.infinity
  for index in 0..<count where from[index] > largest { largest = from[index] }
  var sum = 0.0
  for index in 0..<count { sum += CMath.exp(Double(from[index] - largest)) }
  let logarithm = Float(CMath.log(sum))
  for index in 0..<count { to[index] = from[index] - largest - logarithm }
}
