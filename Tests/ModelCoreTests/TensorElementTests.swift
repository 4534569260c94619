import ModelCore
import TestSupport
import Testing

/// Elements as Swift's types.
@Suite struct TensorElementTests {
  @Test func everyTypeGoesInAndOut() throws {
    func check<Element: TensorElement & Equatable>(_ elements: [Element], _ dtype: DType) throws {
      let tensor = try Tensor(elements, [elements.count, 1])
      #expect(tensor.dtype == dtype)
      #expect(try tensor.elements() == elements)
      #expect(try tensor.withElements(of: Element.self) { $0.count } == elements.count)
    }
    try check([1.5, -0.0] as [Double], .float64)
    try check([1.5, .infinity] as [Float], .float32)
    try check([1.5, 65504] as [Float16], .float16)
    try check([Int.min, 7], .int64)
    try check([Int64.max], .int64)
    try check([Int32.min, 1], .int32)
    try check([Int16.min, 1], .int16)
    try check([Int8.min, 1], .int8)
    try check([UInt64.max], .uint64)
    try check([UInt32.max], .uint32)
    try check([UInt16.max], .uint16)
    try check([UInt8.max, 0], .uint8)
    try check([true, false], .bool)
    try check([Float](), .float32)
  }

  @Test func literalsAreFloat32() throws {
    #expect(try Tensor([1, 2]).dtype == .float32)
    #expect(try Tensor([1.5]).dtype == .float32)
    #expect(refusal { _ = try Tensor([1, 2], [3]) } == "2 elements do not fill shape [3]")
    #expect(refusal { _ = try Tensor([Int32(1)], [2]) } == "1 elements do not fill shape [2]")
  }

  @Test func anotherTypeIsRefused() throws {
    let tensor = try Tensor([1, 2])
    #expect(
      refusal { _ = try tensor.elements(of: Double.self) }
        == "its elements are float32, not float64; convert it with converted(to:)")
  }

  @Test func unalignedAndStridedElements() throws {
    let bytes: [UInt8] = [9, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]
    let storage = try Storage(byteCount: 9) { $0.copyBytes(from: bytes) }
    var odd = try Tensor(storage, dtype: .float32, shape: [2], byteOffset: 1)
    #expect(try odd.elements() == [1, 2] as [Float])
    try odd.withMutableElements(of: Float.self) { $0[0] = 5 }
    #expect(try odd.floats() == [5, 2])
    #expect(try storage.withUnsafeBytes { Array($0) } == bytes)
    #expect(try Tensor([1, 2, 3, 4], [2, 2]).transposed().elements() == [1, 3, 2, 4] as [Float])
  }

  @Test func changesStayWithTheTensor() throws {
    let original = try Tensor([1, 2, 3])
    var copy = original
    try copy.withMutableElements(of: Float.self) { elements in
      for index in elements.indices { elements[index] *= 2 }
    }
    #expect(try original.floats() == [1, 2, 3])
    #expect(try copy.floats() == [2, 4, 6])
    var empty = try Tensor(.float32, [0])
    #expect(try empty.withMutableElements(of: Float.self) { $0.count } == 0)
  }

  @Test func anyByteButZeroIsTrue() throws {
    var odd = try tensor(.bool, [3], [0, 1, 7])
    #expect(try odd.elements(of: Bool.self) == [false, true, true])
    try odd.withMutableElements(of: Bool.self) { $0[0] = true }
    #expect(try odd.withContiguousBytes { Array($0) } == [1, 1, 1])
  }

  @Test func item() throws {
    #expect(try Tensor([2.5], []).item() == 2.5)
    #expect(try Tensor([Int32(-3)], [1, 1]).item() == -3)
    #expect(refusal { _ = try Tensor([1, 2]).item() } == "a tensor of shape [2] is no single number")
  }
}
