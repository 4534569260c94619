import ModelCore
import Testing

/// Shapes of functions whose values, not whose sizes, decide what they take.
@Suite struct ChoosingShapesTests {
  @Test func largest() throws {
    #expect(try Function.largest(axis: 1, count: 300).outputShape(of: [[2, 8400]]) == [2, 300])
    #expect(try Function.largest(axis: -1, count: 300).outputShape(of: [[1, 7]]) == [1, 7], "there are fewer")
    #expect(try Function.largest(axis: 0, count: 0).outputShape(of: [[5]]) == [0])
    #expect(throws: ModelError.self) { try Function.largest(axis: 2, count: 1).outputShape(of: [[1, 7]]) }
    #expect(throws: ModelError.self) { try Function.largest(axis: 0, count: -1).outputShape(of: [[1]]) }
    #expect(throws: ModelError.self) { try Function.largest(axis: 0, count: 1).outputShape(of: []) }
  }

  @Test func gather() throws {
    #expect(try Function.gather(axis: 1).outputShape(of: [[1, 8400, 80], [1, 300]]) == [1, 300, 80])
    #expect(try Function.gather(axis: 1).outputShape(of: [[1, 3, 4], [1, 11]]) == [1, 11, 4], "places repeat")
    #expect(throws: ModelError.self) { try Function.gather(axis: 1).outputShape(of: [[1, 3, 4]]) }
    #expect(throws: ModelError.self) { try Function.gather(axis: 1).outputShape(of: [[1, 3, 4], [1]]) }
    #expect(throws: ModelError.self) { try Function.gather(axis: 3).outputShape(of: [[1, 3, 4], [1, 2]]) }
  }

  @Test func deformableAttention() throws {
    let attention = Function.deformableAttention
    #expect(
      try attention.outputShape(of: [[1, 8400, 8, 32], [1, 300, 8, 12, 2], [1, 300, 8, 12]]) == [1, 300, 256])
    for inputs in [
      [[1, 84, 8, 4], [1, 30, 8, 12, 2]], [[1, 84, 8], [1, 30, 8, 12, 2], [1, 30, 8, 12]],
      [[1, 84, 8, 4], [1, 30, 8, 12, 2], [1, 30, 8, 11]], [[1, 84, 7, 4], [1, 30, 8, 12, 2], [1, 30, 8, 12]],
      [[2, 84, 8, 4], [1, 30, 8, 12, 2], [1, 30, 8, 12]],
    ] {
      #expect(throws: ModelError.self) { try attention.outputShape(of: inputs) }
    }
  }
}
