/// A tensor of the reference interpreter: its elements in row-major order, each as a double.
public struct ReferenceArray: Sendable {
  public let type: TensorType
  public let values: [Double]

  public init(_ type: TensorType, _ values: [Double]) {
    self.type = type
    self.values = values
  }
}

/// Runs graphs plainly, in double precision.
public enum Reference {
  static func compute(_ operation: Operation, _ operands: [ReferenceArray], _ types: [TensorType]) throws -> [ReferenceArray] {
    throw ModelError("not yet")
  }
}
