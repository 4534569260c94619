import CKernels
import ModelCore

/// A tensor cut along one axis: [outer, length, inner].
struct Slices {
  let tensor: Tensor
  let outer: Int
  let length: Int
  let inner: Int

  /// - Parameter axis: from the end when negative, as in PyTorch.
  init(_ tensor: Tensor, axis: Int) throws {
    let rank = tensor.shape.count
    let axis = axis < 0 ? axis + rank : axis
    guard tensor.shape.indices.contains(axis) else {
      throw ModelError(.invalid, "has no axis \(axis); its shape is \(tensor.shape)")
    }
    self.tensor = tensor
    outer = tensor.shape[..<axis].reduce(1, *)
    length = tensor.shape[axis]
    inner = tensor.shape[(axis + 1)...].reduce(1, *)
  }

  /// The p-norm of each slice, in double.
  func norms(_ power: Double) throws -> [Double] {
    guard let format = tensor.dtype.kernelFormat, let width = tensor.dtype.byteWidth else {
      throw ModelError(.unsupported, "\(tensor.dtype.rawValue) values have no norm here")
    }
    return try tensor.withContiguousBytes { bytes in
      (0..<length).map { slice in
        let parts = (0..<outer).map { row in
          mk_power_sum(bytes.baseAddress.map { $0 + (row * length + slice) * inner * width }, inner, format, power)
        }
        if power == .infinity { return parts.max() ?? 0 }
        if power == -.infinity { return parts.min() ?? 0 }
        let sum = parts.reduce(0, +)
        // Comparing needs no root, but a negative power turns the order round.
        return power < 0 ? -sum : sum
      }
    }
  }

  /// The slices in which a mask, a byte for each element, keeps something.
  func kept(_ mask: [UInt8]) -> [Int] {
    guard mask.count == tensor.count else { return [] }
    return (0..<length).filter { slice in
      (0..<outer).contains { row in
        let start = (row * length + slice) * inner
        return mask[start..<start + inner].contains { $0 != 0 }
      }
    }
  }

  /// A byte for each element: 1 where its slice is kept.
  func mask(_ keep: [Bool]) -> [UInt8] {
    var mask: [UInt8] = []
    mask.reserveCapacity(tensor.count)
    for _ in 0..<outer {
      for slice in 0..<length { mask.append(contentsOf: repeatElement(keep[slice] ? 1 : 0, count: inner)) }
    }
    return mask
  }
}
