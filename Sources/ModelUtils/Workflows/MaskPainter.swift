import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Makes masks of a head's prototypes: each is a weighted sum of them, enlarged to the model's input and cut at the box.
///
/// Ultralytics enlarges the sums and cuts then; YOLOv5 makes them shares, cuts and enlarges then, so that edges fade
/// across the box's sides.
struct MaskPainter {
  private let values: [Float]
  private let (count, height, width): (Int, Int, Int)
  private let frame: PictureFrame
  private let cropsFirst: Bool

  /// - Parameter prototypes: float32 [1, prototypes, height, width].
  init(_ prototypes: Tensor, _ frame: PictureFrame, cropsFirst: Bool) throws {
    guard prototypes.shape.count == 4, prototypes.shape[0] == 1, prototypes.count > 0 else {
      throw ModelError(.mismatch, "prototypes of masks have four axes, not \(prototypes.shape)")
    }
    values = try prototypes.elements(of: Float.self)
    (count, height, width) = (prototypes.shape[1], prototypes.shape[2], prototypes.shape[3])
    (self.frame, self.cropsFirst) = (frame, cropsFirst)
  }

  /// The mask in the picture; nil where Ultralytics would leave out the finding, because no pixel of the input belongs
  /// to it.
  func mask(_ coefficients: [Float], in box: Box) -> Mask? {
    guard coefficients.count == count else { return nil }
    let scale = (x: Float(width) / Float(frame.input[1]), y: Float(height) / Float(frame.input[0]))
    // Where the input's pixels may belong to it; faded edges reach one cell further.
    let reach = cropsFirst ? (x: 2 / scale.x, y: 2 / scale.y) : (x: 0, y: 0)
    let columns = Self.pixels(box.x1 - reach.x, box.x2 + reach.x, frame.input[1])
    let rows = Self.pixels(box.y1 - reach.y, box.y2 + reach.y, frame.input[0])
    let (left, right) = (Taps(columns, scale.x, width), Taps(rows, scale.y, height))
    guard !columns.isEmpty, !rows.isEmpty else { return cropsFirst ? runs(columns, rows, []) : nil }
    let cells = (columns: left.cells, rows: right.cells)
    let sums = sums(coefficients, cells.columns, cells.rows, box, scale)
    var inside = [Bool](repeating: false, count: columns.count * rows.count)
    let (limit, pitch): (Float, Int) = (cropsFirst ? 0.5 : 0, cells.columns.count)
    for (row, vertical) in right.taps.enumerated() {
      let (above, below) = (
        (vertical.low - cells.rows.lowerBound) * pitch, (vertical.high - cells.rows.lowerBound) * pitch
      )
      for (column, tap) in left.taps.enumerated() {
        let (a, b) = (tap.low - cells.columns.lowerBound, tap.high - cells.columns.lowerBound)
        let upper = sums[above + a] * (1 - tap.share) + sums[above + b] * tap.share
        let lower = sums[below + a] * (1 - tap.share) + sums[below + b] * tap.share
        inside[row * columns.count + column] = upper * (1 - vertical.share) + lower * vertical.share > limit
      }
    }
    if !cropsFirst, !inside.contains(true) { return nil }
    return runs(columns, rows, inside)
  }

  /// The weighted sums in some cells of the prototypes.
  private func sums(
    _ coefficients: [Float], _ columns: Range<Int>, _ rows: Range<Int>, _ box: Box, _ scale: (x: Float, y: Float)
  ) -> [Float] {
    var sums = [Float](repeating: 0, count: columns.count * rows.count)
    values.withUnsafeBufferPointer { values in
      for (index, coefficient) in coefficients.enumerated() {
        for row in rows {
          let source = (index * height + row) * width
          let target = (row - rows.lowerBound) * columns.count - columns.lowerBound
          for column in columns { sums[target + column] += coefficient * values[source + column] }
        }
      }
    }
    guard cropsFirst else { return sums }
    for row in rows {
      let isInside = Float(row) >= box.y1 * scale.y && Float(row) < box.y2 * scale.y
      for column in columns {
        let place = (row - rows.lowerBound) * columns.count + column - columns.lowerBound
        let isHere = isInside && Float(column) >= box.x1 * scale.x && Float(column) < box.x2 * scale.x
        sums[place] = isHere ? 1 / (1 + expf(-sums[place])) : 0
      }
    }
    return sums
  }

  /// The whole pixels p with low <= p < high.
  private static func pixels(_ low: Float, _ high: Float, _ count: Int) -> Range<Int> {
    func bound(_ value: Float) -> Int { Int(min(max(value.rounded(.up), 0), Float(count))) }
    let first = bound(low)
    return first..<max(first, bound(high))
  }

  /// For each of some pixels of a line the two cells between which it lies, as PyTorch's bilinear `interpolate` has it.
  private struct Taps {
    let taps: [(low: Int, high: Int, share: Float)]
    let cells: Range<Int>

    init(_ pixels: Range<Int>, _ scale: Float, _ count: Int) {
      taps = pixels.map { pixel in
        let place = max(0, (Float(pixel) + 0.5) * scale - 0.5)
        let low = min(Int(place), count - 1)
        return (low, min(low + 1, count - 1), place - Float(low))
      }
      cells = (taps.first?.low ?? 0)..<(taps.last.map { $0.high + 1 } ?? 0)
    }
  }

  /// The input's pixels as runs of the picture's: each of these takes what lies under its middle.
  private func runs(_ columns: Range<Int>, _ rows: Range<Int>, _ inside: [Bool]) -> Mask {
    let (height, width) = (frame.picture[0], frame.picture[1])
    func place(_ pixel: Int, _ gain: Double, _ offset: Int, _ limit: Int) -> Int {
      min(Int((Double(pixel) + 0.5) * gain) + offset, limit - 1)
    }
    let under = (0..<height).map { place($0, frame.gains.y, frame.offset.y, frame.input[0]) }
    var (counts, length, isInside) = ([Int](), 0, false)
    for column in 0..<width {
      let source = place(column, frame.gains.x, frame.offset.x, frame.input[1])
      guard columns.contains(source), !inside.isEmpty else {
        if isInside { (length, isInside) = (append(length, &counts), false) }
        length += height
        continue
      }
      for row in under {
        let here =
          rows.contains(row)
          && inside[(row - rows.lowerBound) * columns.count + source - columns.lowerBound]
        if here != isInside { (length, isInside) = (append(length, &counts), here) }
        length += 1
      }
    }
    counts.append(length)
    return Mask(size: frame.picture, counts: counts)
  }

  private func append(_ length: Int, _ counts: inout [Int]) -> Int {
    counts.append(length)
    return 0
  }
}
