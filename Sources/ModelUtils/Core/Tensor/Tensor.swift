import CKernels

/// A value of any number of axes over a `Storage`: what PyTorch calls a strided tensor.
///
/// Copies share their storage until one is changed. A tensor read from a file stays there until its elements are asked
/// for.
public struct Tensor: Sendable {
  /// The type of the elements.
  public let dtype: DType
  /// The length of each axis; empty for a scalar.
  public let shape: [Int]
  /// The distance between neighbours along each axis, in elements. Zero for an expanded axis.
  public let strides: [Int]
  /// Where the first element stands in the storage, in bytes.
  public let byteOffset: Int
  /// The memory that it views.
  public private(set) var storage: Storage

  /// The product of the shape.
  public let count: Int

  /// The most bytes that a tensor with overlapping elements (an expanded one) may unfold to.
  public static let expansionLimit = 256 << 20

  /// A view of a storage.
  /// - Parameter strides: in elements; row-major when nil.
  /// - Throws: `ModelError` when an element would lie outside the storage, a length is negative or the size overflows.
  public init(
    _ storage: Storage, dtype: DType, shape: [Int], strides: [Int]? = nil, byteOffset: Int = 0
  ) throws {
    guard let count = Self.elementCount(shape), let bytes = dtype.byteCount(of: count) else {
      throw ModelError(.invalid, "shape \(shape) is negative, overflows or does not fill whole bytes")
    }
    let contiguous = Self.contiguousStrides(shape)
    let strides = strides ?? contiguous
    guard strides.count == shape.count else {
      throw ModelError(.invalid, "has \(shape.count) axes but \(strides.count) strides")
    }
    guard byteOffset >= 0, byteOffset <= storage.byteCount else {
      throw ModelError(.invalid, "starts at byte \(byteOffset) of a storage of \(storage.byteCount) bytes")
    }
    if count > 0 {
      var last = 0
      for (length, stride) in zip(shape, strides) {
        let (reach, o1) = (length - 1).multipliedReportingOverflow(by: stride)
        let (sum, o2) = last.addingReportingOverflow(reach)
        guard stride >= 0, !o1, !o2, sum < Int.max else {
          throw ModelError(.invalid, "strides \(strides) are negative or overflow")
        }
        last = sum
      }
      guard let reach = dtype.byteWidth == nil ? bytes : dtype.byteCount(of: last + 1),
        reach <= storage.byteCount - byteOffset,
        dtype.byteWidth != nil || strides == contiguous
      else {
        throw ModelError(
          .invalid,
          "\(dtype.rawValue) \(shape) with strides \(strides) from byte \(byteOffset) reaches beyond its storage of \(storage.byteCount) bytes"
        )
      }
      guard shape.count <= 64 || strides == contiguous else {
        throw ModelError(.limit, "has \(shape.count) axes that are not contiguous; at most 64 are supported")
      }
      guard bytes <= max(storage.byteCount, Self.expansionLimit) else {
        throw ModelError(
          .limit,
          "unfolds a storage of \(storage.byteCount) bytes to \(bytes) bytes; at most \(Self.expansionLimit) are supported"
        )
      }
    }
    self.storage = storage
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.byteOffset = byteOffset
    self.count = count
  }

  /// A contiguous tensor of zeros in memory of its own.
  public init(_ dtype: DType, _ shape: [Int]) throws {
    try self.init(dtype, shape) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
  }

