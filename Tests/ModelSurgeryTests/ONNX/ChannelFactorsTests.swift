import ModelCore
import Testing

@testable import ModelSurgery

@Suite struct ChannelFactorsTests {
  /// 70 000 elements: several blocks, none of which ends with a run.
  private let count = 70_000

  @Test(arguments: [(7, 10_000), (70, 1000), (50, 7), (1, 70_000), (1000, 1)])
  func partsAreAsTheWhole(_ factors: Int, _ run: Int) throws {
    let scales = ChannelFactors(factors: (0..<factors).map { Double($0 % 13) - 6.5 }, run: run)
    let weight = try Tensor((0..<count).map { Float($0 % 251) / 8 }, [count])
    let format = try #require(weight.dtype.kernelFormat)
    let scaled = try scales.scaled(weight, format).floats()
    #expect(scaled.indices.allSatisfy { scaled[$0] == Float($0 % 251) / 8 * Float(scales.factors[$0 / run % factors]) })
    #expect(try scales.keepFinite(weight, format))
    let part = 12_345..<45_678
    let destination = UnsafeMutableRawPointer.allocate(byteCount: part.count * 4, alignment: 64)
    defer { destination.deallocate() }
    try weight.withContiguousBytes {
      scales.scale(part, of: $0.baseAddress!, to: destination, format, width: 4)
    }
    let found = UnsafeBufferPointer(start: destination.assumingMemoryBound(to: Float.self), count: part.count)
    #expect(found.elementsEqual(scaled[part]))
  }

  @Test(arguments: [0, 1, 16_383, 16_384, 69_999])
  func oneElementBeyondTheRangeIsFound(_ place: Int) throws {
    var values = [Float](repeating: 1, count: count)
    values[place] = 1e38
    let weight = try Tensor(values, [count])
    let format = try #require(weight.dtype.kernelFormat)
    #expect(try ChannelFactors(factors: [2], run: count).keepFinite(weight, format))
    #expect(try !ChannelFactors(factors: [4], run: count).keepFinite(weight, format))
  }
}
