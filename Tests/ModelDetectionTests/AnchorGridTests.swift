import ModelDetection
import TestSupport
import Testing

@Suite struct AnchorGridTests {
  @Test func pointsAreTheCentresOfCells() throws {
    let grid = try AnchorGrid(height: 16, width: 32, strides: [8, 16])
    #expect(grid.levels.map(\.count) == [8, 2] && grid.levels.map(\.first) == [0, 8] && grid.count == 10)
    for (anchor, x, y, stride) in [(0, 4.0, 4.0, 8.0), (5, 12, 12, 8), (9, 24, 8, 16)] {
      let point = grid.points[anchor]
      #expect(point.x == x && point.y == y && point.stride == stride)
    }
    // Level by level, one anchor after the other.
    let three = try AnchorGrid(height: 16, width: 32, strides: [8, 16], copies: 3)
    #expect(three.count == 30 && Array(three.points[8..<16]) == Array(grid.points[..<8]))
    #expect(Array(three.points[24..<26]) == Array(grid.points[8...]))
  }

  @Test func refusesWhatHasNoCells() {
    #expect(
      refusal { _ = try AnchorGrid(height: 96, width: 100, strides: [8, 32]) }?.contains("100×96") == true)
    #expect(refusal { _ = try AnchorGrid(height: 0, width: 32, strides: [32]) }?.contains("no whole cells") == true)
    #expect(refusal { _ = try AnchorGrid(height: 32, width: 32, strides: []) }?.contains("strides") == true)
    #expect(refusal { _ = try AnchorGrid(height: 32, width: 32, strides: [0]) }?.contains("strides") == true)
    #expect(
      refusal { _ = try AnchorGrid(height: .max, width: .max, strides: [1]) }?.contains("more than") == true)
    #expect(
      refusal { _ = try AnchorGrid(height: 8, width: 8, strides: [8], copies: .max) }?.contains("more than") == true)
  }
}