  /// A contiguous tensor in memory of its own whose bytes `initialize` fills.
  public init(
    _ dtype: DType, _ shape: [Int], initialize: (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    try self.init(
      Storage(byteCount: Self.byteCount(dtype, shape), initialize: initialize), dtype: dtype, shape: shape)
  }

  /// A contiguous tensor whose bytes are computed at each reading.
  public init(
    computed dtype: DType, _ shape: [Int],
    by fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    try self.init(Storage(computed: Self.byteCount(dtype, shape), by: fill), dtype: dtype, shape: shape)
  }

  /// The same, a part at a time where the whole is not asked for.
  package init(computedInParts dtype: DType, _ shape: [Int], by fill: @escaping Storage.Fill) throws {
    try self.init(Storage(computedInParts: Self.byteCount(dtype, shape), by: fill), dtype: dtype, shape: shape)
  }

  private static func byteCount(_ dtype: DType, _ shape: [Int]) throws(ModelError) -> Int {
    guard let count = elementCount(shape), let bytes = dtype.byteCount(of: count) else {
      throw ModelError(.invalid, "shape \(shape) is negative, overflows or does not fill whole bytes")
    }
    return bytes
  }

  /// The product of the lengths; nil when one is negative or the product overflows.
  public static func elementCount(_ shape: [Int]) -> Int? {
    var product = 1
    var overflows = false
    for length in shape {
      guard length >= 0 else { return nil }
      if length == 0 { return shape.allSatisfy { $0 >= 0 } ? 0 : nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: length)
      product = next
      overflows = overflows || overflow
    }
    return overflows ? nil : product
  }

  /// Row-major strides. Lengths of 0 count as 1, as in PyTorch.
  public static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] &* max(1, shape[axis + 1])
    }
    return strides
  }

  /// The bytes of all elements, laid out contiguously.
  public var byteCount: Int { dtype.byteCount(of: count) ?? 0 }

  /// Whether the elements stand in row-major order without gaps.
  public var isContiguous: Bool {
    if count == 0 { return true }
    var expected = 1
    for axis in shape.indices.reversed() where shape[axis] != 1 {
      if strides[axis] != expected { return false }
      expected *= shape[axis]
    }
    return true
  }

  /// What two tensors have in common that are the same view of the same memory: tied weights.
  public struct Identity: Hashable, Sendable {
    let storage: ObjectIdentifier
    let byteOffset: Int
    let shape: [Int]
    let strides: [Int]
    let dtype: DType

    // Without the type, which is hashed by its name: it hardly ever tells two views apart.
    public func hash(into hasher: inout Hasher) {
      hasher.combine(storage)
      hasher.combine(byteOffset)
      hasher.combine(shape)
      hasher.combine(strides)
    }
  }

  /// What it has in common with those that are the same view of the same memory.
  public var identity: Identity {
    Identity(
      storage: ObjectIdentifier(storage), byteOffset: byteOffset, shape: shape, strides: strides,
      dtype: dtype)
  }

  /// Whether the elements are in memory of our own, so that reading them cannot fail.
  package var isInMemory: Bool { storage.isOwned }

  /// Whether reading the elements cannot fail: they are in memory, or in a mapped file.
  package var isReadable: Bool { storage.stableBytes != nil }

  // MARK: Bytes

  /// Calls `body` with the elements' bytes in row-major order; a strided tensor is packed for the call.
  public func withContiguousBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    try storage.withUnsafeBytes { bytes in
      if isContiguous || count == 0 {
        return try body(UnsafeRawBufferPointer(rebasing: bytes[byteOffset..<byteOffset + byteCount]))
      }
      let packed = try AlignedMemory.allocate(byteCount)
      defer { AlignedMemory.free(packed.baseAddress) }
      gather(from: bytes, into: packed)
      return try body(UnsafeRawBufferPointer(packed))
    }
  }

  /// Tells the system that a mapped file's pages of these elements are not needed soon; they are read again when they
  /// are.
  package func releasePages() { storage.releasePages() }

  /// The ranges of `byteCount` to read one after the other: the whole, unless each can be computed by itself.
  package var parts: [Range<Int>] {
    isContiguous && byteOffset == 0 && byteCount == storage.byteCount ? storage.parts : [0..<byteCount]
  }

  /// Whether parts of the elements can be read without the rest.
  package var isDivisible: Bool { isContiguous && dtype.byteWidth != nil }

  /// Calls `body` with the bytes of some elements, in row-major order, of a tensor that is divisible.
  package func withContiguousBytes<R>(
    of elements: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    try storage.withUnsafeBytes(of: place(of: elements), body)
  }

  /// Copies some elements in row-major order, of a tensor that is divisible.
  package func copyBytes(of elements: Range<Int>, to destination: UnsafeMutableRawBufferPointer) throws {
    try storage.copyBytes(of: place(of: elements), to: destination)
  }

  private func place(of elements: Range<Int>) -> Range<Int> {
    let width = dtype.byteWidth ?? 0
    return byteOffset + elements.lowerBound * width..<byteOffset + elements.upperBound * width
  }

  /// Copies the elements in row-major order into `destination`, which has `byteCount` bytes.
  public func copyBytes(to destination: UnsafeMutableRawBufferPointer) throws {
    if isContiguous, byteCount == storage.byteCount { return try storage.copyBytes(to: destination) }
    try storage.withUnsafeBytes { bytes in
      if isContiguous || count == 0 {
        destination.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[byteOffset..<byteOffset + byteCount]))
      } else {
        gather(from: bytes, into: destination)
      }
    }
  }

  private func gather(
    from bytes: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) {
    mk_gather(
      destination.baseAddress, bytes.baseAddress.map { $0 + byteOffset }, dtype.bitWidth / 8,
      shape.count, shape.map(Int64.init), strides.map(Int64.init))
  }

  /// Changes the elements: `kernel` writes all of them to its first argument from its second, which may be the same
  /// memory.
  ///
  /// In place where the memory is ours and this tensor's alone. Elements still in a file (or computed) stay there: the
  /// kernel then runs whenever they are read. Otherwise the result gets memory of its own. A permuted layout (channels
  /// last) stays.
  public mutating func rewrite(
    _ kernel: @escaping @Sendable (UnsafeMutableRawPointer, UnsafeRawPointer) -> Void
  ) throws {
    try rewrite(inParts: false) { destination, source, _ in kernel(destination, source) }
  }

  /// The same for a kernel that is told which elements it is given: all of them, or where those of a large tensor are
  /// computed when they are read, the elements of one of its `parts`.
  package mutating func rewriteInParts(
    _ kernel: @escaping @Sendable (UnsafeMutableRawPointer, UnsafeRawPointer, Range<Int>) -> Void
  ) throws {
    try rewrite(inParts: true, kernel)
  }

  private mutating func rewrite(
    inParts: Bool, _ kernel: @escaping @Sendable (UnsafeMutableRawPointer, UnsafeRawPointer, Range<Int>) -> Void
  ) throws {
    guard count > 0 else { return }
    if storage.isOwned {
      if isContiguous, isKnownUniquelyReferenced(&storage) {
        try storage.withUnsafeMutableBytes { bytes in
          let start = bytes.baseAddress! + byteOffset
          kernel(start, start, 0..<count)
        }
      } else {
        try replaceElements(isLazy: false) { [count] in kernel($0, $1, 0..<count) }
      }
    } else if inParts, isDivisible, let width = dtype.byteWidth {
      let source = self
      self = try Tensor(computedInParts: dtype, shape) { part, destination in
        let elements = part.lowerBound / width..<part.upperBound / width
        try source.withContiguousBytes(of: elements) { kernel(destination.baseAddress!, $0.baseAddress!, elements) }
      }
    } else {
      try replaceElements(isLazy: true) { [count] in kernel($0, $1, 0..<count) }
    }
  }

  /// Changes the bytes of all elements, in row-major order: in place where the memory is ours and this tensor's alone,
  /// else in a copy.
  package mutating func updateBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) throws -> R {
    if !storage.isOwned || !isContiguous || !isKnownUniquelyReferenced(&storage) { self = try materialized() }
    let (start, length) = (byteOffset, byteCount)
    return try storage.withUnsafeMutableBytes {
      try body(UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + length]))
    }
  }

  private mutating func replaceElements(
    isLazy: Bool, _ kernel: @escaping @Sendable (UnsafeMutableRawPointer, UnsafeRawPointer) -> Void
  ) throws {
    let source = self
    let order = permutation
    let fill: @Sendable (UnsafeMutableRawBufferPointer) throws -> Void = { destination in
      guard let order else {
        try source.withContiguousBytes { kernel(destination.baseAddress!, $0.baseAddress!) }
        return
      }
      let rowMajor = try AlignedMemory.allocate(source.byteCount)
      defer { AlignedMemory.free(rowMajor.baseAddress) }
      try source.copyBytes(to: rowMajor)
      kernel(rowMajor.baseAddress!, rowMajor.baseAddress!)
      let strides = Self.contiguousStrides(source.shape)
      mk_gather(
        destination.baseAddress, rowMajor.baseAddress, source.dtype.bitWidth / 8, order.count,
        order.map { Int64(source.shape[$0]) }, order.map { Int64(strides[$0]) })
    }
    let storage =
      try isLazy
      ? Storage(computed: byteCount, by: fill) : Storage(byteCount: byteCount, initialize: fill)
    self = try Tensor(storage, dtype: dtype, shape: shape, strides: order == nil ? nil : strides)
  }

  /// The axes in the order of memory where they are permuted without gaps; nil for any other layout, row-major
  /// included.
  private var permutation: [Int]? {
    if isContiguous { return nil }
    let order = shape.indices.sorted { (strides[$0], shape[$0]) > (strides[$1], shape[$1]) }
    var expected = 1
    for axis in order.reversed() where shape[axis] != 1 {
      guard strides[axis] == expected else { return nil }
      expected *= shape[axis]
    }
    return order
  }
}
