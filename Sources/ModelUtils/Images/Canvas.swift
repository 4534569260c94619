import ModelCore

/// A picture to draw on, 8 bits a channel. Places are in pixels from the left upper corner, a pixel's middle lying at a
/// half; what falls outside is cut off.
public struct Canvas: Sendable {
  /// In pixels.
  public let width: Int
  /// In pixels.
  public let height: Int
  /// Rows of red, green and blue.
  private var pixels: [UInt8]

  /// A colour, each part 0 to 255.
  public struct Color: Sendable, Hashable {
    /// Its parts.
    public let red, green, blue: UInt8

    /// A colour by its parts.
    public init(red: UInt8, green: UInt8, blue: UInt8) { (self.red, self.green, self.blue) = (red, green, blue) }

    /// Black or white, whichever is read more easily on this colour.
    public var contrasting: Color {
      let brightness = 0.299 * Double(red) + 0.587 * Double(green) + 0.114 * Double(blue)
      return brightness > 140 ? Color(red: 0, green: 0, blue: 0) : Color(red: 255, green: 255, blue: 255)
    }
  }

  /// A place.
  public struct Point: Sendable, Hashable {
    /// To the right, in pixels.
    public var x: Double
    /// Downwards, in pixels.
    public var y: Double

    /// A place.
    public init(_ x: Double, _ y: Double) { (self.x, self.y) = (x, y) }
  }

  /// A straight line from one place to another; both may be the same, which makes a dot.
  public typealias Segment = (from: Point, to: Point)

  /// A copy of a picture to draw on; 16 bits become 8.
  public init(_ picture: ImageFile) throws {
    (width, height) = (picture.width, picture.height)
    pixels = try picture.bytes().elements(of: UInt8.self)
  }

  /// What was drawn.
  public func picture() throws -> ImageFile { try ImageFile(pixels: Tensor(pixels, [height, width, 3])) }

  // MARK: Areas

  /// Fills whole pixels.
  /// - Parameter opacity: from 0, which changes nothing, to 1.
  public mutating func fill(columns: Range<Int>, rows: Range<Int>, with color: Color, opacity: Double = 1) {
    let (columns, rows) = (columns.clamped(to: 0..<width), rows.clamped(to: 0..<height))
    for row in rows {
      for column in columns { blend(color, opacity, at: (row * width + column) * 3) }
    }
  }

  /// Puts another picture over this one; what lies beyond the edges is left out.
  /// - Parameters:
  ///   - picture: uint8 [height, width, 3].
  ///   - left: the column of its first, and `top` the row.
  /// - Throws: `ModelError` for another type or shape.
  public mutating func put(_ picture: Tensor, left: Int, top: Int) throws {
    guard picture.dtype == .uint8, picture.shape.count == 3, picture.shape[2] == 3 else {
      throw ModelError(
        .mismatch, "a picture is uint8 [height, width, 3], not \(picture.dtype.rawValue) \(picture.shape)")
    }
    let columns = (left..<left + picture.shape[1]).clamped(to: 0..<width)
    let rows = (top..<top + picture.shape[0]).clamped(to: 0..<height)
    guard !columns.isEmpty else { return }
    try picture.withContiguousBytes { bytes in
      for row in rows {
        let source = ((row - top) * picture.shape[1] + columns.lowerBound - left) * 3
        let target = (row * width + columns.lowerBound) * 3
        pixels.replaceSubrange(target..<target + columns.count * 3, with: bytes[source..<source + columns.count * 3])
      }
    }
  }

  /// The sides of a rectangle, `thickness` pixels wide; half of it lies inside.
  public mutating func outline(columns: Range<Int>, rows: Range<Int>, thickness: Int, with color: Color) {
    let (out, thick) = (thickness / 2, max(1, thickness))
    let (left, right) = (columns.lowerBound - out, columns.upperBound + out)
    let (top, bottom) = (rows.lowerBound - out, rows.upperBound + out)
    fill(columns: left..<right, rows: top..<min(top + thick, bottom), with: color)
    fill(columns: left..<right, rows: max(bottom - thick, top)..<bottom, with: color)
    fill(columns: left..<min(left + thick, right), rows: top..<bottom, with: color)
    fill(columns: max(right - thick, left)..<right, rows: top..<bottom, with: color)
  }

  // MARK: Lines

