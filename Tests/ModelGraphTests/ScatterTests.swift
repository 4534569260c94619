import ModelCore
import Testing

@testable import ModelGraph

@Suite struct ScatterTests {
  private func scattered(_ reduction: ScatterReduction, _ places: [Double]) throws -> [Double] {
    let rows = ReferenceArray(TensorType(.float32, [3, 2]), [1, 2, 3, 4, 5, 6])
    let updates = ReferenceArray(TensorType(.float32, [places.count, 2]), places.indices.flatMap { [10, Double($0)] })
    let operands = [rows, ReferenceArray(TensorType(.int64, [places.count]), places), updates]
    let types = try Inference.types(of: .scatter(reduction), operands.map(\.type), [])
    #expect(types == [rows.type])
    return try Reference.compute(.scatter(reduction), operands, types)[0].values
  }

  @Test func rowsTakeThePlaceOfOthers() throws {
    #expect(try scattered(.none, [2, 0]) == [10, 1, 3, 4, 10, 0])
    #expect(try scattered(.none, [-1, -1]) == [1, 2, 3, 4, 10, 1])
    #expect(try scattered(.add, [1, 1]) == [1, 2, 23, 5, 5, 6])
    #expect(try scattered(.mul, [0, 1]) == [10, 0, 30, 4, 5, 6])
    #expect(try scattered(.max, [0]) == [10, 2, 3, 4, 5, 6])
    #expect(try scattered(.min, [2]) == [1, 2, 3, 4, 5, 0])
  }

  @Test func placesBeyondTheRowsAreRefused() {
    #expect(throws: ModelError.self) { try scattered(.none, [3]) }
    #expect(throws: ModelError.self) { try scattered(.add, [-4]) }
  }

  @Test func operandsMustGoTogether() {
    let rows = TensorType(.float32, [3, 2])
    for types in [
      [rows], [rows, TensorType(.int64, [1]), TensorType(.float32, [2, 2])],
      [rows, TensorType(.float32, [1]), TensorType(.float32, [1, 2])],
      [rows, TensorType(.int64, [1]), TensorType(.float64, [1, 2])],
      [TensorType(.float32, [3]), TensorType(.int64, [1]), TensorType(.float32, [1])],
    ] {
      #expect(throws: ModelError.self) { try Inference.types(of: .scatter(.none), types, []) }
    }
  }
}
