import ModelCore

extension StateDict {
  /// Converts every floating tensor that can be computed with to another floating type; integers stay.
  /// When a tensor cannot be read the state dict stays as it was.
  public mutating func convert(to dtype: DType) throws {
    var converted: [Tensor.Identity: Tensor] = [:]
    var tensors = tensors
    for index in tensors.values.indices where tensors.values[index].dtype.kernelFormat != nil {
      let identity = tensors.values[index].identity
      let tensor = try converted[identity] ?? tensors.values[index].converted(to: dtype)
      converted[identity] = tensor
      tensors.values[index] = tensor
    }
    self.tensors = tensors
  }
}

extension Module {
  /// Converts every floating parameter and buffer that can be computed with, as `module.to(dtype)`.
  /// When a tensor cannot be read the module stays as it was.
  public mutating func convert(to dtype: DType) throws {
    var converted: [Tensor.Identity: Tensor] = [:]
    func convert(_ tensor: Tensor) throws -> Tensor {
      guard tensor.dtype.kernelFormat != nil else { return tensor }
      let result = try converted[tensor.identity] ?? tensor.converted(to: dtype)
      converted[tensor.identity] = result
      return result
    }
    var module = self
    try module.updateModules { _, module in
      for index in module.parameters.values.indices {
        module.parameters.values[index].tensor = try convert(module.parameters.values[index].tensor)
      }
      for index in module.buffers.values.indices {
        module.buffers.values[index] = try convert(module.buffers.values[index])
      }
    }
    self = module
  }
}

extension Model {
  /// Converts every floating tensor that can be computed with to another floating type.
  public mutating func convert(to dtype: DType) throws {
    try update(module: { try $0.convert(to: dtype) }, stateDict: { try $0.convert(to: dtype) })
  }
}
