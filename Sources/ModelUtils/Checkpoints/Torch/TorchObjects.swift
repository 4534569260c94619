import ModelCore

/// PyTorch's own objects among the objects of a pickle: tensors, parameters, storages.
extension PickleGraph {
  /// A tensor as the pickle describes it.
  struct TensorObject {
    var tensor: Tensor
    var requiresGrad: Bool
    var isParameter: Bool
  }

  /// Whether an object is a tensor or parameter, well formed or not.
  func isTensor(_ reference: Reference) -> Bool {
    switch nodes[reference] {
    case .tensor: return true
    case .call(let index):
      guard let function = className(calls[index].callable) else { return false }
      return Self.rebuilders.contains(function)
    default: return false
    }
  }

  private static let rebuilders: Set<ClassName> = [
    ClassName("torch._utils", "_rebuild_tensor"), ClassName("torch._utils", "_rebuild_tensor_v2"),
    ClassName("torch._utils", "_rebuild_tensor_v3"), ClassName("torch._utils", "_rebuild_parameter"),
    ClassName("torch._utils", "_rebuild_parameter_with_state"),
    ClassName("torch._tensor", "_rebuild_from_type_v2"), ClassName("torch._tensor", "_rebuild_from_type"),
    ClassName("torch._utils", "_rebuild_sparse_tensor"), ClassName("torch._utils", "_rebuild_qtensor"),
    ClassName("torch._utils", "_rebuild_meta_tensor_no_storage"),
    ClassName("torch._utils", "_rebuild_nested_tensor"),
    ClassName("torch._utils", "_rebuild_sparse_csr_tensor"),
    ClassName("torch._utils", "_rebuild_device_tensor_from_numpy"),
    ClassName("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
    ClassName("torch._utils", "_rebuild_wrapper_subclass"),
  ]

  /// The tensor that an object describes.
  /// - Throws: `ModelError` when its description is malformed, lies outside its storage, or is of a kind that is not
  ///   supported (sparse, quantized, nested, meta, conjugated).
  func tensor(_ reference: Reference, depth: Int = 0) throws -> TensorObject {
    if case .tensor(let index) = nodes[reference] {
      let new = tensors[index]
      return TensorObject(
        tensor: new.tensor, requiresGrad: new.parameterRequiresGrad ?? false,
        isParameter: new.parameterRequiresGrad != nil)
    }
    guard let call = call(reference), let function = className(call.callable), let arguments = tuple(call.arguments)
    else { throw ModelError(.malformed, "is not a tensor") }
    return try tensor(madeBy: function, arguments, depth: depth)
  }

  private func tensor(madeBy function: ClassName, _ arguments: [Reference], depth: Int) throws -> TensorObject {
    guard depth < 8, Self.rebuilders.contains(function) else { throw ModelError(.malformed, "is not a tensor") }
    switch (function.name, arguments.count) {
    case ("_rebuild_tensor", 4):
      return TensorObject(tensor: try view(arguments, dtype: nil), requiresGrad: false, isParameter: false)
    case ("_rebuild_tensor_v2", 6), ("_rebuild_tensor_v2", 7):
      try refuseMetadata(arguments.dropFirst(6).first)
      return TensorObject(
        tensor: try view(arguments, dtype: nil), requiresGrad: bool(arguments[4]) ?? false, isParameter: false)
    case ("_rebuild_tensor_v3", 7), ("_rebuild_tensor_v3", 8):
      try refuseMetadata(arguments.dropFirst(7).first)
      guard let name = className(arguments[6]), let dtype = TorchTypes.dtype(named: name) else {
        throw ModelError(.unsupported, "its element type is not known")
      }
      return TensorObject(
        tensor: try view(arguments, dtype: dtype), requiresGrad: bool(arguments[4]) ?? false, isParameter: false)
    case ("_rebuild_parameter", 3), ("_rebuild_parameter_with_state", 4):
      var object = try tensor(arguments[0], depth: depth + 1)
      object.requiresGrad = bool(arguments[1]) ?? true
      object.isParameter = true
      return object
    case ("_rebuild_from_type_v2", 4), ("_rebuild_from_type", 4):
      // A tensor with Python attributes, or of a subclass: function, class, arguments, state.
      guard let inner = className(arguments[0]), Self.rebuilders.contains(inner), let parts = tuple(arguments[2])
      else { throw ModelError(.unsupported, "is a tensor subclass that is not supported") }
      return try tensor(madeBy: inner, parts, depth: depth + 1)
    default:
      throw ModelError(.unsupported, "is a tensor of a kind that is not supported (\(function))")
    }
  }

  /// Conjugate and negative views store other values than they stand for.
  private func refuseMetadata(_ metadata: Reference?) throws {
    guard let metadata, !isNone(metadata), let entries = entries(metadata) else { return }
    if entries.contains(where: { bool($0.value) == true }) {
      throw ModelError(.unsupported, "is a conjugate or negative view", advice: "resolve it before saving")
    }
  }

  private func view(_ arguments: [Reference], dtype: DType?) throws -> Tensor {
    guard case .storage(let index) = nodes[arguments[0]] else { throw ModelError(.malformed, "has no storage") }
    let record = storages[index]
    guard let dtype = dtype ?? TorchTypes.dtype(ofStorage: record.className) else {
      throw ModelError(.unsupported, "its element type is not known")
    }
    guard let offset = int(arguments[1]), let shape = ints(arguments[2]), let strides = ints(arguments[3]),
      let byteOffset = dtype.byteCount(of: offset)
    else { throw ModelError(.malformed, "its offset, shape or strides are no integers") }
    return try Tensor(record.storage, dtype: dtype, shape: shape, strides: strides, byteOffset: byteOffset)
  }
}
