import ModelCore

extension DType {
  /// The types that safetensors holds, in the order in which its writer puts them into a file: falling alignment.
  static let safeTensorsOrder: [(dtype: DType, code: String)] = [
    (.uint64, "U64"), (.int64, "I64"), (.float64, "F64"), (.complex64, "C64"), (.float32, "F32"), (.uint32, "U32"),
    (.int32, "I32"), (.bfloat16, "BF16"), (.float16, "F16"), (.uint16, "U16"), (.int16, "I16"),
    (.float8E5M2FNUZ, "F8_E5M2FNUZ"), (.float8E4M3FNUZ, "F8_E4M3FNUZ"), (.float8E8M0FNU, "F8_E8M0"),
    (.float8E4M3FN, "F8_E4M3"), (.float8E5M2, "F8_E5M2"), (.int8, "I8"), (.uint8, "U8"), (.float6E3M2, "F6_E3M2"),
    (.float6E2M3, "F6_E2M3"), (.float4E2M1, "F4"), (.bool, "BOOL"),
  ]

  private static let byCode = Dictionary(uniqueKeysWithValues: safeTensorsOrder.map { ($0.code, $0.dtype) })

  private static let ranks = Dictionary(
    uniqueKeysWithValues: safeTensorsOrder.enumerated().map { ($0.element.dtype, $0.offset) })

  /// The type that safetensors calls so.
  init?(safeTensorsCode code: String) {
    guard let dtype = Self.byCode[code] else { return nil }
    self = dtype
  }

  /// The place in `safeTensorsOrder`, or nil for a type that safetensors cannot hold.
  var safeTensorsRank: Int? { Self.ranks[self] }
}
