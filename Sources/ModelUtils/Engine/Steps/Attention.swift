import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// softmax(queries · keysᵀ · scale + mask) · values, for as many of the matrices, or of one's rows, at a time as let
  /// the scores stay in the cache.
  mutating func attention(_ scale: Double?, _ node: Graph.Node) throws -> Bool {
    let shape = types[node.results[0]].shape
    guard shape.count <= Int(CE_MAX_RANK) else { return false }
    let (queries, keys, values) = (
      try factor(node.operands[0]), try factor(node.operands[1]), try factor(node.operands[2])
    )
    let scores = Array(queries.layout.shape.dropLast()) + [keys.layout.shape[shape.count - 2]]
    let mask = node.operands.count > 3 ? try place(node.operands[3]) : nil
    let kind: mk_mask = mask.map { $0.dtype == .bool ? MK_KEEPING_MASK : MK_ADDED_MASK } ?? MK_UNMASKED
    // As the queries lie, so that what follows finds heads and features side by side where they were.
    let order = queries.layout.order.filter { $0 != shape.count - 1 } + [shape.count - 1]
    let result = allocate(.ordered(shape, order), for: node.results[0])
    let block = AttentionBlock(scores)
    let room = try scratch(.rowMajor([block.size.reduce(1, *)]))
    let job = AttentionJob(
      block: block, queries: queries, keys: keys.with(keys.layout.transposed), values: values,
      mask: mask.map { $0.with($0.layout.expanded(to: scores)) }, result: result, room: room, kind: kind,
      scale: Float(scale ?? 1 / Double(queries.layout.shape[shape.count - 1]).squareRoot()))
    let parts = try block.lengths.map { try AttentionJob.Products(job, rows: $0) }
    let scratchBytes = parts.map(\.scratchBytes).max() ?? 0
    add(
      graph.scopes[node.scope].path, "attention", parts[0].implementation,
      reads: [queries, keys, values] + (mask.map { [$0] } ?? []), writes: [result, room], scratchBytes: scratchBytes
    ) { memory in
      let works = try job.bind(parts, memory)
      return { for work in works { try work() } }
    }
    return true
  }

  /// A factor of a product as oneDNN takes it without a copy: rows or columns that lie together, nothing repeated.
  mutating func factor(_ value: Graph.Value) throws -> Placed { try factor(place(value)) }

  mutating func factor(_ placed: Placed) throws -> Placed {
    let layout = placed.layout
    let isReady =
      (layout.strides[layout.rank - 1] == 1 || layout.strides[layout.rank - 2] == 1)
      && !layout.strides.enumerated().contains { $1 == 0 && layout.shape[$0] > 1 }
    return isReady ? placed : try dense(placed, as: .rowMajor(layout.shape))
  }
}

extension Layout {
  /// The last two axes exchanged.
  var transposed: Layout { permuted(Array(0..<rank - 2) + [rank - 1, rank - 2]) }

  /// A part of each axis.
  func part(_ starts: [Int], _ lengths: [Int]) -> Layout {
    var layout = self
    for (axis, length) in lengths.enumerated() { layout = layout.sliced(axis, from: starts[axis], count: length) }
    return layout
  }
}

/// Into which parts scores [batch…, queries, keys] are divided.
private struct AttentionBlock {
  /// The scores of the largest part.
  let size: [Int]
  /// The numbers of queries that parts have: one, or two where they do not divide.
  let lengths: [Int]
  /// Where parts begin, and how many queries they have.
  let parts: [(starts: [Int], rows: Int)]
  /// What fits a core's cache beside the rest, in elements.
  private static let limit = 1 << 17

  init(_ scores: [Int]) {
    let (rows, keys) = (scores[scores.count - 2], scores[scores.count - 1])
    let count = max(1, min(rows, (rows * keys + Self.limit - 1) / Self.limit))
    let length = (rows + count - 1) / count
    var size = scores.map { _ in 1 }
    (size[scores.count - 2], size[scores.count - 1]) = (length, keys)
    var room = count > 1 ? 1 : max(1, Self.limit / (rows * keys))
    for axis in scores.indices.dropLast(2).reversed() {
      size[axis] = (1...max(1, min(scores[axis], room))).last { scores[axis] % $0 == 0 } ?? 1
      room = size[axis] == scores[axis] ? room / size[axis] : 1
    }
    var starts: [[Int]] = [[]]
    for axis in scores.indices.dropLast() {
      starts = starts.flatMap { start in
        stride(from: 0, to: scores[axis], by: size[axis]).map { start + [$0] }
      }
    }
    parts = starts.map { ($0 + [0], min(length, rows - ($0.last ?? 0))) }
    lengths = Array(Set(parts.map(\.rows))).sorted(by: >)
    self.size = size
  }

