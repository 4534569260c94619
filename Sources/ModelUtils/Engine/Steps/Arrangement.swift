import CKernels
import ModelCore
import ModelGraph
import Synchronization

/// What moves elements of any type.
extension Compiler {
  /// The operands one behind the other.
  mutating func concatenate(_ axis: Int, _ node: Graph.Node) throws {
    let type = types[node.results[0]]
    let axis = axis < 0 ? axis + type.shape.count : axis
    let parts = try alike(node.operands.filter { !types[$0].shape.contains(0) }, type.dtype)
    let order = parts.max { $0.layout.count < $1.layout.count }?.layout.order ?? Array(type.shape.indices)
    let result = allocate(.ordered(type.shape, order), parts.first?.dtype, for: node.results[0])
    var begin = 0
    for part in parts {
      let length = part.layout.shape[axis]
      let target = result.with(result.layout.sliced(axis, from: begin, count: length))
      copy(part, to: target, path: graph.scopes[node.scope].path, name: "concatenate")
      begin += length
    }
  }

  /// Along a new axis.
  mutating func stack(_ axis: Int, _ node: Graph.Node) throws {
    let type = types[node.results[0]]
    let axis = axis < 0 ? axis + type.shape.count : axis
    let parts = try alike(node.operands, type.dtype)
    let result = allocate(.rowMajor(type.shape), parts.first?.dtype, for: node.results[0])
    for (index, part) in parts.enumerated() {
      var target = result.layout.sliced(axis, from: index, count: 1)
      target.shape.remove(at: axis)
      target.strides.remove(at: axis)
      copy(part, to: result.with(target), path: graph.scopes[node.scope].path, name: "stack")
    }
  }

  /// Values in one type: as they are stored where that is one, else in their own.
  private mutating func alike(_ values: [Graph.Value], _ dtype: DType) throws -> [Placed] {
    let stored = try values.map { try self.stored($0) }
    if values.allSatisfy({ types[$0].dtype == dtype }), Set(stored.map(\.dtype)).count == 1 { return stored }
    return try values.map { try converted(place($0), to: dtype) }
  }

  /// Blocks of channels become blocks of pixels, or back: both are another order of axes that are divided.
  mutating func pixelShuffle(_ shuffle: PixelShuffle, _ node: Graph.Node) throws {
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

  // MARK: Margins

  /// Margins of every kind; negative ones cut.
  mutating func pad(_ margins: [Margin], _ mode: PadMode, _ node: Graph.Node) throws {
    let shape = types[node.results[0]].shape
    var placed = try place(node.operands[0])
    if case .constant(let value) = mode { return try pad(placed, margins, value, node) }
    for (axis, margin) in margins.enumerated() where margin != Margin(0) {
      if margin.before <= 0, margin.after <= 0 {
        placed = placed.with(placed.layout.sliced(axis, from: -margin.before, count: shape[axis]))
      } else {
        placed = try padded(placed, axis, margin, mode, node)
      }
    }
    set(node.results[0], placed)
  }

  private mutating func pad(_ placed: Placed, _ margins: [Margin], _ value: Double, _ node: Graph.Node) throws {
    let type = types[node.results[0]]
    var source = placed
    for (axis, margin) in margins.enumerated() {
      let (front, back) = (max(-margin.before, 0), max(-margin.after, 0))
      source = source.with(
        source.layout.sliced(axis, from: front, count: placed.layout.shape[axis] - front - back))
    }
    guard margins.contains(where: { $0.before > 0 || $0.after > 0 }) else { return set(node.results[0], source) }
    let result = allocate(.ordered(type.shape, source.layout.order), for: node.results[0])
    var inside = result.layout
    for (axis, margin) in margins.enumerated() {
      inside = inside.sliced(axis, from: max(margin.before, 0), count: source.layout.shape[axis])
    }
    let (part, count, target) = (source, result.layout.count, result.with(inside))
    let copy = Copy(source, to: inside)
    let isEmpty = inside.shape.contains(0)
    add(node, "pad", "own", reads: [part], writes: [result]) { memory in
      let (from, to, all) = (memory.pointer(part), memory.pointer(target), memory.pointer(result))
      let isFloat = type.dtype == .float32
      return {
        if isFloat {
          all.assumingMemoryBound(to: Float.self).update(repeating: Float(value), count: count)
        } else {
          let width = type.dtype.byteWidth ?? 1
          withUnsafePointer(to: value) { Double.store(type.dtype, $0, all, 1, 1) }
          for index in 1..<max(count, 1) { (all + index * width).copyMemory(from: all, byteCount: width) }
        }
        if !isEmpty { copy.run(from, to) }
      }
    }
  }

  /// One axis with margins made of its own elements: a copy of all, then of one slice after the other.
  private mutating func padded(
    _ source: Placed, _ axis: Int, _ margin: Margin, _ mode: PadMode, _ node: Graph.Node
  ) throws -> Placed {
    let size = source.layout.shape[axis]
    let start = max(-margin.before, 0)
    let inner = size - start - max(-margin.after, 0)
    var shape = source.layout.shape
    shape[axis] = size + margin.before + margin.after
    let result = allocate(.ordered(shape, source.layout.order), source.dtype)
    func move(_ from: Int, _ to: Int, _ count: Int) -> (source: Placed, target: Placed) {
      (
        source.with(source.layout.sliced(axis, from: from, count: count)),
        result.with(result.layout.sliced(axis, from: to, count: count))
      )
    }
    var moves = [move(start, max(margin.before, 0), inner)]
    let outside = Array(-max(margin.before, 0)..<0) + Array(size..<size + max(margin.after, 0))
    for index in outside {
      let place: Int
      switch mode {
      case .constant: continue
      case .reflect: place = index < 0 ? -index : 2 * (size - 1) - index
      case .replicate: place = min(max(index, 0), size - 1)
      // What is cut off is no part of a circle.
      case .circular: place = start + (index - start + inner) % inner
      }
      moves.append(move(place, index + margin.before, 1))
    }
    let copies = moves.map { ($0.source, $0.target, Copy($0.source, to: $0.target.layout)) }
    add(node, "pad", "own", reads: [source], writes: [result]) { memory in
      let bound = copies.map { (memory.pointer($0), memory.pointer($1), $2) }
      return { for (from, to, copy) in bound { copy.run(from, to) } }
    }
    return result
  }

  // MARK: Places

  /// Elements of an axis at places that another value names, of any whole type.
  mutating func gather(_ axis: Int, _ batchAxes: Int, _ node: Graph.Node) throws {
    let (source, places) = (try rowMajor(node.operands[0]), try rowMajor(node.operands[1]))
    let shape = source.layout.shape
    let axis = axis < 0 ? axis + shape.count : axis
    let indices = try dense(converted(places, to: .int64), as: .rowMajor(places.layout.shape))
    let result = allocate(.rowMajor(types[node.results[0]].shape), for: node.results[0])
    let batches = shape.prefix(batchAxes).reduce(1, *)
    let job = GatherJob(
      outer: shape[batchAxes..<axis].reduce(1, *), length: shape[axis], count: places.layout.count / batches,
      bytes: shape.dropFirst(axis + 1).reduce(source.dtype.byteWidth ?? 1, *))
    add(node, "gather", "own", reads: [source, indices], writes: [result]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.pointer(source), memory.pointer(result))
      nonisolated(unsafe) let places = memory.pointer(indices).assumingMemoryBound(to: Int64.self)
      return { try job.run(batches: batches, from, places, to) }
    }
  }

