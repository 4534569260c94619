import ModelCore

/// The type of a tensor's elements, by the number that ONNX gives it.
public struct ONNXElementType: Sendable, Hashable, CustomStringConvertible {
  /// `TensorProto.DataType`.
  public let number: Int

  /// The type of a number, whether it is known or not.
  public init(number: Int) { self.number = number }

  /// The type that stands for PyTorch's; nil where ONNX has none.
  public init?(_ dtype: DType) {
    guard let number = Self.dtypes.first(where: { $0.value == dtype })?.key else { return nil }
    self.number = number
  }

  private static let dtypes: [Int: DType] = [
    1: .float32, 2: .uint8, 3: .int8, 4: .uint16, 5: .int16, 6: .int32, 7: .int64, 9: .bool, 10: .float16,
    11: .float64, 12: .uint32, 13: .uint64, 14: .complex64, 15: .complex128, 16: .bfloat16, 17: .float8E4M3FN,
    18: .float8E4M3FNUZ, 19: .float8E5M2, 20: .float8E5M2FNUZ, 23: .float4E2M1, 24: .float8E8M0FNU,
  ]
  /// Types that this library carries without looking into them.
  private static let others = [0: "undefined", 8: "string", 21: "uint4", 22: "int4", 25: "uint2", 26: "int2"]

  /// Numbers with fractions of 32 bits.
  public static let float32 = ONNXElementType(number: 1)
  /// Whole numbers of 64 bits.
  public static let int64 = ONNXElementType(number: 7)
  /// Texts.
  public static let string = ONNXElementType(number: 8)

  /// The type of a tensor that holds such elements; nil for texts, whole numbers of less than a byte, and what is not
  /// known.
  public var dtype: DType? { Self.dtypes[number] }

  /// The bits of an element; nil for texts and what is not known.
  public var bitWidth: Int? {
    switch number {
    case 21, 22: 4
    case 25, 26: 2
    default: dtype?.bitWidth
    }
  }

  /// As PyTorch names it, where it does.
  public var description: String { dtype?.rawValue ?? Self.others[number] ?? "type \(number)" }
}
