import ModelCore

/// How a value lies in a buffer: an element's place is the offset plus the sum of its indices times the strides, all in
/// elements. Slices, permutations and repeated axes are layouts of the same buffer.
struct Layout: Hashable, Sendable {
  var shape: [Int]
  var strides: [Int]
  var offset = 0

  var rank: Int { shape.count }
  var count: Int { shape.reduce(1, *) }

  /// The last axis is the innermost.
  static func rowMajor(_ shape: [Int]) -> Layout { ordered(shape, Array(shape.indices)) }

  /// [batch, channels, spatial…] with the channels innermost; row-major for fewer than three axes.
  static func channelsLast(_ shape: [Int]) -> Layout {
    guard shape.count > 2 else { return rowMajor(shape) }
    return ordered(shape, [0] + Array(2..<shape.count) + [1])
  }

  /// Dense, with axes from the outermost to the innermost.
  static func ordered(_ shape: [Int], _ order: [Int]) -> Layout {
    var strides = [Int](repeating: 0, count: shape.count)
    var stride = 1
    for axis in order.reversed() {
      strides[axis] = stride
      stride *= max(shape[axis], 1)
    }
    return Layout(shape: shape, strides: strides)
  }

  /// The axes from the outermost to the innermost, as their strides say; row-major among equals.
  var order: [Int] {
    shape.indices.sorted {
      (strides[$0], shape[$0]) == (strides[$1], shape[$1])
        ? $0 < $1 : (strides[$0], shape[$0]) > (strides[$1], shape[$1])
    }
  }

  /// Whether it fills its part of the buffer without gaps or repetition.
  var isDense: Bool { count <= 1 || sameStrides(as: .ordered(shape, order)) }

  /// Whether it is dense in the order of another; axes of length 1 do not matter, nor does the offset.
  func isDense(as other: Layout) -> Bool { shape == other.shape && (count <= 1 || sameStrides(as: other)) }

  private func sameStrides(as other: Layout) -> Bool {
    shape.indices.allSatisfy { shape[$0] == 1 || strides[$0] == other.strides[$0] }
  }

  // MARK: Views

  func permuted(_ axes: [Int]) -> Layout {
    Layout(shape: axes.map { shape[$0] }, strides: axes.map { strides[$0] }, offset: offset)
  }

  /// Every `step`-th of `count` elements of an axis.
  func sliced(_ axis: Int, from start: Int, count: Int, step: Int = 1) -> Layout {
    var layout = self
    layout.offset += start * strides[axis]
    layout.shape[axis] = count
    layout.strides[axis] *= step
    return layout
  }

  /// Axes of length 1 and further axes in front repeated.
  func expanded(to shape: [Int]) -> Layout {
    let added = shape.count - rank
    let strides = shape.indices.map { axis in
      axis < added || self.shape[axis - added] != shape[axis] ? 0 : self.strides[axis - added]
    }
    return Layout(shape: shape, strides: strides, offset: offset)
  }

  /// In another shape without moving elements; nil where that cannot be.
  func reshaped(to shape: [Int]) -> Layout? {
    guard count > 0 else { return .rowMajor(shape) }
    let old = self.shape.indices.filter { self.shape[$0] != 1 }
    var strides = [Int](repeating: 1, count: shape.count)
    var (from, to) = (0, 0)
    // Groups of axes on both sides that hold the same elements, each of which must be evenly spaced.
    while from < old.count {
      var (oldEnd, newEnd) = (from + 1, to + 1)
      var (oldCount, newCount) = (self.shape[old[from]], shape[to])
      while oldCount != newCount {
        if newCount < oldCount {
          newCount *= shape[newEnd]
          newEnd += 1
        } else {
          oldCount *= self.shape[old[oldEnd]]
          oldEnd += 1
        }
      }
      for place in from..<oldEnd - 1
      where self.strides[old[place]] != self.strides[old[place + 1]] * self.shape[old[place + 1]] { return nil }
      var stride = self.strides[old[oldEnd - 1]]
      for axis in (to..<newEnd).reversed() {
        strides[axis] = stride
        stride *= shape[axis]
      }
      (from, to) = (oldEnd, newEnd)
    }
    return Layout(shape: shape, strides: strides, offset: offset)
  }
}
