import ModelCore

/// A contiguous tensor of the given bytes.
public func tensor(_ dtype: DType, _ shape: [Int], _ bytes: [UInt8]) throws -> Tensor {
  try Tensor(dtype, shape) { $0.copyBytes(from: bytes) }
}

extension Tensor {
  /// The elements' bytes.
  public func bytes() throws -> [UInt8] { try withContiguousBytes { Array($0) } }

  /// Where the elements stand in memory; the same before and after a change in place.
  public func address() throws -> UInt { try withContiguousBytes { UInt(bitPattern: $0.baseAddress) } }
}
