/// A Swift type that a tensor's elements are read and written as.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The type of the tensors whose elements have this layout.
  static var dtype: DType { get }
}

extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Float: TensorElement { public static var dtype: DType { .float32 } }
#if !(os(macOS) && arch(x86_64))
  extension Float16: TensorElement { public static var dtype: DType { .float16 } }
#endif
#if arch(x86_64) || arch(arm64)
  extension Int: TensorElement { public static var dtype: DType { .int64 } }
#endif
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int16: TensorElement { public static var dtype: DType { .int16 } }
extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension UInt64: TensorElement { public static var dtype: DType { .uint64 } }
extension UInt32: TensorElement { public static var dtype: DType { .uint32 } }
extension UInt16: TensorElement { public static var dtype: DType { .uint16 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }

extension Tensor {
  /// A contiguous tensor of the given elements in row-major order, of the type that they have; literals make float32.
  /// - Parameter shape: one axis of all elements when nil.
  /// - Throws: `ModelError` when the shape has another number of elements.
  @_disfavoredOverload
  public init<Element: TensorElement>(_ elements: [Element], _ shape: [Int]? = nil) throws {
    let shape = shape ?? [elements.count]
    guard Self.elementCount(shape) == elements.count else {
      throw ModelError(.mismatch, "\(elements.count) elements do not fill shape \(shape)")
    }
    try self.init(Element.dtype, shape) { bytes in elements.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }

  /// The elements in row-major order.
  /// - Throws: `ModelError` when the tensor's type is another, or its elements cannot be read.
  public func elements<Element: TensorElement>(of type: Element.Type = Element.self) throws -> [Element] {
    try withElements(of: type) { Array($0) }
  }

  /// Calls `body` with the elements in row-major order, where they are if that can be: contiguous, aligned and in
  /// memory or in a mapped file.
  /// - Throws: `ModelError` when the tensor's type is another (`converted(to:)` converts), or its elements cannot be
  ///   read; and what `body` throws.
  public func withElements<Element: TensorElement, Result>(
    of type: Element.Type, _ body: (UnsafeBufferPointer<Element>) throws -> Result
  ) throws -> Result {
    try checkElement(type)
    return try withContiguousBytes { bytes in
      guard count > 0 else { return try body(UnsafeBufferPointer(start: nil, count: 0)) }
      if Self.isReadable(bytes, as: type) {
        return try bytes.withMemoryRebound(to: type) { try body($0) }
      }
      let copy = try AlignedMemory.allocate(bytes.count)
      defer { AlignedMemory.free(copy.baseAddress) }
      copy.copyMemory(from: bytes)
      Self.normalize(copy, as: type)
      return try UnsafeRawBufferPointer(copy).withMemoryRebound(to: type) { try body($0) }
    }
  }

  /// Calls `body` with the elements in row-major order to change them: in place where the memory is this tensor's
  /// alone, else in a copy that this tensor then is.
  /// - Throws: as `withElements`. When `body` throws, what it had written stays.
  public mutating func withMutableElements<Element: TensorElement, Result>(
    of type: Element.Type, _ body: (UnsafeMutableBufferPointer<Element>) throws -> Result
  ) throws -> Result {
    try checkElement(type)
    guard count > 0 else { return try body(UnsafeMutableBufferPointer(start: nil, count: 0)) }
    if byteOffset % MemoryLayout<Element>.alignment != 0 { self = try materialized() }
    return try updateBytes { bytes in
      Self.normalize(bytes, as: type)
      return try bytes.withMemoryRebound(to: type) { try body($0) }
    }
  }

  /// The one element of a tensor that has one, as PyTorch's `item()`.
  /// - Throws: `ModelError` for any other number of elements, and for types that cannot be read as numbers.
  public func item() throws -> Double {
    guard count == 1 else { throw ModelError(.mismatch, "a tensor of shape \(shape) is no single number") }
    return try doubles()[0]
  }

  private func checkElement<Element: TensorElement>(_ type: Element.Type) throws(ModelError) {
    guard type.dtype == dtype else {
      throw ModelError(
        .mismatch, "its elements are \(dtype.rawValue), not \(type.dtype.rawValue)",
        advice: "convert it with converted(to:)")
    }
  }

  /// Whether the bytes are aligned, and values of the type: a Bool is 0 or 1.
  private static func isReadable<Element: TensorElement>(_ bytes: UnsafeRawBufferPointer, as type: Element.Type) -> Bool
  {
    guard Int(bitPattern: bytes.baseAddress) % MemoryLayout<Element>.alignment == 0 else { return false }
    return type != Bool.self || bytes.allSatisfy { $0 < 2 }
  }

  /// Makes every byte of a bool 0 or 1; PyTorch takes any other for true.
  private static func normalize<Element: TensorElement>(_ bytes: UnsafeMutableRawBufferPointer, as type: Element.Type) {
    guard type == Bool.self else { return }
    for index in bytes.indices where bytes[index] > 1 { bytes[index] = 1 }
  }
}
