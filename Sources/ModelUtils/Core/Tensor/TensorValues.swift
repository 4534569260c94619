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

  /// The elements as doubles in row-major order, from any floating type of a byte or more, or any integer type.
  /// - Throws: `ModelError` for complex, 4- and 6-bit types.
  public func doubles() throws -> [Double] {
    if dtype.isConvertible {
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

  /// The elements as float32 in row-major order, from any floating type of a byte or more.
  public func floats() throws -> [Float] {
    try converted(to: .float32).withContiguousBytes { loadAll($0, Float.self) }
  }

  /// The same values in another floating type, rounded as PyTorch's `to(dtype)` rounds.
  /// A tensor still in a file is converted when it is read.
  /// - Throws: `ModelError` for a complex, an integer, a 4- or a 6-bit type, and for a type to convert to that is not in
  ///   `DType.computed`.
  public func converted(to other: DType) throws -> Tensor {
    if other == dtype { return self }
    guard dtype.isConvertible, let to = other.kernelFormat else {
      throw ModelError(.unsupported, "\(dtype.rawValue) cannot be converted to \(other.rawValue)")
    }
    let source = self
    let convert: @Sendable (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) -> Void = { bytes, destination in
      if let from = source.dtype.kernelFormat {
        mk_convert(destination.baseAddress, to, bytes.baseAddress, from, destination.count / (other.byteWidth ?? 1))
      } else if let values = source.dtype.byteValues {
        Self.convert(bytes, values, to: to, in: destination)
      }
    }
    if storage.isOwned {
      return try Tensor(other, shape) { memory in try source.withContiguousBytes { convert($0, memory) } }
    }
    guard isDivisible, let width = other.byteWidth else {
      return try Tensor(computed: other, shape) { memory in try source.withContiguousBytes { convert($0, memory) } }
    }
    return try Tensor(computedInParts: other, shape) { part, memory in
      try source.withContiguousBytes(of: part.lowerBound / width..<part.upperBound / width) { convert($0, memory) }
    }
  }

  /// Looks bytes up in a table of their values and converts those, a block at a time.
  private static func convert(
    _ bytes: UnsafeRawBufferPointer, _ values: [Float], to format: mk_float,
    in destination: UnsafeMutableRawBufferPointer
  ) {
    guard let start = destination.baseAddress, !bytes.isEmpty else { return }
    let width = destination.count / bytes.count
    let size = 1 << 14
    for first in stride(from: 0, to: bytes.count, by: size) {
      let block = bytes[first..<min(first + size, bytes.count)].map { values[Int($0)] }
      block.withUnsafeBytes { mk_convert(start + first * width, format, $0.baseAddress, MK_FLOAT32, block.count) }
    }
  }

  /// The same values in contiguous memory of its own: what an inference program wants after lazy surgery.
  public func materialized() throws -> Tensor {
    try Tensor(dtype, shape) { try copyBytes(to: $0) }
  }

  private func loadAll<T: BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer, _ type: T.Type) -> [T] {
    (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self) }
  }
}
