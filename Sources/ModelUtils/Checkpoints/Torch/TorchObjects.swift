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

  /// Whether an object is a parameter or buffer of a lazy layer that has not run yet, and has neither shape nor values.
  func isUninitialized(_ reference: Reference) -> Bool {
    guard let name = call(reference).flatMap({ className($0.callable) }) else { return false }
    return name.module == "torch.nn.parameter" && ["UninitializedParameter", "UninitializedBuffer"].contains(name.name)
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
  ///   supported (sparse, quantized, nested, conjugated).
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
    case ("_rebuild_meta_tensor_no_storage", 4):
      return TensorObject(
        tensor: try shapeAlone(arguments), requiresGrad: bool(arguments[3]) ?? false, isParameter: false)
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

  /// A tensor on the meta device: it has a type and a shape, and no values to read.
  private func shapeAlone(_ arguments: [Reference]) throws -> Tensor {
    guard let name = className(arguments[0]), let dtype = TorchTypes.dtype(named: name), let shape = ints(arguments[1])
    else { throw ModelError(.unsupported, "its element type or shape is not known") }
    return try Tensor(computed: dtype, shape) { _ in
      throw ModelError(
        .missing, "has no values: it was saved from the meta device", advice: "load the weights before saving")
    }
  }

  private func view(_ arguments: [Reference], dtype: DType?) throws -> Tensor {
    guard case .storage(let index) = nodes[arguments[0]] else { throw ModelError(.malformed, "has no storage") }
    let record = storages[index]
    guard let dtype = dtype ?? TorchTypes.dtype(ofStorage: record.className) else {
      throw ModelError(.unsupported, "its element type is not known")
    }
    let isPaired = dtype == .float4E2M1
    guard let offset = int(arguments[1]), let shape = ints(arguments[2]), let strides = ints(arguments[3]),
      let byteOffset = isPaired ? offset : dtype.byteCount(of: offset)
    else { throw ModelError(.malformed, "its offset, shape or strides are no integers") }
    if isPaired {
      return try unpacked(Tensor(record.storage, dtype: .uint8, shape: shape, strides: strides, byteOffset: byteOffset))
    }
    return try Tensor(record.storage, dtype: dtype, shape: shape, strides: strides, byteOffset: byteOffset)
  }

  /// The 4-bit elements that stand in pairs, each a byte: twice as many along the last axis.
  private func unpacked(_ pairs: Tensor) throws -> Tensor {
    guard let length = pairs.shape.last else {
      throw ModelError(.unsupported, "is a single pair of 4-bit elements without an axis")
    }
    let (double, overflow) = length.multipliedReportingOverflow(by: 2)
    guard !overflow else { throw ModelError(.malformed, "its shape overflows") }
    let shape = Array(pairs.shape.dropLast()) + [double]
    guard pairs.isContiguous else { return try Tensor(computed: .float4E2M1, shape) { try pairs.copyBytes(to: $0) } }
    return try Tensor(pairs.storage, dtype: .float4E2M1, shape: shape, byteOffset: pairs.byteOffset)
  }
}