  func shape(_ rows: Int) -> [Int] { size.dropLast(2) + [rows, size[size.count - 1]] }
}

private struct AttentionJob: @unchecked Sendable {
  let block: AttentionBlock
  let queries: Placed
  let keys: Placed
  let values: Placed
  let mask: Placed?
  let result: Placed
  let room: Placed
  let kind: mk_mask
  let scale: Float

  /// The two products of a part of so many queries.
  struct Products {
    let rows: Int
    let scores: Primitive
    let result: Primitive

    init(_ job: AttentionJob, rows: Int) throws {
      self.rows = rows
      let shape = job.block.shape(rows)
      func description(_ placed: Placed, _ rows: Int?) throws -> MemoryDescription {
        let last = Array(placed.layout.shape.suffix(2))
        let lengths = shape.dropLast(2) + [rows ?? last[0], last[1]]
        return try MemoryDescription(Array(lengths), strides: placed.layout.strides)
      }
      let (q, k) = (try description(job.queries, rows), try description(job.keys, nil))
      let (v, out) = (try description(job.values, nil), try description(job.result, rows))
      let s = try MemoryDescription(.rowMajor(shape))
      scores = try Primitive("product") { ce_matmul(&$0, q.handle, k.handle, nil, s.handle, 0, nil) }
      result = try Primitive("product") { ce_matmul(&$0, s.handle, v.handle, nil, out.handle, 0, nil) }
    }

    var scratchBytes: Int { max(scores.scratchBytes, result.scratchBytes) }
    var implementation: String { scores.implementation }
  }

  /// The work of every part.
  func bind(_ products: [Products], _ memory: Memory) throws -> [Step.Work] {
    try block.parts.compactMap { part in
      guard let product = products.first(where: { $0.rows == part.rows }) else { return nil }
      let shape = block.shape(part.rows)
      func pointer(_ placed: Placed, _ starts: [Int]) -> UnsafeMutableRawPointer {
        memory.pointer(placed.with(placed.layout.part(starts, placed.layout.shape.map { _ in 1 })))
      }
      let batch = Array(part.starts.dropLast(2))
      let scores = memory.pointer(room)
      func bind(
        _ primitive: Primitive, _ a: UnsafeMutableRawPointer, _ b: UnsafeMutableRawPointer,
        _ c: UnsafeMutableRawPointer
      ) throws -> Primitive.Binding {
        let scratch = primitive.scratchBytes > 0 ? [(Int32(CE_SCRATCHPAD.rawValue), memory.scratch)] : []
        return try primitive.bind(
          [(Int32(CE_SRC.rawValue), a), (Int32(CE_WEIGHTS.rawValue), b), (Int32(CE_DST.rawValue), c)] + scratch)
      }
      let first = try bind(product.scores, pointer(queries, part.starts), pointer(keys, batch + [0, 0]), scores)
      let second = try bind(product.result, scores, pointer(values, batch + [0, 0]), pointer(result, part.starts))
      let layout =
        mask.map { $0.layout.part(part.starts, shape) } ?? Layout(shape: shape, strides: shape.map { _ in 0 })
      nonisolated(unsafe) let maskBase = mask.map { memory.pointer($0.with(layout)) }
      let softmax = ScoreRows(
        scores: scores.assumingMemoryBound(to: Float.self), shape: shape, mask: maskBase, layout: layout, kind: kind,
        width: mask?.dtype.byteWidth ?? 0, scale: scale)
      return {
        try first.run()
        softmax.run()
        try second.run()
      }
    }
  }
}

/// The softmax of rows of scores.
private struct ScoreRows: @unchecked Sendable {
  let scores: UnsafeMutablePointer<Float>
  let shape: [Int]
  let mask: UnsafeMutableRawPointer?
  let layout: Layout
  let kind: mk_mask
  let width: Int
  let scale: Float

  func run() {
    let keys = shape[shape.count - 1]
    Parallel.forEachRange(shape.dropLast().reduce(1, *), of: keys) { range in
      for row in range {
        var (rest, place) = (row, 0)
        for axis in shape.indices.dropLast().reversed() {
          place += rest % shape[axis] * layout.strides[axis]
          rest /= shape[axis]
        }
        mk_attend(
          scores + row * keys, keys, scale, kind, mask.map { $0 + place * width }, layout.strides[shape.count - 1])
      }
    }
  }
}
