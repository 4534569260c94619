import ModelCore

extension Operation {
  /// The types of what it gives for operands of given types, sizes among them that do not depend on elements.
  /// - Throws: `ModelError` for operands that it cannot take.
  package func resultTypes(of operands: [TensorType]) throws -> [TensorType] {
    let types = try Inference.types(of: self, operands, [])
    for type in types { _ = try Shape.checked(type.shape) }
    return types
  }

  /// What it gives for known elements, by the reference.
  /// - Throws: as `Reference.compute`.
  package func compute(_ operands: [ReferenceArray], _ types: [TensorType]) throws -> [ReferenceArray] {
    try Reference.compute(self, operands, types)
  }
}
