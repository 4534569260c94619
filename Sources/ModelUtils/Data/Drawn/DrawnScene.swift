import ModelCore

/// A drawn picture and its objects.
public struct DrawnScene: Sendable {
  /// An object: its class, and the whole pixels that more than half of it is seen in.
  public struct Object: Sendable, Hashable {
    /// The class, from 0.
    public let classIndex: Int
    /// The pixels that the box takes, from the left and from the top.
    public let columns: Range<Int>, rows: Range<Int>

    /// Whether two boxes share more than a quarter of the smaller's side in both directions.
    func overlaps(_ other: Object) -> Bool {
      func share(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
        let common = min(a.upperBound, b.upperBound) - max(a.lowerBound, b.lowerBound)
        return Double(common) > 0.25 * Double(min(a.count, b.count))
      }
      return share(columns, other.columns) && share(rows, other.rows)
    }
  }

  /// The picture's side in pixels.
  public let size: Int
  /// uint8 [size, size, 3], RGB.
  public let pixels: Tensor
  /// The objects, from the lowest to the highest.
  public let objects: [Object]

  /// YOLO's lines: class, middle and sides as shares of the picture's, with six decimals.
  public var labelText: String {
    let side = Double(size)
    return objects.map { object in
      func middle(_ range: Range<Int>) -> Double { Double(range.lowerBound + range.upperBound) / 2 / side }
      return CFormat.string(
        "%d %.6f %.6f %.6f %.6f\n", object.classIndex, middle(object.columns), middle(object.rows),
        Double(object.columns.count) / side, Double(object.rows.count) / side)
    }.joined()
  }
}

/// What an object puts on a picture: colours, and how much of each pixel they cover.
struct DrawnStamp {
  /// The pixels of the picture that it may cover.
  let columns: Range<Int>, rows: Range<Int>
  /// Row by row, 0 to 1.
  let cover: [Double]
  /// Red, green and blue of each pixel, or of all.
  let colors: [Double]

  /// The pixels that are covered by more than half; nil where they are fewer than nine.
  var box: (columns: Range<Int>, rows: Range<Int>)? {
    var (left, right, top, bottom, count) = (Int.max, Int.min, Int.max, Int.min, 0)
    for (index, share) in cover.enumerated() where share > 0.5 {
      let (row, column) = index.quotientAndRemainder(dividingBy: columns.count)
      (left, right, top, bottom) = (min(left, column), max(right, column), min(top, row), max(bottom, row))
      count += 1
    }
    guard count >= 9 else { return nil }
    return (
      columns.lowerBound + left..<columns.lowerBound + right + 1, rows.lowerBound + top..<rows.lowerBound + bottom + 1
    )
  }

  /// Blends it into the pixels of a square picture, rows of red, green and blue.
  func paint(_ pixels: inout [Double], size: Int) {
    let isPlain = colors.count == 3
    pixels.withUnsafeMutableBufferPointer { pixels in
      for (index, share) in cover.enumerated() where share > 0 {
        let (row, column) = index.quotientAndRemainder(dividingBy: columns.count)
        let place = ((rows.lowerBound + row) * size + columns.lowerBound + column) * 3
        for channel in 0..<3 {
          let color = colors[isPlain ? channel : index * 3 + channel]
          pixels[place + channel] = pixels[place + channel] * (1 - share) + color * share
        }
      }
    }
  }
}
