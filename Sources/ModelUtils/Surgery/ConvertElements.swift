import ModelCore

extension WeightContainer {
  /// Converts every floating parameter and buffer to another floating type, as `module.to(dtype)`; integers stay, and so
  /// do the floats of less than a byte, which PyTorch does not convert either. What is tied stays tied.
  /// - Throws: `ModelError` for a type that is only carried, or when a tensor cannot be read; all is then as it was.
  public mutating func convert(to dtype: DType) throws {
    try updateWeights(
      where: { $0.tensor.dtype.isConvertible },
      change: { weights in
        let converted = try weights.map { try $0.tensor.converted(to: dtype) }
        for (index, tensor) in converted.enumerated() { weights[index].tensor = tensor }
      })
  }
}
