import ModelCore
import TestSupport
import Testing

/// What a view may not claim of its storage.
@Suite struct TensorTests {
  @Test(arguments: [[-1], [2, -3], [0, -1], [-1, 0], [Int.max, 2], [1 << 32, 1 << 31], [1 << 62, 4]])
  func impossibleShapes(shape: [Int]) throws {
    #expect(Tensor.elementCount(shape) == nil)
    let bytes = try Storage(byteCount: 64)
    #expect(refusal { _ = try Tensor(bytes, dtype: .uint8, shape: shape) }?.contains("negative, overflows") == true)
    #expect(refusal { _ = try Tensor(.uint8, shape) }?.contains("negative, overflows") == true)
    #expect(refusal { _ = try Tensor(computed: .uint8, shape) { _ in } }?.contains("negative, overflows") == true)
  }

  @Test func sizeInBytesOverflows() throws {
    #expect(Tensor.elementCount([1 << 60]) == 1 << 60)
    #expect(refusal { _ = try Tensor(.float64, [1 << 60]) }?.contains("overflows") == true)
  }

  @Test func aLengthOfZeroMakesTheCountZero() throws {
    #expect(Tensor.elementCount([Int.max, 2, 0]) == 0)
    let empty = try Tensor(Storage(byteCount: 0), dtype: .float64, shape: [Int.max, 2, 0])
    #expect(empty.count == 0)
    #expect(empty.byteCount == 0)
    #expect(try empty.bytes() == [])
    #expect(empty.isContiguous)
  }

  @Test func scalar() throws {
    let scalar = try Tensor(storage([7.5]), dtype: .float32, shape: [])
    #expect(scalar.count == 1)
    #expect(scalar.strides == [])
    #expect(try scalar.doubles() == [7.5])
  }

  @Test func contiguousStridesAreThePyTorchOnes() {
    #expect(Tensor.contiguousStrides([]) == [])
    #expect(Tensor.contiguousStrides([7]) == [1])
    #expect(Tensor.contiguousStrides([2, 3, 5]) == [15, 5, 1])
    // torch.empty(2, 0, 3).stride()
    #expect(Tensor.contiguousStrides([2, 0, 3]) == [3, 3, 1])
  }

