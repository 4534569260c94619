import ModelCore

/// The correspondence of PyTorch's storage classes and dtype objects with `DType`.
enum TorchTypes {
  static let untypedStorage = ClassName("torch.storage", "UntypedStorage")

  private static let storageTypes: [String: DType] = [
    "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16,
    "BFloat16Storage": .bfloat16, "LongStorage": .int64, "IntStorage": .int32,
    "ShortStorage": .int16, "CharStorage": .int8, "ByteStorage": .uint8, "BoolStorage": .bool,
    "ComplexDoubleStorage": .complex128, "ComplexFloatStorage": .complex64,
    // Quantized integers are carried; a tensor of them is not a plain tensor.
    "QInt8Storage": .int8, "QUInt8Storage": .uint8, "QInt32Storage": .int32,
    "QUInt4x2Storage": .uint8, "QUInt2x4Storage": .uint8,
    "UntypedStorage": .uint8,
  ]

  private static let storageClasses: [DType: ClassName] = Dictionary(
    storageTypes.filter { !$0.key.hasPrefix("Q") && $0.key != "UntypedStorage" }
      .map { ($0.value, ClassName("torch", $0.key)) }, uniquingKeysWith: { first, _ in first })

  /// The element type of a storage class, wherever it was saved from (`torch.FloatStorage`, `torch.cuda.FloatStorage`).
  static func dtype(ofStorage name: ClassName) -> DType? {
    guard ["torch", "torch.cuda", "torch.storage"].contains(name.module) else { return nil }
    return storageTypes[name.name]
  }

  /// The storage class of an element type; nil for those that PyTorch keeps in untyped storages.
  static func storageClass(of dtype: DType) -> ClassName? { storageClasses[dtype] }

  /// The type that a dtype object such as `torch.float8_e5m2` names.
  static func dtype(named name: ClassName) -> DType? {
    guard name.module == "torch" else { return nil }
    switch name.name {
    case "double": return .float64
    case "float": return .float32
    case "half": return .float16
    case "long": return .int64
    case "int": return .int32
    case "short": return .int16
    case "cfloat": return .complex64
    case "cdouble": return .complex128
    default: return DType(rawValue: name.name)
    }
  }
}
