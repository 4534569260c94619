import ModelCore
import ModelInspection
import Testing

@Suite struct WeightHistogramTests {
  @Test func knownValues() throws {
    let histogram = try WeightHistogram(
      [try Tensor([-1, 0, 0.25, 1]), try Tensor([.nan, -0.0, .infinity, 1])], bins: 4)
    #expect(histogram.elements == 8 && histogram.zeros == 2 && histogram.nonFinite == 2 && histogram.outside == 0)
    #expect(histogram.min == -1 && histogram.max == 1 && histogram.low == -1 && histogram.high == 1)
    #expect(histogram.counts == [1, 0, 1, 2])
    #expect(histogram.mean == 1.25 / 6)
    let squares = 3.0625 / 6 - (1.25 / 6) * (1.25 / 6)
    #expect(histogram.deviation == squares.squareRoot())
  }

  @Test func outliers() throws {
    var values = [Float](repeating: 1, count: 999)
    for index in stride(from: 0, to: 999, by: 2) { values[index] = -1 }
    let histogram = try WeightHistogram([try Tensor(values + [1000])], bins: 10)
    #expect(histogram.outside == 1 && histogram.counts.reduce(0, +) == 999 && histogram.max == 1000)
    #expect(try #require(histogram.high) < 200 && histogram.low == -1)
  }

  /// Every floating type, and more values than are read at once.
  @Test(arguments: [DType.float64, .float16, .bfloat16, .float32]) func types(dtype: DType) throws {
    let values = (0..<100_001).map { Float($0 % 5) - 2 }
    let histogram = try WeightHistogram([try Tensor(values).converted(to: dtype)], bins: 4)
    #expect(histogram.zeros == 20_000 && histogram.counts == [20_001, 20_000, 0, 40_000])
  }

  @Test func noRange() throws {
    let none = try WeightHistogram([])
    #expect(none.elements == 0 && none.mean == nil && none.counts.isEmpty)
    #expect(try WeightHistogram([try Tensor(.float32, [0]), try Tensor([1] as [Int64])]).elements == 0)
    let same = try WeightHistogram([try Tensor([2, 2])])
    #expect(same.mean == 2 && same.deviation == 0 && same.counts.isEmpty && same.low == nil)
    let broken = try WeightHistogram([try Tensor([.nan, .infinity])])
    #expect(broken.nonFinite == 2 && broken.mean == nil)
  }
}
