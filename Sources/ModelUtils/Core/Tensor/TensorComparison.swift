extension Tensor {
  /// Whether shapes, types and all values are the same, as PyTorch's `equal`: NaN equals nothing, -0 equals 0.
  /// - Throws: `ModelError` when elements cannot be read; complex, 4- and 6-bit and other carried types are refused.
  public func isEqual(to other: Tensor) throws -> Bool {
    guard dtype == other.dtype, shape == other.shape else { return false }
    if !dtype.isFloatingPoint {
      return try withContiguousBytes { left in try other.withContiguousBytes { left.elementsEqual($0) } }
    }
    return try doubles() == other.doubles()
  }

  /// Whether every value differs from the other by at most `absolute` + `relative` times the other's magnitude, as
  /// PyTorch's `allclose`. Infinities must be equal. The types may differ.
  /// - Throws: `ModelError` for shapes that differ, and as `isEqual`.
  public func isClose(
    to other: Tensor, relative: Double = 1e-5, absolute: Double = 1e-8, nanIsEqual: Bool = false
  ) throws -> Bool {
    guard shape == other.shape else {
      throw ModelError(.mismatch, "shapes \(shape) and \(other.shape) cannot be compared")
    }
    return try zip(doubles(), other.doubles()).allSatisfy { left, right in
      if left == right { return true }
      if left.isNaN || right.isNaN { return nanIsEqual && left.isNaN && right.isNaN }
      return right.isFinite && left.isFinite && abs(left - right) <= absolute + relative * abs(right)
    }
  }
}
