import ModelCore
import TestSupport
import Testing

/// Elements as numbers, and conversions between floating types.
@Suite struct TensorValuesTests {
  private func words<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
    values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
  }

  private func doubles<T: FixedWidthInteger>(_ dtype: DType, _ values: [T]) throws -> [Double] {
    try tensor(dtype, [values.count], words(values)).doubles()
  }

  @Test func integers() throws {
    #expect(try doubles(.int8, [Int8.min, -1, 0, 127]) == [-128, -1, 0, 127])
    #expect(try doubles(.uint8, [0, 1, 255] as [UInt8]) == [0, 1, 255])
    #expect(try doubles(.bool, [0, 1] as [UInt8]) == [0, 1])
    #expect(try doubles(.int16, [Int16.min, 3]) == [-32768, 3])
    #expect(try doubles(.uint16, [UInt16.max]) == [65535])
    #expect(try doubles(.int32, [Int32.min, 7]) == [-2_147_483_648, 7])
    #expect(try doubles(.uint32, [UInt32.max]) == [4_294_967_295])
    #expect(try doubles(.int64, [Int64.min, -1, 1 << 53]) == [-0x1p63, -1, 0x1p53])
    #expect(try doubles(.uint64, [UInt64.max]) == [0x1p64])
  }

  @Test func floats() throws {
    #expect(try doubles(.float64, [(0.1).bitPattern, (-0.0).bitPattern]) == [0.1, 0])
    #expect(try doubles(.float32, [Float(0.1).bitPattern]) == [Double(Float(0.1))])
    // 1.5, the smallest subnormal, the largest, infinity.
    #expect(try doubles(.float16, [0x3e00, 1, 0x7bff, 0x7c00] as [UInt16]) == [1.5, 0x1p-24, 65504, .infinity])
    #expect(try doubles(.bfloat16, [0x3fc0, 0xff80] as [UInt16]) == [1.5, -.infinity])
    #expect(try doubles(.float8E4M3FN, [0x3c, 0x01, 0x7e, 0x80] as [UInt8]) == [1.5, 0x1p-9, 448, 0])
    #expect(try doubles(.float8E5M2, [0x3e, 0x01, 0x7b, 0xfc] as [UInt8]) == [1.5, 0x1p-16, 57344, -.infinity])
    #expect(try doubles(.float8E4M3FN, [0x7f] as [UInt8])[0].isNaN)
    #expect(try doubles(.float16, [0x7e00] as [UInt16])[0].isNaN)
  }

  @Test(arguments: DType.allCases.filter { !$0.isConvertible })
  func carriedTypesAreNotComputedWith(dtype: DType) throws {
    let value = try tensor(dtype, [4], [UInt8](repeating: 1, count: 4 * dtype.bitWidth / 8))
    let isInteger = [.bool, .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64].contains(dtype)
    if isInteger {
      #expect(try value.doubles().count == 4)
    } else {
      #expect(refusal { _ = try value.doubles() } == "\(dtype.rawValue) values cannot be read as numbers")
    }
    #expect(refusal { _ = try value.floats() } == "\(dtype.rawValue) cannot be converted to float32")
    #expect(refusal { _ = try value.converted(to: .float64) } == "\(dtype.rawValue) cannot be converted to float64")
    let number = try Tensor([1])
    #expect(refusal { _ = try number.converted(to: dtype) } == "float32 cannot be converted to \(dtype.rawValue)")
    #expect(try value.converted(to: dtype).identity == value.identity)
  }

  /// Halfway cases go to even; what is too large becomes infinite, in E4M3FN, which has no infinity, the largest
  /// number.
  @Test func conversionsRoundOnce() throws {
    let source = try Tensor([1.0009765625, 1.00048828125, 1.00146484375, 65519, 65520, 1e-8, -0.0])
    #expect(
      try source.converted(to: .float16).bytes()
        == words([0x3c01, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 0x8000] as [UInt16]))
    #expect(
      try Tensor([1.00390625, 1.01171875, 3.4e38]).converted(to: .bfloat16).bytes()
        == words([0x3f80, 0x3f82, 0x7f80] as [UInt16]))
    #expect(
      try Tensor([1.0625, 1.1875, 464, 465, -1e9, .infinity, .nan]).converted(to: .float8E4M3FN).bytes()
        == [0x38, 0x3a, 0x7e, 0x7e, 0xfe, 0x7e, 0x7f])
    #expect(
      try Tensor([1.125, 1.375, 61439, 61440, .infinity]).converted(to: .float8E5M2).bytes()
        == [0x3c, 0x3e, 0x7b, 0x7c, 0x7c])
  }

  /// PyTorch converts float64 over float32: what lies just above the middle of two numbers falls on it, then to even.
  @Test func halfPrecisionFromDoubleGoesOverFloat() throws {
    for (dtype, value) in [(DType.float16, 1 + 0x1p-11 + 0x1p-40), (.bfloat16, 1 + 0x1p-8 + 0x1p-40)] {
      let source = try tensor(.float64, [1], words([value.bitPattern]))
      #expect(try source.converted(to: dtype).doubles() == [1], "\(dtype)")
    }
  }

  @Test func aConvertedTensorIsContiguousAndOfItsShape() throws {
    let turned = try Tensor(counting(6), dtype: .float32, shape: [3, 2], strides: [1, 3])
    let half = try turned.converted(to: .float16)
    #expect(half.dtype == .float16)
    #expect(half.shape == [3, 2])
    #expect(half.strides == [2, 1])
    #expect(try half.doubles() == [0, 3, 1, 4, 2, 5])
  }

  @Test func whatIsInAFileIsConvertedWhenItIsRead() throws {
    let file = FileBytes(name: "numbers", copying: try Tensor([1, 2]).bytes())
    let source = try Tensor(#require(Storage(file, offset: 0, byteCount: 8)), dtype: .float32, shape: [2])
    let half = try source.converted(to: .float16)
    #expect(half.storage.byteCount == 4)
    #expect(try !half.isInMemory && half.materialized().isInMemory)
    #expect(try half.doubles() == [1, 2])
  }

  @Test func unalignedElementsAreRead() throws {
    let file = FileBytes(name: "numbers", copying: [9] + (try Tensor([1.5, -2]).bytes()))
    let source = try Tensor(#require(Storage(file, offset: 1, byteCount: 8)), dtype: .float32, shape: [2])
    #expect(try source.doubles() == [1.5, -2])
    #expect(try source.floats() == [1.5, -2])
  }
}
