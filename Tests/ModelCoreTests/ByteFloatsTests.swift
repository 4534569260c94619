import ModelCore
import TestSupport
import Testing

/// Floats of a byte that are converted and not computed with; the numbers are PyTorch's.
@Suite struct ByteFloatsTests {
  private func values(_ dtype: DType, _ patterns: [UInt8]) throws -> [Float] {
    let tensor = try Tensor(dtype, [patterns.count]) { $0.copyBytes(from: patterns) }
    return try tensor.converted(to: .float32).withElements(of: Float.self) { Array($0) }
  }

  @Test func e4m3fnuz() throws {
    #expect(
      try values(.float8E4M3FNUZ, [0, 1, 7, 8, 0x40, 0x7f, 0x81, 0xff])
        == [0, 0x1p-10, 7 * 0x1p-10, 0x1p-7, 1, 240, -0x1p-10, -240])
    #expect(try values(.float8E4M3FNUZ, [0x80])[0].isNaN)
  }

  @Test func e5m2fnuz() throws {
    #expect(
      try values(.float8E5M2FNUZ, [0, 1, 4, 0x40, 0x7f, 0x81, 0xff])
        == [0, 0x1p-17, 0x1p-15, 1, 57344, -0x1p-17, -57344])
    #expect(try values(.float8E5M2FNUZ, [0x80])[0].isNaN)
  }

  @Test func e8m0fnu() throws {
    #expect(try values(.float8E8M0FNU, [0, 1, 126, 127, 128, 254]) == [0x1p-127, 0x1p-126, 0.5, 1, 2, 0x1p127])
    #expect(try values(.float8E8M0FNU, [255])[0].isNaN)
  }

  /// More than a block, an odd number, and a type of another width.
  @Test func manyBlocks() throws {
    let count = 2 * (1 << 14) + 3
    let tensor = try Tensor(.float8E8M0FNU, [count]) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(127 + index % 3) }
    }
    let wide = try tensor.converted(to: .float64).withElements(of: Double.self) { Array($0) }
    #expect(wide == (0..<count).map { [1, 2, 4][$0 % 3] })
    #expect(try tensor.converted(to: .float16).byteCount == 2 * count)
    #expect(try Tensor(.float8E8M0FNU, [0]).converted(to: .float32).count == 0)
  }

  @Test func whatCannotBeConverted() throws {
    for dtype in [DType.float4E2M1, .float6E2M3, .complex64, .int8] {
      #expect(!dtype.isConvertible)
      #expect(throws: ModelError.self) { try Tensor(dtype, [4]).converted(to: .float32) }
    }
    #expect(throws: ModelError.self) { try Tensor(.float32, [4]).converted(to: .float8E8M0FNU) }
  }
}
