import CKernels
import ModelCore

/// A tensor some of whose finite elements another type cannot hold.
public struct Overflow: Sendable, Codable, Hashable {
  /// The tensor's dotted name.
  public let name: String
  /// How many of its finite elements become infinite.
  public let elements: Int

  /// A tensor, and how many of its elements overflow.
  public init(name: String, elements: Int) {
    self.name = name
    self.elements = elements
  }
}

extension StateDict {
  /// The tensors whose finite numbers become infinite in another floating type. (`float8_e4m3fn` has no infinities: its
  /// greatest number takes their place, as in PyTorch.)
  /// - Throws: `ModelError` for a tensor that cannot be read.
  public func overflows(in dtype: DType) throws -> [Overflow] {
    guard let target = dtype.kernelFormat else { return [] }
    var jobs = tensors.map { (name: $0.key, tensor: $0.value, elements: 0) }
    try Parallel.update(&jobs) { job in
      guard job.tensor.dtype.isConvertible, job.tensor.dtype != dtype else { return }
      if job.tensor.dtype.kernelFormat == nil { job.tensor = try job.tensor.converted(to: .float32) }
      guard let format = job.tensor.dtype.kernelFormat else { return }
      job.elements = try job.tensor.withContiguousBytes {
        mk_take_census($0.baseAddress, job.tensor.count, format, target).overflowing
      }
    }
    return jobs.filter { $0.elements > 0 }.map { Overflow(name: $0.name, elements: $0.elements) }
  }
}
