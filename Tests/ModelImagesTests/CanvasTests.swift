import ModelCore
import ModelImages
import TestSupport
import Testing

@Suite struct CanvasTests {
  private let white = Canvas.Color(red: 255, green: 255, blue: 255)

  private func canvas(_ height: Int, _ width: Int) throws -> Canvas {
    try Canvas(ImageFile(pixels: Tensor(.uint8, [height, width, 3])))
  }

  /// The red of each row.
  private func rows(_ canvas: Canvas) throws -> [[UInt8]] {
    let pixels = try canvas.picture().bytes().elements(of: UInt8.self)
    return (0..<canvas.height).map { row in (0..<canvas.width).map { pixels[(row * canvas.width + $0) * 3] } }
  }

  @Test func areas() throws {
    var canvas = try canvas(3, 4)
    canvas.fill(columns: -5..<2, rows: 1..<9, with: white, opacity: 0.5)
    #expect(try rows(canvas) == [[0, 0, 0, 0], [128, 128, 0, 0], [128, 128, 0, 0]])
  }

  @Test func outlines() throws {
    var canvas = try canvas(5, 5)
    canvas.outline(columns: 1..<4, rows: 1..<4, thickness: 1, with: white)
    #expect(
      try rows(canvas).map { $0.map { $0 / 255 } } == [
        [0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0],
      ])
  }

  @Test func linesHaveSmoothEdges() throws {
    var canvas = try canvas(3, 5)
    // Along the middle of the second row, half a pixel wider than it.
    canvas.stroke([(Canvas.Point(1.5, 1.5), Canvas.Point(3.5, 1.5))], thickness: 1.5, with: white)
    #expect(
      try rows(canvas)
        == [[3, 64, 64, 64, 3], [64, 255, 255, 255, 64], [3, 64, 64, 64, 3]].map { $0.map { $0 == 3 ? 0 : $0 } })
    canvas.stroke([(Canvas.Point(.nan, 0), Canvas.Point(1, .infinity))], thickness: 1, with: white)
    canvas.stroke([(Canvas.Point(-1e300, 0), Canvas.Point(-1e299, 0))], thickness: 1, with: white)
  }

  @Test func text() throws {
    #expect(abs(Canvas.width(of: "HH", capHeight: 20) - 2 * 2 * (6.5 + 2.6)) < 1e-9)
    var canvas = try canvas(12, 30)
    canvas.write("I\u{1F600}", at: Canvas.Point(2, 11), capHeight: 10, thickness: 1, with: white)
    let drawn = try rows(canvas)
    #expect(drawn[5][3] > 100 && drawn[5][1] == 0)
  }
}
