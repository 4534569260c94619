import ModelCore
import Testing

@Suite struct DTypeTests {
  /// Name, bits, floating, bytes of a word, computed with.
  static let table: [(String, Int, Bool, Int, Bool)] = [
    ("float64", 64, true, 8, true), ("float32", 32, true, 4, true), ("float16", 16, true, 2, true),
    ("bfloat16", 16, true, 2, true), ("float8_e4m3fn", 8, true, 1, true), ("float8_e5m2", 8, true, 1, true),
    ("float8_e4m3fnuz", 8, true, 1, false), ("float8_e5m2fnuz", 8, true, 1, false),
    ("float8_e8m0fnu", 8, true, 1, false), ("float6_e2m3", 6, true, 1, false), ("float6_e3m2", 6, true, 1, false),
    ("float4_e2m1fn", 4, true, 1, false), ("int64", 64, false, 8, false), ("int32", 32, false, 4, false),
    ("int16", 16, false, 2, false), ("int8", 8, false, 1, false), ("uint64", 64, false, 8, false),
    ("uint32", 32, false, 4, false), ("uint16", 16, false, 2, false), ("uint8", 8, false, 1, false),
    ("bool", 8, false, 1, false), ("complex128", 128, false, 8, false), ("complex64", 64, false, 4, false),
    ("complex32", 32, false, 2, false),
  ]

  @Test func everyTypeIsAsPyTorchHasIt() throws {
    #expect(Set(Self.table.map(\.0)) == Set(DType.allCases.map(\.rawValue)))
    for (name, bits, isFloatingPoint, word, isComputed) in Self.table {
      let dtype = try #require(DType(rawValue: name))
      #expect(dtype.bitWidth == bits, "\(name)")
      #expect(dtype.byteWidth == (bits % 8 == 0 ? bits / 8 : nil), "\(name)")
      #expect(dtype.isFloatingPoint == isFloatingPoint, "\(name)")
      #expect(dtype.byteOrderWidth == word, "\(name)")
      #expect(DType.computed.contains(dtype) == isComputed, "\(name)")
      #expect((dtype.kernelFormat != nil) == isComputed, "\(name)")
    }
  }

  @Test func sizes() {
    #expect(DType.float32.byteCount(of: 0) == 0)
    #expect(DType.complex128.byteCount(of: 3) == 48)
    #expect(DType.float4E2M1.byteCount(of: 2) == 1)
    #expect(DType.float4E2M1.byteCount(of: 3) == nil)
    #expect(DType.float6E2M3.byteCount(of: 4) == 3)
    #expect(DType.float6E2M3.byteCount(of: 5) == nil)
    #expect(DType.float64.byteCount(of: Int.max) == nil)
    #expect(DType.uint8.byteCount(of: Int.max / 8) == Int.max / 8)
    #expect(DType.uint8.byteCount(of: Int.max / 8 + 1) == nil)
  }
}
