import CKernels

extension Tensor {
  /// A float32 tensor of the given elements in row-major order, which must be as many as the shape has.
  public init(_ elements: [Float], _ shape: [Int]? = nil) throws {
    let shape = shape ?? [elements.count]
    guard Self.elementCount(shape) == elements.count else {
      throw ModelError(.mismatch, "\(elements.count) elements do not fill shape \(shape)")
    }
    try self.init(.float32, shape) { bytes in elements.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }

  /// The elements as doubles in row-major order, from any floating type that the kernels know or any integer type.
  /// - Throws: `ModelError` for complex, 4- and 6-bit and other carried-only types.
  public func doubles() throws -> [Double] {
    if dtype.kernelFormat != nil {
      return try converted(to: .float64).withContiguousBytes { loadAll($0, Double.self) }
    }
    return try withContiguousBytes { bytes in
      switch dtype {
      case .bool, .uint8: bytes.map { Double($0) }
      case .int8: loadAll(bytes, Int8.self).map { Double($0) }
      case .int16: loadAll(bytes, Int16.self).map { Double($0) }
      case .int32: loadAll(bytes, Int32.self).map { Double($0) }
      case .int64: loadAll(bytes, Int64.self).map { Double($0) }
      case .uint16: loadAll(bytes, UInt16.self).map { Double($0) }
      case .uint32: loadAll(bytes, UInt32.self).map { Double($0) }
      case .uint64: loadAll(bytes, UInt64.self).map { Double($0) }
      default: throw ModelError(.unsupported, "\(dtype.rawValue) values cannot be read as numbers")
      }
    }
  }

  /// The elements as float32 in row-major order, from any floating type that the kernels know.
  public func floats() throws -> [Float] {
    try converted(to: .float32).withContiguousBytes { loadAll($0, Float.self) }
  }

  /// The same values in another floating type, rounded as PyTorch's `to(dtype)` rounds.
  /// A tensor still in a file is converted when it is read.
  /// - Throws: `ModelError` when either type is one that is only carried.
  public func converted(to other: DType) throws -> Tensor {
    if other == dtype { return self }
    guard let from = dtype.kernelFormat, let to = other.kernelFormat else {
      throw ModelError(.unsupported, "\(dtype.rawValue) cannot be converted to \(other.rawValue)")
    }
    let source = self
    let fill: @Sendable (UnsafeMutableRawBufferPointer) throws -> Void = { destination in
      try source.withContiguousBytes {
        mk_convert(destination.baseAddress, to, $0.baseAddress, from, source.count)
      }
    }
    return storage.isOwned
      ? try Tensor(other, shape, initialize: fill) : try Tensor(computed: other, shape, by: fill)
  }

  /// The same values in contiguous memory of its own: what an inference program wants after lazy surgery.
  public func materialized() throws -> Tensor {
    try Tensor(dtype, shape) { try copyBytes(to: $0) }
  }

  private func loadAll<T: BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer, _ type: T.Type) -> [T] {
    (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self) }
  }
}