  /// Draws lines with round ends and smooth edges; where several overlap, the colour is put on once.
  /// - Parameter thickness: in pixels.
  public mutating func stroke(_ segments: [Segment], thickness: Double, with color: Color) {
    let radius = max(0, thickness) / 2
    let reach = radius + 0.5
    let segments = segments.filter { segment in
      [segment.from.x, segment.from.y, segment.to.x, segment.to.y].allSatisfy { $0.isFinite }
    }
    guard let top = segments.map({ min($0.from.y, $0.to.y) }).min(),
      let bottom = segments.map({ max($0.from.y, $0.to.y) }).max()
    else { return }
    var covered = [Double](repeating: 0, count: width)
    for row in Self.pixels(from: top - reach, to: bottom + reach, within: height) {
      var touched: Range<Int>?
      for segment in segments {
        guard let columns = columns(of: segment, near: Double(row) + 0.5, reach) else { continue }
        touched =
          touched.map { min($0.lowerBound, columns.lowerBound)..<max($0.upperBound, columns.upperBound) } ?? columns
        for column in columns {
          let distance = Self.distance(from: Point(Double(column) + 0.5, Double(row) + 0.5), to: segment)
          covered[column] = max(covered[column], min(1, reach - distance))
        }
      }
      for column in touched ?? 0..<0 where covered[column] > 0 {
        blend(color, covered[column], at: (row * width + column) * 3)
        covered[column] = 0
      }
    }
  }

  /// The columns in which a line may cover pixels of a row.
  private func columns(of segment: Segment, near y: Double, _ reach: Double) -> Range<Int>? {
    let (a, b) = (segment.from, segment.to)
    var (first, last) = (0.0, 1.0)
    if a.y == b.y {
      guard abs(a.y - y) <= reach else { return nil }
    } else {
      let (one, other) = ((y - reach - a.y) / (b.y - a.y), (y + reach - a.y) / (b.y - a.y))
      (first, last) = (max(0, min(one, other)), min(1, max(one, other)))
      guard first <= last else { return nil }
    }
    let (one, other) = (a.x + first * (b.x - a.x), a.x + last * (b.x - a.x))
    let columns = Self.pixels(from: min(one, other) - reach, to: max(one, other) + reach, within: width)
    return columns.isEmpty ? nil : columns
  }

  /// The whole pixels that an interval touches.
  private static func pixels(from low: Double, to high: Double, within count: Int) -> Range<Int> {
    let first = Int(min(max(low.rounded(.down), 0), Double(count)))
    return first..<max(first, Int(min(max(high.rounded(.up), 0), Double(count))))
  }

  private static func distance(from point: Point, to segment: Segment) -> Double {
    let (dx, dy) = (segment.to.x - segment.from.x, segment.to.y - segment.from.y)
    let (px, py) = (point.x - segment.from.x, point.y - segment.from.y)
    let squared = dx * dx + dy * dy
    let along = squared > 0 ? min(max((px * dx + py * dy) / squared, 0), 1) : 0
    let (x, y) = (px - along * dx, py - along * dy)
    return (x * x + y * y).squareRoot()
  }

  private mutating func blend(_ color: Color, _ opacity: Double, at place: Int) {
    func mix(_ old: UInt8, _ new: UInt8) -> UInt8 {
      UInt8((Double(old) + (Double(new) - Double(old)) * min(max(opacity, 0), 1)).rounded())
    }
    pixels[place] = mix(pixels[place], color.red)
    pixels[place + 1] = mix(pixels[place + 1], color.green)
    pixels[place + 2] = mix(pixels[place + 2], color.blue)
  }
}

// MARK: - Text

extension Canvas {
  /// Writes a line of text in the stroke font.
  /// - Parameters:
  ///   - start: the left end of the line on which letters stand.
  ///   - capHeight: the height of an `H` in pixels.
  ///   - thickness: of the strokes in pixels.
  public mutating func write(
    _ text: String, at start: Point, capHeight: Double, thickness: Double, with color: Color
  ) {
    let scale = capHeight / StrokeFont.capHeight
    var x = start.x
    for character in text {
      let glyph = StrokeFont.glyph(of: character)
      let segments = glyph.segments.map { segment -> Segment in
        (
          Point(x + segment.from.x * scale, start.y - segment.from.y * scale),
          Point(x + segment.to.x * scale, start.y - segment.to.y * scale)
        )
      }
      stroke(segments, thickness: thickness, with: color)
      x += glyph.advance * scale
    }
  }

  /// How wide a line of text is, in pixels.
  public static func width(of text: String, capHeight: Double) -> Double {
    text.reduce(0) { $0 + StrokeFont.glyph(of: $1).advance } * capHeight / StrokeFont.capHeight
  }
}
