import ModelCore

extension WeightContainer {
  /// Converts every floating parameter and buffer that can be computed with to another floating type, as
  /// `module.to(dtype)`; integers stay, and what is tied stays tied.
  /// - Throws: `ModelError` for a type that is only carried, or when a tensor cannot be read; all is then as it was.
  public mutating func convert(to dtype: DType) throws {
    try updateWeights(
      where: { $0.tensor.dtype.kernelFormat != nil },
      change: { weights in
        let converted = try weights.map { try $0.tensor.converted(to: dtype) }
        for (index, tensor) in converted.enumerated() { weights[index].tensor = tensor }
      })
  }
}
