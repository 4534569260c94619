import CKernels

/// The type of a tensor's elements, named as PyTorch names it.
public enum DType: String, Sendable, Hashable, Codable, CaseIterable {
  /// IEEE 754's binary formats of 64, 32 and 16 bits, and the first 16 bits of binary32.
  case float64, float32, float16, bfloat16
  /// 4 bits of exponent, 3 of mantissa; no infinities.
  case float8E4M3FN = "float8_e4m3fn"
  /// 5 bits of exponent, 2 of mantissa, with infinities.
  case float8E5M2 = "float8_e5m2"
  /// As `float8E4M3FN` with one zero, one NaN and another bias; converted, not computed with.
  case float8E4M3FNUZ = "float8_e4m3fnuz"
  /// As `float8E5M2` with one zero, one NaN and no infinities; converted, not computed with.
  case float8E5M2FNUZ = "float8_e5m2fnuz"
  /// A power of two, unsigned; converted, not computed with.
  case float8E8M0FNU = "float8_e8m0fnu"
  /// Six bits: 2 of exponent, 3 of mantissa; carried, not computed with.
  case float6E2M3 = "float6_e2m3"
  /// Six bits: 3 of exponent, 2 of mantissa; carried, not computed with.
  case float6E3M2 = "float6_e3m2"
  /// Two elements a byte. In PyTorch one element of `float4_e2m1fn_x2` is a whole byte, so its last axis is half as
  /// long.
  case float4E2M1 = "float4_e2m1fn"
  /// Whole numbers with a sign.
  case int64, int32, int16, int8
  /// Whole numbers without a sign.
  case uint64, uint32, uint16, uint8
  /// A byte: 0 is false, anything else is true.
  case bool
  /// A real and an imaginary part of half the bits each; carried, not computed with.
  case complex128, complex64, complex32

  /// Bits per element: a multiple of 8 but for the 4- and 6-bit floats.
  public var bitWidth: Int {
    switch self {
    case .complex128: 128
    case .float64, .int64, .uint64, .complex64: 64
    case .float32, .int32, .uint32, .complex32: 32
    case .float16, .bfloat16, .int16, .uint16: 16
    case .float6E2M3, .float6E3M2: 6
    case .float4E2M1: 4
    default: 8
    }
  }

  /// Bytes per element, or nil for an element smaller than a byte.
  public var byteWidth: Int? { bitWidth % 8 == 0 ? bitWidth / 8 : nil }

  /// Whether PyTorch's `is_floating_point` holds: such entries are averaged, converted and counted as weights.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16, .float8E4M3FN, .float8E5M2, .float8E4M3FNUZ,
      .float8E5M2FNUZ, .float8E8M0FNU, .float6E2M3, .float6E3M2, .float4E2M1:
      true
    default: false
    }
  }

  /// The number of bytes of each word that byte order reverses: the real and the imaginary part are words of their own.
  public var byteOrderWidth: Int {
    switch self {
    case .complex128: 8
    case .complex64: 4
    case .complex32: 2
    default: max(1, bitWidth / 8)
    }
  }

  /// The format in which the kernels compute on this type, or nil where they only carry it.
  package var kernelFormat: mk_float? {
    switch self {
    case .float64: MK_FLOAT64
    case .float32: MK_FLOAT32
    case .float16: MK_FLOAT16
    case .bfloat16: MK_BFLOAT16
    case .float8E4M3FN: MK_FLOAT8_E4M3FN
    case .float8E5M2: MK_FLOAT8_E5M2
    default: nil
    }
  }

  /// The bytes that `count` elements take, or nil where that overflows or is no whole number of bytes.
  public func byteCount(of count: Int) -> Int? {
    let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
    return overflow || bits % 8 != 0 ? nil : bits / 8
  }
}

extension DType {
  /// The types that can be computed with and converted to; the others are carried.
  public static let computed = allCases.filter { $0.kernelFormat != nil }
}
