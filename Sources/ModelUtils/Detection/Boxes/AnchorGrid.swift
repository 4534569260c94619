import ModelCore

/// The places at which a detector predicts: the centres of the cells of its levels, fine to coarse, each level row by
/// row, and so often as it has anchors at a place, one anchor after the other.
public struct AnchorGrid: Sendable, Hashable {
  /// A map of cells.
  public struct Level: Sendable, Hashable {
    /// The side of a cell in pixels.
    public let stride: Int
    /// How many cells it is high.
    public let rows: Int
    /// How many cells it is wide.
    public let columns: Int
    /// Where its anchors begin.
    public let first: Int
    /// How many they are.
    public let count: Int
  }

  /// The centre of a cell.
  public struct Point: Sendable, Hashable {
    /// To the right, in pixels.
    public let x: Double
    /// Downwards, in pixels.
    public let y: Double
    /// The side of its cell in pixels.
    public let stride: Double
  }

  /// Fine to coarse.
  public let levels: [Level]
  /// Where each anchor is.
  public let points: [Point]
  /// How many anchors there are at a place.
  public let copies: Int
  /// How many anchors there are.
  public var count: Int { points.count }

  /// The most anchors that a picture may have.
  public static let limit = 1 << 22

  /// The grid of pictures of a size.
  /// - Parameters:
  ///   - height: in pixels, a multiple of every stride.
  ///   - width: likewise.
  ///   - strides: of the levels, in pixels.
  ///   - copies: how many anchors there are at a place.
  /// - Throws: `ModelError` for sizes that are no multiples, and for more than `limit` anchors.
  public init(height: Int, width: Int, strides: [Int], copies: Int = 1) throws {
    guard !strides.isEmpty, copies >= 1, strides.allSatisfy({ $0 >= 1 }) else {
      throw ModelError(.invalid, "a detector's strides are 1 or more, not \(strides)")
    }
    guard height >= 1, width >= 1, strides.allSatisfy({ height % $0 == 0 && width % $0 == 0 }) else {
      throw ModelError(
        .invalid, "pictures of \(width)×\(height) have no whole cells of \(strides) pixels",
        advice: "take sides that are multiples of \(strides.max() ?? 32)")
    }
    var levels: [Level] = []
    var total = 0
    for stride in strides {
      let (rows, columns) = (height / stride, width / stride)
      guard let count = Tensor.elementCount([copies, rows, columns]), count <= Self.limit - total else {
        throw ModelError(.limit, "pictures of \(width)×\(height) have more than \(Self.limit) anchors")
      }
      levels.append(Level(stride: stride, rows: rows, columns: columns, first: total, count: count))
      total += count
    }
    var points: [Point] = []
    points.reserveCapacity(total)
    for level in levels {
      let stride = Double(level.stride)
      for _ in 0..<copies {
        for row in 0..<level.rows {
          let y = (Double(row) + 0.5) * stride
          for column in 0..<level.columns {
            points.append(Point(x: (Double(column) + 0.5) * stride, y: y, stride: stride))
          }
        }
      }
    }
    (self.levels, self.points, self.copies) = (levels, points, copies)
  }

  /// Calls `body` with the anchors that are inside a box of finite sides, in their order.
  func forEachAnchor(in box: CornerBox, _ body: (Int) -> Void) {
    for level in levels {
      let rows = Self.cells(from: box.y1, to: box.y2, stride: level.stride, count: level.rows)
      let columns = Self.cells(from: box.x1, to: box.x2, stride: level.stride, count: level.columns)
      guard !rows.isEmpty, !columns.isEmpty else { continue }
      for copy in 0..<copies {
        for row in rows {
          let start = level.first + (copy * level.rows + row) * level.columns
          for anchor in start + columns.lowerBound..<start + columns.upperBound
          where box.contains(points[anchor].x, points[anchor].y) {
            body(anchor)
          }
        }
      }
    }
  }

  /// The cells whose centres may lie between two places, and some beside them.
  static func cells(from low: Double, to high: Double, stride: Int, count: Int) -> Range<Int> {
    let limit = Double(count)
    let first = min(max((low / Double(stride) - 1.5).rounded(.down), 0), limit)
    let end = min(max((high / Double(stride) + 1.5).rounded(.up), first), limit)
    return Int(first)..<Int(end)
  }
}
