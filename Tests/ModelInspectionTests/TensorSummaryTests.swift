import ModelCore
import ModelInspection
import Testing

@Suite struct TensorSummaryTests {
  private func tensor(_ values: [Float]) throws -> Tensor {
    try Tensor(.float32, [values.count]) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }

  /// NumPy: mean 1.6, std(ddof=1) 2.302172886644…, histogram(bins=4) of the same values.
  @Test func values() throws {
    let summary = try TensorSummary(tensor([-1, 0, 1, 3, 5]), bins: 4)
    #expect(summary.elements == 5 && summary.zeros == 1 && summary.nonFinite == 0)
    #expect(summary.min == -1 && summary.max == 5 && summary.mean == 1.6)
    // (2.6² + 1.6² + 0.6² + 1.4² + 3.4²) / 4 = 5.8, rounded once more by the root.
    #expect(abs((summary.deviation ?? 0) - 5.8.squareRoot()) < 1e-15)
    #expect(summary.histogram == [2, 1, 1, 1])
  }

  @Test func whatIsNotFinite() throws {
    let summary = try TensorSummary(tensor([.nan, .infinity, 2, -0]), bins: 2)
    #expect(summary.nonFinite == 2 && summary.zeros == 1 && summary.max == 2 && summary.histogram == [1, 1])
    let none = try TensorSummary(tensor([.nan]))
    #expect(none.min == nil && none.mean == nil && none.histogram.isEmpty)
  }

  @Test func withoutARange() throws {
    #expect(try TensorSummary(tensor([3, 3])).histogram.isEmpty)
    #expect(try TensorSummary(tensor([3])).deviation == nil)
    #expect(try TensorSummary(tensor([])).elements == 0)
  }

  @Test func otherTypes() throws {
    let bytes = try Tensor(.int8, [3]) { $0.copyBytes(from: [0xff, 0, 5]) }
    #expect(try TensorSummary(bytes).min == -1)
    #expect(throws: ModelError.self) { try TensorSummary(Tensor(.complex64, [1])) }
  }
}
