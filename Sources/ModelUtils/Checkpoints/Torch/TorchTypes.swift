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

  /// PyTorch's name of an element type; nil where it has none. One element of its `float4_e2m1fn_x2` is a byte: two of
  /// ours.
  static func name(of dtype: DType) -> ClassName? {
    switch dtype {
    case .float6E2M3, .float6E3M2: nil
    case .float4E2M1: ClassName("torch", "float4_e2m1fn_x2")
    default: ClassName("torch", dtype.rawValue)
    }
  }

  private static let named = Dictionary(
    uniqueKeysWithValues: DType.allCases.compactMap { dtype in name(of: dtype).map { ($0, dtype) } })

  /// How a pickle describes a tensor.
  struct Description {
    /// In elements, as PyTorch counts them.
    let offset: Int
    let shape: [Int]
    let strides: [Int]
    let storageClass: ClassName
    /// How many elements the storage has; bytes in an untyped one.
    let storageCount: Int
    /// The dtype object that goes with an untyped storage.
    let dtype: ClassName?

    /// What makes a tensor of all that.
    var function: ClassName {
      ClassName("torch._utils", dtype == nil ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3")
    }

    init(_ tensor: Tensor) {
      let typed = TorchTypes.storageClass(of: tensor.dtype)
      let width = tensor.dtype.byteWidth ?? 1
      var shape = tensor.shape
      if tensor.dtype == .float4E2M1, let length = shape.last { shape[shape.count - 1] = length / 2 }
      self.shape = shape
      // What is smaller than a byte is contiguous.
      strides = tensor.dtype.byteWidth == nil ? Tensor.contiguousStrides(shape) : tensor.strides
      offset = tensor.byteOffset / width
      storageClass = typed ?? TorchTypes.untypedStorage
      storageCount = typed == nil ? tensor.storage.byteCount : tensor.storage.byteCount / width
      dtype = typed == nil ? TorchTypes.name(of: tensor.dtype) : nil
    }
  }

  /// - Throws: `ModelError` for a tensor of a type that PyTorch does not have, or of an odd number of 4-bit elements
  ///   along its last axis.
  static func check(_ tensor: Tensor) throws {
    let advice = "write a .safetensors file"
    guard name(of: tensor.dtype) != nil else {
      throw ModelError(.unsupported, "PyTorch has no \(tensor.dtype.rawValue)", advice: advice)
    }
    guard tensor.dtype != .float4E2M1 || (tensor.shape.last ?? 1).isMultiple(of: 2) else {
      throw ModelError(
        .unsupported,
        "PyTorch keeps \(tensor.dtype.rawValue) in pairs, and the last axis of \(tensor.shape) is odd", advice: advice)
    }
  }

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
    default: return named[name]
    }
  }
}
