import CKernels
import ModelCore

/// Up to four layouts of one shape with as few axes as say the same: what a loop over them walks.
struct Walk: Sendable {
  /// The innermost axis last.
  private(set) var shape: [Int] = []
  /// Along each axis the step in every layout.
  private var strides: [SIMD4<Int>] = []

  /// Below this many elements threads cost more than they save.
  static let grain = 1 << 15

  /// The first layout's order decides which axis is innermost.
  /// - Parameter isTiled: whether the second axis is the one along which the second layout's elements lie closest.
  init(_ layouts: [Layout], isTiled: Bool = false) {
    let first = layouts[0]
    for axis in first.order where first.shape[axis] != 1 {
      var next = SIMD4<Int>()
      for (index, layout) in layouts.enumerated() { next[index] = layout.strides[axis] }
      if let last = shape.last, strides[strides.count - 1] == next &* first.shape[axis] {
        shape[shape.count - 1] = last * first.shape[axis]
        strides[strides.count - 1] = next
      } else {
        shape.append(first.shape[axis])
        strides.append(next)
      }
    }
    guard isTiled, shape.count > 2, let inner = strides.last, abs(inner[1]) != 1 else { return }
    let others = shape.indices.dropLast()
    guard let closest = others.min(by: { abs(strides[$0][1]) < abs(strides[$1][1]) }) else { return }
    let target = shape.count - 2
    shape.insert(shape.remove(at: closest), at: target)
    strides.insert(strides.remove(at: closest), at: target)
  }

  /// Elements of the innermost axis.
  var columns: Int { shape.last ?? 1 }
  /// How many innermost rows there are.
  var rows: Int { shape.dropLast().reduce(1, *) }
  /// The steps along the innermost axis.
  var step: SIMD4<Int> { strides.last ?? SIMD4() }

  /// Where a row begins in each layout.
  func start(ofRow row: Int) -> SIMD4<Int> {
    var (rest, place) = (row, SIMD4<Int>())
    for axis in (0..<max(shape.count - 1, 0)).reversed() {
      place &+= strides[axis] &* (rest % shape[axis])
      rest /= shape[axis]
    }
    return place
  }

  /// Calls `body` with planes that together are all rows, and where they begin; on several threads where there is enough
  /// to do.
  func forEachPlane(_ body: @Sendable (_ starts: SIMD4<Int>, _ plane: inout mk_plane) -> Void) {
    guard !shape.contains(0) else { return }
    let (rows, columns) = (self.rows, self.columns)
    let threads = Parallel.threadCount
    let chunks = threads > 1 ? min(rows * columns / Self.grain, 4 * threads) : 1
    if chunks > 1, rows < chunks {
      // Few long rows are divided themselves.
      let parts = (chunks + rows - 1) / rows
      Parallel.forEach(rows * parts) { index in
        let (row, part) = (index / parts, index % parts)
        let first = part * columns / parts
        var plane = self.plane(rows: 1, columns: (part + 1) * columns / parts - first)
        body(start(ofRow: row) &+ step &* first, &plane)
      }
      return
    }
    let count = max(chunks, 1)
    Parallel.forEach(count) { chunk in
      let middle = shape.count > 1 ? shape[shape.count - 2] : 1
      var row = chunk * rows / count
      let end = (chunk + 1) * rows / count
      while row < end {
        let length = min(middle - row % middle, end - row)
        var plane = self.plane(rows: length, columns: columns)
        body(start(ofRow: row), &plane)
        row += length
      }
    }
  }

  private func plane(rows: Int, columns: Int) -> mk_plane {
    let row = strides.count > 1 ? strides[strides.count - 2] : SIMD4()
    return mk_plane(
      rows: rows, columns: columns, row: (row[0], row[1], row[2], row[3]),
      column: (step[0], step[1], step[2], step[3]))
  }
}