  /// 0, 1, 2, … where there are too many of them to be a constant.
  mutating func coordinates(_ node: Graph.Node) throws {
    let type = types[node.results[0]]
    let counted = allocate(.rowMajor(type.shape), .int64)
    let count = type.shape[0]
    add(node, "coordinates", "own", reads: [], writes: [counted]) { memory in
      let to = memory.pointer(counted).assumingMemoryBound(to: Int64.self)
      return { for index in 0..<count { to[index] = Int64(index) } }
    }
    set(node.results[0], converted(counted, to: type.dtype))
  }
}

private struct GatherJob: Sendable {
  /// Runs of an entry's elements before the axis, elements of the axis, places, bytes behind the axis.
  let outer: Int
  let length: Int
  let count: Int
  let bytes: Int

  /// - Throws: `ModelError` for a place beyond the axis.
  func run(
    batches: Int, _ source: UnsafeMutableRawPointer, _ places: UnsafeMutablePointer<Int64>,
    _ result: UnsafeMutableRawPointer
  ) throws {
    for index in 0..<batches * count where places[index] < -length || places[index] >= length {
      throw ModelError(.mismatch, "place \(places[index]) is none of \(length)")
    }
    nonisolated(unsafe) let (from, places, to) = (source, places, result)
    Parallel.forEachRange(batches * outer, of: count * bytes) { range in
      for row in range {
        let line = places + row / outer * count
        let (first, target) = (from + row * length * bytes, to + row * count * bytes)
        switch bytes {
        case 4: pick(first, line, target, UInt32.self)
        case 8: pick(first, line, target, UInt64.self)
        default:
          for index in 0..<count {
            (target + index * bytes).copyMemory(from: first + place(line[index]) * bytes, byteCount: bytes)
          }
        }
      }
    }
  }

  private func pick<Word>(
    _ source: UnsafeMutableRawPointer, _ places: UnsafeMutablePointer<Int64>, _ result: UnsafeMutableRawPointer,
    _: Word.Type
  ) {
    let (from, to) = (source.assumingMemoryBound(to: Word.self), result.assumingMemoryBound(to: Word.self))
    for index in 0..<count { to[index] = from[place(places[index])] }
  }

  /// Places below 0 count from the end.
  private func place(_ index: Int64) -> Int { Int(index < 0 ? index + Int64(length) : index) }
}