  @Test func asManyStridesAsAxes() throws {
    let bytes = try counting(6)
    #expect(
      refusal { _ = try Tensor(bytes, dtype: .float32, shape: [2, 3], strides: [1]) }
        == "has 2 axes but 1 strides")
  }

  @Test func axesAreLimited() throws {
    let bytes = try counting(1)
    #expect(try Tensor(bytes, dtype: .float32, shape: [Int](repeating: 1, count: 64)).count == 1)
    #expect(
      refusal {
        _ = try Tensor(
          bytes, dtype: .float32, shape: [Int](repeating: 1, count: 65), strides: [Int](repeating: 0, count: 65))
      } == "has 65 axes that are not contiguous; at most 64 are supported")
    #expect(try Tensor(bytes, dtype: .float32, shape: [Int](repeating: 1, count: 65)).count == 1)
  }

  @Test(arguments: [-1, -4, Int.min, 25, 28, Int.max])
  func offsetOutsideTheStorage(offset: Int) throws {
    let bytes = try counting(6)
    for shape in [[1], [0]] {
      #expect(
        refusal { _ = try Tensor(bytes, dtype: .float32, shape: shape, byteOffset: offset) }
          == "starts at byte \(offset) of a storage of 24 bytes")
    }
  }

  @Test func nothingFitsBehindTheEnd() throws {
    let bytes = try counting(6)
    #expect(try Tensor(bytes, dtype: .float32, shape: [0], byteOffset: 24).count == 0)
    #expect(refusal { _ = try Tensor(bytes, dtype: .uint8, shape: [1], byteOffset: 24) }?.contains("beyond") == true)
    #expect(try Tensor(bytes, dtype: .float32, shape: [1], byteOffset: 20).doubles() == [5])
    #expect(refusal { _ = try Tensor(bytes, dtype: .float32, shape: [1], byteOffset: 21) }?.contains("beyond") == true)
    #expect(refusal { _ = try Tensor(bytes, dtype: .float32, shape: [7]) }?.contains("beyond its storage") == true)
  }

  @Test func stridesReachNoFurtherThanTheStorage() throws {
    let bytes = try counting(6)
    #expect(try Tensor(bytes, dtype: .float32, shape: [2, 2], strides: [4, 1]).doubles() == [0, 1, 4, 5])
    #expect(
      refusal { _ = try Tensor(bytes, dtype: .float32, shape: [2, 2], strides: [5, 1]) }?
        .contains("reaches beyond its storage") == true)
  }

  @Test(arguments: [-1, Int.min, Int.max, Int.max / 2 + 1])
  func stridesThatAreNegativeOrOverflow(stride: Int) throws {
    let bytes = try counting(6)
    for strides in [[stride, 1], [1, stride], [stride, stride]] {
      #expect(
        refusal { _ = try Tensor(bytes, dtype: .float32, shape: [3, 3], strides: strides) }?
          .contains("negative or overflow") == true, "\(strides)")
    }
    // In elements it fits, in bytes it does not.
    #expect(
      refusal { _ = try Tensor(bytes, dtype: .float64, shape: [2], strides: [1 << 60]) }?.contains("beyond") == true)
  }

  @Test func strideOfAnAxisOfOneDoesNotMatter() throws {
    let view = try Tensor(counting(3), dtype: .float32, shape: [1, 3], strides: [Int.max, 1])
    #expect(view.isContiguous)
    #expect(try view.doubles() == [0, 1, 2])
  }

  @Test func anExpandedTensorUnfoldsToALimit() throws {
    let bytes = try counting(1)
    let limit = Tensor.expansionLimit / 4
    #expect(try Tensor(bytes, dtype: .float32, shape: [limit], strides: [0]).count == limit)
    #expect(
      refusal { _ = try Tensor(bytes, dtype: .float32, shape: [limit + 1], strides: [0]) }
        == "unfolds a storage of 4 bytes to 268435460 bytes; at most 268435456 are supported")
    #expect(
      refusal { _ = try Tensor(bytes, dtype: .float32, shape: [1 << 20, 1 << 20], strides: [0, 0]) }?
        .contains("unfolds") == true)
    // A storage that is larger than the limit may be seen whole.
    let large = try Storage(computed: Tensor.expansionLimit + 4) { _ in }
    #expect(try Tensor(large, dtype: .float32, shape: [limit + 1]).count == limit + 1)
  }

  @Test func elementsSmallerThanAByteFillWholeBytesAndStandInOrder() throws {
    let bytes = try Storage(byteCount: 3)
    #expect(try Tensor(bytes, dtype: .float4E2M1, shape: [2, 3]).byteCount == 3)
    #expect(try Tensor(bytes, dtype: .float6E2M3, shape: [4]).byteCount == 3)
    #expect(refusal { _ = try Tensor(bytes, dtype: .float4E2M1, shape: [3]) }?.contains("whole bytes") == true)
    #expect(refusal { _ = try Tensor(bytes, dtype: .float6E3M2, shape: [3]) }?.contains("whole bytes") == true)
    #expect(
      refusal { _ = try Tensor(bytes, dtype: .float4E2M1, shape: [2, 3], strides: [1, 2]) }?.contains("beyond") == true)
    #expect(refusal { _ = try Tensor(bytes, dtype: .float4E2M1, shape: [8]) }?.contains("beyond") == true)
  }

  @Test func elementsMustFillTheShape() throws {
    #expect(try Tensor([1, 2, 3]).shape == [3])
    #expect(try Tensor([], [0, 2]).count == 0)
    #expect(refusal { _ = try Tensor([1, 2, 3], [2]) } == "3 elements do not fill shape [2]")
    #expect(refusal { _ = try Tensor([1], [-1]) } == "1 elements do not fill shape [-1]")
  }

  @Test func identityIsTheSameViewOfTheSameMemory() throws {
    let (one, other) = (try counting(6), try counting(6))
    let view = try Tensor(one, dtype: .float32, shape: [2, 3])
    #expect(view.identity == (try Tensor(one, dtype: .float32, shape: [2, 3])).identity)
    #expect(view.identity != (try Tensor(other, dtype: .float32, shape: [2, 3])).identity)
    #expect(view.identity != (try Tensor(one, dtype: .float32, shape: [3, 2])).identity)
    #expect(view.identity != (try Tensor(one, dtype: .int32, shape: [2, 3])).identity)
    #expect(view.identity != (try Tensor(one, dtype: .float32, shape: [2, 3], strides: [1, 2])).identity)
    let half = try Tensor(one, dtype: .float32, shape: [2])
    #expect(half.identity != (try Tensor(one, dtype: .float32, shape: [2], byteOffset: 4)).identity)
  }
}
