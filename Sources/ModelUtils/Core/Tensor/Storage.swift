#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The memory that tensors view: part of a mapped file, memory of our own, or bytes computed when they are read.
///
/// Tensors that hold the same `Storage` object share their memory, and stay tied when they are written.
public final class Storage: @unchecked Sendable {
  private enum Backing {
    case file(FileBytes, offset: Int)
    case owned(UnsafeMutableRawPointer)
    case computed(@Sendable (UnsafeMutableRawBufferPointer) throws -> Void)
    case computedInParts(Fill)
    case deferred(@Sendable () throws -> FileBytes)
  }

  /// Computes those bytes of a storage that stand in a range of it.
  package typealias Fill = @Sendable (_ part: Range<Int>, _ memory: UnsafeMutableRawBufferPointer) throws -> Void

  /// How many bytes there are.
  public let byteCount: Int
  private let backing: Backing

  /// The bytes of a part, but for the last: a power of two.
  package static let partSize = 64 << 20

  private static let memorySize: Int = {
    let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
    return pages > 0 && size > 0 ? pages.multipliedReportingOverflow(by: size).partialValue : Int.max
  }()

  /// - Throws: `ModelError` when so many elements are more than this machine's memory holds, or fewer than none.
  package static func checkMemory(_ count: Int, elementSize: Int) throws {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: elementSize)
    guard count >= 0, elementSize >= 0, !overflow, bytes <= memorySize else {
      throw ModelError(.limit, "\(count) elements of \(elementSize) bytes do not fit in this machine's memory")
    }
  }

  /// - Throws: `ModelError` for a size below 0, or larger than this machine's memory.
  static func checkMemory(_ byteCount: Int) throws {
    try checkSize(byteCount)
    guard byteCount <= memorySize else {
      throw ModelError(.limit, "\(byteCount) bytes do not fit in this machine's memory")
    }
  }

  private static func checkSize(_ byteCount: Int) throws {
    guard byteCount >= 0 else { throw ModelError(.invalid, "a storage cannot have \(byteCount) bytes") }
  }

  /// Memory of our own, zeroed.
  /// - Throws: `ModelError` when it would be larger than this machine's, or the size is below 0.
  public convenience init(byteCount: Int) throws {
    try self.init(byteCount: byteCount) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
  }

  /// Memory of our own that `initialize` fills.
  /// - Throws: `ModelError` when it would be larger than this machine's, or the size is below 0, and what `initialize`
  ///   throws.
  public init(byteCount: Int, initialize: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    let memory = try AlignedMemory.allocate(byteCount)
    self.byteCount = byteCount
    backing = .owned(memory.baseAddress!)
    try initialize(memory)
  }

  /// A part of a file, nil where it does not lie inside it.
  public init?(_ file: FileBytes, offset: Int, byteCount: Int) {
    guard file.slice(offset, byteCount) != nil else { return nil }
    self.byteCount = byteCount
    backing = .file(file, offset: offset)
  }

  /// Bytes that are computed anew at each reading and then let go, so that a model larger than memory can be changed
  /// and written.
  /// - Throws: `ModelError` for a size below 0. That it fits in memory is asked at each reading.
  public init(
    computed byteCount: Int, by fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    try Self.checkSize(byteCount)
    self.byteCount = byteCount
    backing = .computed(fill)
  }

  /// Bytes that are computed anew at each reading, a part at a time where the whole is not asked for, so that a storage
  /// may itself be larger than memory.
  /// - Throws: `ModelError` for a size below 0. That a part fits in memory is asked at each reading.
  package init(computedInParts byteCount: Int, by fill: @escaping Fill) throws {
    try Self.checkSize(byteCount)
    self.byteCount = byteCount
    backing = .computedInParts(fill)
  }

  /// Bytes that `open` gives when they are read; how long they are kept is its affair.
  package init(deferred byteCount: Int, open: @escaping @Sendable () throws -> FileBytes) throws {
    try Self.checkSize(byteCount)
    self.byteCount = byteCount
    backing = .deferred(open)
  }

  deinit {
    if case .owned(let memory) = backing { AlignedMemory.free(memory) }
  }

  /// Whether the bytes are in memory of our own, so that they may be changed in place.
  var isOwned: Bool {
    if case .owned = backing { true } else { false }
  }

  /// The bytes, where they stay in one place as long as the storage lives; nil for a computed or deferred
  /// storage.
  var stableBytes: UnsafeRawBufferPointer? {
    switch backing {
    case .file(let file, let offset): UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + byteCount])
    case .owned(let memory): UnsafeRawBufferPointer(start: memory, count: byteCount)
    case .computed, .computedInParts, .deferred: nil
    }
  }

  /// The ranges to read one after the other: the whole, unless each can be computed by itself.
  package var parts: [Range<Int>] {
    guard case .computedInParts = backing, byteCount > Self.partSize else { return [0..<byteCount] }
    return stride(from: 0, to: byteCount, by: Self.partSize).map { $0..<min($0 + Self.partSize, byteCount) }
  }

  /// Lets go of the pages of a mapped file that lie wholly in this storage.
  func releasePages() {
    guard case .file(let file, let offset) = backing else { return }
    file.releasePages(offset, byteCount)
  }

  /// Calls `body` with the bytes. A computed storage computes them for the call.
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    switch backing {
    case .file, .owned:
      return try withExtendedLifetime(self) { try body(stableBytes ?? UnsafeRawBufferPointer(start: nil, count: 0)) }
    case .computed(let fill):
      let buffer = try AlignedMemory.allocate(byteCount)
      defer { AlignedMemory.free(buffer.baseAddress) }
      try fill(buffer)
      return try body(UnsafeRawBufferPointer(buffer))
    case .computedInParts: return try withUnsafeBytes(of: 0..<byteCount, body)
    case .deferred(let open):
      let file = try open()
      guard file.count == byteCount else {
        throw ModelError(.malformed, "gave \(file.count) bytes for a storage of \(byteCount)", file: file.name)
      }
      return try withExtendedLifetime(file) { try body(file.bytes) }
    }
  }

  /// The same with the bytes of a range, which lies in the storage.
  package func withUnsafeBytes<R>(of part: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    guard case .computedInParts = backing else {
      return try withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[part])) }
    }
    let buffer = try AlignedMemory.allocate(part.count)
    defer { AlignedMemory.free(buffer.baseAddress) }
    try copyBytes(of: part, to: buffer)
    return try body(UnsafeRawBufferPointer(buffer))
  }

  /// Copies the bytes into `destination`, which has room for them. A computed storage computes them there.
  func copyBytes(to destination: UnsafeMutableRawBufferPointer) throws {
    if case .computed(let fill) = backing { return try fill(destination) }
    try copyBytes(of: 0..<byteCount, to: destination)
  }

  /// The same with the bytes of a range, which lies in the storage.
  func copyBytes(of part: Range<Int>, to destination: UnsafeMutableRawBufferPointer) throws {
    if case .computedInParts(let fill) = backing { return try fill(part, destination) }
    try withUnsafeBytes(of: part) { destination.copyMemory(from: $0) }
  }

  /// The memory to change in place; the caller has seen to it that the storage is owned and its alone.
  func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) throws -> R {
    guard case .owned(let memory) = backing else {
      throw ModelError(.unsupported, "memory of others cannot be changed")
    }
    return try body(UnsafeMutableRawBufferPointer(start: memory, count: byteCount))
  }
}
