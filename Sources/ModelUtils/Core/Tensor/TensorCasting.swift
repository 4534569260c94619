extension Tensor {
  /// The same values in another type, as PyTorch's `copy_` converts: floats to integers toward zero, anything but 0 to
  /// true.
  ///
  /// A value beyond an integer type becomes the nearest that it has (PyTorch's result is undefined), NaN becomes 0.
  /// - Throws: `ModelError` for complex types and those that are only carried.
  package func cast(to other: DType) throws -> Tensor {
    if other == dtype { return self }
    if dtype.kernelFormat != nil, other.kernelFormat != nil { return try converted(to: other) }
    let values = try doubles()
    if other.kernelFormat != nil {
      return try Tensor(.float64, shape) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
        .converted(to: other)
    }
    return try Tensor(integers: values, other, shape)
  }

  /// An integer or bool tensor of the given values.
  package init(integers values: [Double], _ dtype: DType, _ shape: [Int]) throws {
    func fill<T: FixedWidthInteger>(_ type: T.Type) throws -> Tensor {
      try Tensor(dtype, shape) { bytes in
        for (index, value) in values.enumerated() {
          bytes.storeBytes(of: Self.integer(value), toByteOffset: index * MemoryLayout<T>.size, as: T.self)
        }
      }
    }
    switch dtype {
    case .bool:
      self = try Tensor(.bool, shape) { bytes in
        for (index, value) in values.enumerated() { bytes[index] = value == 0 ? 0 : 1 }
      }
    case .int8: self = try fill(Int8.self)
    case .int16: self = try fill(Int16.self)
    case .int32: self = try fill(Int32.self)
    case .int64: self = try fill(Int64.self)
    case .uint8: self = try fill(UInt8.self)
    case .uint16: self = try fill(UInt16.self)
    case .uint32: self = try fill(UInt32.self)
    case .uint64: self = try fill(UInt64.self)
    default: throw ModelError(.unsupported, "values cannot be converted to \(dtype.rawValue)")
    }
  }

  /// A tensor of an integer type or bool of the given values, which it must hold.
  package init(integers values: [Int], _ dtype: DType, _ shape: [Int]) throws {
    guard let size = dtype.byteWidth, !dtype.isFloatingPoint, Self.elementCount(shape) == values.count else {
      throw ModelError(.mismatch, "\(values.count) integers do not fill \(dtype.rawValue) \(shape)")
    }
    try self.init(dtype, shape) { bytes in
      for (index, value) in values.enumerated() {
        withUnsafeBytes(of: value.littleEndian) { value in
          UnsafeMutableRawBufferPointer(rebasing: bytes[index * size..<(index + 1) * size])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: value[..<size]))
        }
      }
    }
  }

  /// The elements of an integer type or bool in row-major order; values of uint64 beyond `Int` are refused.
  /// - Throws: `ModelError` for another type.
  package func integers() throws -> [Int] {
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer, _ type: T.Type) throws -> [Int] {
      try stride(from: 0, to: bytes.count, by: MemoryLayout<T>.size).map { start in
        guard let value = Int(exactly: bytes.loadUnaligned(fromByteOffset: start, as: T.self)) else {
          throw ModelError(.limit, "\(dtype.rawValue) values beyond \(Int.max) cannot be read")
        }
        return value
      }
    }
    return try withContiguousBytes { bytes in
      switch dtype {
      case .bool, .uint8: try load(bytes, UInt8.self)
      case .int8: try load(bytes, Int8.self)
      case .int16: try load(bytes, Int16.self)
      case .int32: try load(bytes, Int32.self)
      case .int64: try load(bytes, Int64.self)
      case .uint16: try load(bytes, UInt16.self)
      case .uint32: try load(bytes, UInt32.self)
      case .uint64: try load(bytes, UInt64.self)
      default: throw ModelError(.unsupported, "\(dtype.rawValue) values are no integers")
      }
    }
  }

  private static func integer<T: FixedWidthInteger>(_ value: Double) -> T {
    if value.isNaN { return 0 }
    if value >= Double(T.max) { return .max }
    if value <= Double(T.min) { return .min }
    return T(value)
  }
}

extension DType {
  /// The bytes of one element of the given value.
  /// - Throws: as `Tensor.cast`.
  package func pattern(of value: Double) throws -> [UInt8] {
    try Tensor(.float64, [1]) { $0.storeBytes(of: value, as: Double.self) }.cast(to: self)
      .withContiguousBytes { Array($0) }
  }
}
