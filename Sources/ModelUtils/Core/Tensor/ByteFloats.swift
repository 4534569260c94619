extension DType {
  /// Whether it can be converted to the types that are computed with.
  package var isConvertible: Bool { kernelFormat != nil || byteValues != nil }

  /// The value of each of the 256 patterns of a floating type of a byte that the kernels only carry; nil for any other
  /// type.
  var byteValues: [Float]? {
    switch self {
    case .float8E4M3FNUZ: Self.e4m3fnuz
    case .float8E5M2FNUZ: Self.e5m2fnuz
    case .float8E8M0FNU: Self.e8m0fnu
    default: nil
    }
  }

  private static let e4m3fnuz = values(mantissaBits: 3, bias: 8)
  private static let e5m2fnuz = values(mantissaBits: 2, bias: 16)
  /// 2^(pattern - 127), and NaN for the last one.
  private static let e8m0fnu = (0...255).map {
    $0 == 255 ? Float.nan : Float(sign: .plus, exponent: $0 - 127, significand: 1)
  }

  /// One zero, and NaN where the negative one would be; no infinities.
  private static func values(mantissaBits: Int, bias: Int) -> [Float] {
    (0...255).map { pattern in
      if pattern == 0x80 { return .nan }
      let exponent = (pattern & 0x7f) >> mantissaBits
      let fraction = Float(pattern & (1 << mantissaBits - 1)) / Float(1 << mantissaBits)
      return Float(
        sign: pattern < 0x80 ? .plus : .minus, exponent: max(exponent, 1) - bias,
        significand: exponent == 0 ? fraction : 1 + fraction)
    }
  }
}
