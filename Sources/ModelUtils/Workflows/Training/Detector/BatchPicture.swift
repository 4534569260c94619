import ModelCore
import ModelData
import ModelImages

/// A batch as one picture, as YOLOv6 shows it: at most sixteen inputs in a square of cells, column by column, framed in
/// white, with file names and boxes.
enum BatchPicture {
  private static let limit = 16
  /// Of the whole, in pixels.
  private static let longestSide = 1920.0

  /// - Throws: as `ImageFile.init(pixels:)`.
  static func picture(of batch: DetectionBatch, classNames: [String]) throws -> ImageFile {
    let (height, width) = (batch.shape[2], batch.shape[3])
    let count = min(batch.shape[0], limit)
    let cells = Int(Double(count).squareRoot().rounded(.up))
    let scale = min(1, longestSide / Double(cells) / Double(max(height, width)))
    let cell = [height, width].map { max(1, Int((scale * Double($0)).rounded(.up))) }
    var mosaic = try Canvas(ImageFile(pixels: white([cells * cell[0], cells * cell[1], 3])))
    let inputs = try pixels(of: batch, count: count)
    for (index, input) in inputs.enumerated() {
      let small = scale < 1 ? try resizePixels(input, to: cell, interpolation: .linear) : input
      let (left, top) = (index / cells * cell[1], index % cells * cell[0])
      try mosaic.put(small, left: left, top: top)
    }
    for index in 0..<count {
      let (left, top) = (index / cells * cell[1], index % cells * cell[0])
      mosaic.outline(
        columns: left..<left + cell[1], rows: top..<top + cell[0], thickness: 2,
        with: Canvas.Color(red: 255, green: 255, blue: 255))
      let name = batch.files[index].lastComponent?.string ?? ""
      mosaic.write(
        String(name.prefix(40)), at: Canvas.Point(Double(left + 5), Double(top + 15)), capHeight: 8, thickness: 1,
        with: Canvas.Color(red: 220, green: 220, blue: 220))
      for label in batch.labels[index] {
        let color = Canvas.Color(ofClass: label.classIndex)
        let box = Span(label, cell: cell, left: left, top: top)
        mosaic.outline(columns: box.columns, rows: box.rows, thickness: 1, with: color)
        mosaic.write(
          classNames[label.classIndex],
          at: Canvas.Point(Double(box.columns.lowerBound), Double(box.rows.lowerBound - 5)), capHeight: 8, thickness: 1,
          with: color)
      }
    }
    return try mosaic.picture()
  }

  private struct Span {
    let columns: Range<Int>, rows: Range<Int>

    init(_ label: BoxLabel, cell: [Int], left: Int, top: Int) {
      func span(_ middle: Float, _ size: Float, _ length: Int, _ start: Int) -> Range<Int> {
        let low = min(max(Int((middle - size / 2) * Float(length)), 0), length - 1)
        let high = min(max(Int((middle + size / 2) * Float(length)), low + 1), length)
        return start + low..<start + high
      }
      columns = span(label.x, label.width, cell[1], left)
      rows = span(label.y, label.height, cell[0], top)
    }
  }

  private static func white(_ shape: [Int]) throws -> Tensor {
    try Tensor(.uint8, shape) { bytes in for index in bytes.indices { bytes[index] = 255 } }
  }

  /// The inputs, uint8 [height, width, 3].
  private static func pixels(of batch: DetectionBatch, count: Int) throws -> [Tensor] {
    let (height, width) = (batch.shape[2], batch.shape[3])
    let plane = height * width
    let values = batch.dtype == .float32 ? batch.bytes.bindMemory(to: Float.self) : nil
    return try (0..<count).map { index in
      try Tensor(.uint8, [height, width, 3]) { bytes in
        for place in 0..<plane {
          for channel in 0..<3 {
            let source = (index * 3 + channel) * plane + place
            bytes[place * 3 + channel] =
              values.map { UInt8(max(0, min(255, $0[source] * 255 + 0.5))) } ?? batch.bytes[source]
          }
        }
      }
    }
  }
}
