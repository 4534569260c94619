import ModelCore

/// TensorFlow's padding `same` (ONNX's SAME_UPPER) for windows over the last axes: as much as makes as many of them as
/// the size divided by the stride, rounded up. It depends on the size, and what is odd goes to the end.
public struct SamePadding: Sendable, Hashable {
  /// One entry for each axis over which windows slide.
  public var kernelSize: [Int]
  /// How far the window moves along each.
  public var stride: [Int]
  /// How far neighbouring elements of the window stand apart along each.
  public var dilation: [Int]
  /// What is put there: 0, or negative infinity before a maximum.
  public var value: Double

  /// For windows of a size; a dilation of nil is 1 along every axis.
  public init(kernelSize: [Int], stride: [Int], dilation: [Int]? = nil, value: Double = 0) {
    self.kernelSize = kernelSize
    self.stride = stride
    self.dilation = dilation ?? kernelSize.map { _ in 1 }
    self.value = value
  }

  /// What goes before and after each axis of a tensor.
  /// - Throws: `ModelError` for a tensor of too few axes, and for sizes that no window has.
  public func margins(of shape: [Int]) throws -> [Margin] {
    let rank = kernelSize.count
    guard rank > 0, stride.count == rank, dilation.count == rank,
      (kernelSize + stride + dilation).allSatisfy({ (1...1 << 20).contains($0) })
    else { throw ModelError(.malformed, "its configuration is no valid one") }
    guard shape.count >= rank else {
      throw ModelError(.mismatch, "takes \(rank) axes or more, but \(shape) comes to it")
    }
    return shape.dropLast(rank).map { _ in Margin(0) }
      + shape.suffix(rank).enumerated().map { axis, size in
        let windows = (size + stride[axis] - 1) / stride[axis]
        let total = max((windows - 1) * stride[axis] + (kernelSize[axis] - 1) * dilation[axis] + 1 - size, 0)
        return Margin(total / 2, total - total / 2)
      }
  }
}
