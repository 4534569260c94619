import ModelCore

/// Arithmetic of shapes that refuses instead of overflowing.
enum Shape {
  /// Far beyond any picture or layer, and small enough that products of two stay in range.
  static let limit = 1 << 31

  static func checked(_ shape: [Int]) throws -> [Int] {
    var count = 1
    for size in shape {
      guard (0...limit).contains(size) else { throw ModelError(.mismatch, "an axis would have \(size) elements") }
      let (product, overflow) = count.multipliedReportingOverflow(by: max(size, 1))
      guard !overflow, product < 1 << 53 else { throw ModelError(.limit, "the shape \(shape) is too large") }
      count = product
    }
    return shape
  }

  static func count(_ shape: some Sequence<Int>) -> Int { shape.reduce(1, *) }

  /// An axis counted from the end when negative.
  static func axis(_ axis: Int, _ rank: Int) throws -> Int {
    let index = axis < 0 ? axis + rank : axis
    guard (0..<max(rank, 0)).contains(index) else { throw ModelError(.mismatch, "axis \(axis) is none of \(rank)") }
    return index
  }

  static func broadcast(_ shapes: [[Int]]) throws -> [Int] {
    let rank = shapes.map(\.count).max() ?? 0
    var result = [Int](repeating: 1, count: rank)
    for shape in shapes {
      for (axis, size) in zip((rank - shape.count)..., shape) where size != 1 {
        guard result[axis] == 1 || result[axis] == size else {
          throw ModelError(
            .mismatch, "shapes \(shapes.map(\.description).joined(separator: " and ")) do not go together")
        }
        result[axis] = size
      }
    }
    return result
  }

  /// Output elements of an axis over which windows slide.
  static func windows(
    _ size: Int, kernel: Int, stride: Int, padding: (Int, Int), dilation: Int, ceilMode: Bool = false
  ) throws -> Int {
    guard [kernel, stride, dilation].allSatisfy({ (1...limit).contains($0) }),
      [padding.0, padding.1].allSatisfy({ (0...limit).contains($0) })
    else { throw ModelError(.malformed, "its configuration is no valid one") }
    let (reach, overflow) = dilation.multipliedReportingOverflow(by: kernel - 1)
    guard !overflow, reach < 1 << 40 else { throw ModelError(.limit, "its window is too large") }
    let room = size + padding.0 + padding.1 - reach - 1
    guard room >= 0 else { throw ModelError(.limit, "its window is larger than its input of \(size)") }
    guard ceilMode else { return room / stride + 1 }
    let count = (room + stride - 1) / stride + 1
    // The last window must begin inside the input or its padding before it.
    return (count - 1) * stride >= size + padding.0 ? count - 1 : count
  }
}
