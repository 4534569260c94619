import ModelCore
import TestSupport
import Testing

/// Row-major bytes of views that are not laid out so.
@Suite struct TensorReadingTests {
  /// Element by element, as the definition of strides says.
  private func reference(_ view: Tensor) throws -> [Double] {
    let elements = try Tensor(view.storage, dtype: .float32, shape: [view.storage.byteCount / 4]).doubles()
    return (0..<view.count).map { index in
      var (rest, position) = (index, view.byteOffset / 4)
      for (length, stride) in zip(view.shape, view.strides).reversed() {
        position += rest % length * stride
        rest /= length
      }
      return elements[position]
    }
  }

  @Test(
    arguments: [
      ([4, 6], [6, 1], 0), ([6, 4], [1, 6], 0), ([4, 2, 3], [1, 12, 4], 0), ([13], [3], 4), ([3, 5], [0, 1], 8),
      ([5, 2], [0, 0], 4), ([2, 1, 7], [7, 999, 1], 0), ([2, 3, 2, 3], [18, 1, 9, 3], 0), ([1], [1], 188), ([], [], 4),
      ([7, 3], [1, 2], 0), ([11, 2, 1, 2], [2, 1, 5, 0], 0), ([2, 2, 2, 2, 2], [1, 2, 4, 8, 16], 0),
    ] as [([Int], [Int], Int)])
  func views(shape: [Int], strides: [Int], offset: Int) throws {
    let view = try Tensor(counting(48), dtype: .float32, shape: shape, strides: strides, byteOffset: offset)
    let expected = try reference(view)
    #expect(try view.doubles() == expected)
    var copy = [Float](repeating: -1, count: view.count)
    try copy.withUnsafeMutableBytes { try view.copyBytes(to: $0) }
    #expect(copy.map(Double.init) == expected)
    let held = try ContiguousBytes(view)
    #expect(withExtendedLifetime(held) { Array(held.bytes) } == (try view.bytes()))
    let own = try view.materialized()
    #expect(own.isContiguous)
    #expect(own.strides == Tensor.contiguousStrides(shape))
    #expect(try own.doubles() == expected)
  }

  /// Every width of an element is gathered whole.
  @Test(arguments: DType.allCases.filter { $0.byteWidth != nil })
  func transposedInEveryType(dtype: DType) throws {
    let width = try #require(dtype.byteWidth)
    let bytes = (0..<(15 * width)).map { UInt8($0 % 251) }
    let source = try tensor(dtype, [3, 5], bytes)
    let turned = try Tensor(source.storage, dtype: dtype, shape: [5, 3], strides: [1, 5])
    let expected = (0..<15).flatMap { index -> ArraySlice<UInt8> in
      let start = (index % 3 * 5 + index / 3) * width
      return bytes[start..<start + width]
    }
    #expect(!turned.isContiguous)
    #expect(try turned.bytes() == expected)
  }

  @Test func whatIsContiguous() throws {
    let bytes = try counting(48)
    func isContiguous(_ shape: [Int], _ strides: [Int]) throws -> Bool {
      try Tensor(bytes, dtype: .float32, shape: shape, strides: strides).isContiguous
    }
    #expect(try isContiguous([2, 3], [3, 1]))
    #expect(try isContiguous([2, 1, 3], [3, 17, 1]))
    #expect(try isContiguous([0, 3], [0, 0]))
    #expect(try !isContiguous([2, 3], [4, 1]))
    #expect(try !isContiguous([2, 3], [1, 2]))
    #expect(try !isContiguous([3], [0]))
    #expect(try !isContiguous([3], [2]))
  }

  @Test func contiguousElementsAreNotCopiedToBeRead() throws {
    let bytes = try counting(6)
    let start = try bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    #expect(try Tensor(bytes, dtype: .float32, shape: [2, 2], byteOffset: 4).address() == start + 4)
    let held = try ContiguousBytes(try Tensor(bytes, dtype: .float32, shape: [6]))
    #expect(UInt(bitPattern: held.bytes.baseAddress) == start)
  }

  @Test func anErrorOfTheReaderComesThrough() throws {
    struct Stop: Error {}
    let view = try Tensor(counting(6), dtype: .float32, shape: [3, 2], strides: [1, 3])
    #expect(throws: Stop.self) { try view.withContiguousBytes { _ in throw Stop() } }
  }
}
