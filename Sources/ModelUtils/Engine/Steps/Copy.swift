import ModelCore

/// Moves a value's elements into another layout of the same shape.
struct Copy: Sendable {
  private let walk: Walk
  private let width: Int

  /// Neither layout's offset counts: `run` is given where the elements begin.
  init(_ source: Placed, to layout: Layout) {
    walk = Walk([layout, source.layout])
    width = source.dtype.byteWidth ?? 1
  }

  func run(_ source: UnsafeMutableRawPointer, _ destination: UnsafeMutableRawPointer) {
    switch width {
    case 1: move(source, destination, as: UInt8.self)
    case 2: move(source, destination, as: UInt16.self)
    case 4: move(source, destination, as: UInt32.self)
    case 8: move(source, destination, as: UInt64.self)
    default: move(source, destination, as: SIMD2<UInt64>.self)
    }
  }

  private func move<Element>(
    _ source: UnsafeMutableRawPointer, _ destination: UnsafeMutableRawPointer, as: Element.Type
  ) {
    nonisolated(unsafe) let from = source.assumingMemoryBound(to: Element.self)
    nonisolated(unsafe) let to = destination.assumingMemoryBound(to: Element.self)
    let (inner, step, back) = (walk.inner, walk.innerStride(0), walk.innerStride(1))
    walk.forEachRow { row in
      let (from, to) = (from + walk.start(ofRow: row, 1), to + walk.start(ofRow: row, 0))
      if step == 1, back == 1 {
        to.update(from: from, count: inner)
      } else {
        for index in 0..<inner { to[index * step] = from[index * back] }
      }
    }
  }
}

extension Walk {
  /// Below this many elements threads cost more than they save.
  private static let grain = 1 << 15

  /// Calls `body` with the start and the length of every part of so many elements, on several threads where there is
  /// enough to do.
  static func forEachSpan(of count: Int, _ body: @Sendable (Int, Int) -> Void) {
    let parts = Parallel.threadCount > 1 ? max(1, min(count / grain, 4 * Parallel.threadCount)) : 1
    Parallel.forEach(parts) { part in
      let start = part * count / parts
      body(start, (part + 1) * count / parts - start)
    }
  }

  /// Calls `body` with every row, on several threads where there is enough to do.
  func forEachRow(_ body: @Sendable (Int) -> Void) {
    guard rows > 0, !shape.contains(0) else { return }
    let chunks = min(rows, max(1, rows * inner / Self.grain), 4 * Parallel.threadCount)
    guard chunks > 1, Parallel.threadCount > 1 else {
      for row in 0..<rows { body(row) }
      return
    }
    Parallel.forEach(chunks) { chunk in
      for row in chunk * rows / chunks..<(chunk + 1) * rows / chunks { body(row) }
    }
  }
}
