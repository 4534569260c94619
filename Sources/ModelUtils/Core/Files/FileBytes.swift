import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Read-only bytes: a memory-mapped file, bytes compiled into the program, or bytes in memory.
public final class FileBytes: @unchecked Sendable {
  /// The file's name, for messages.
  public let name: String
  /// All of the bytes, valid as long as this object lives.
  public let bytes: UnsafeRawBufferPointer
  private let release: (UnsafeRawBufferPointer) -> Void
  private let isMapped: Bool

  /// How many bytes there are.
  public var count: Int { bytes.count }

  /// Maps a regular file. Nothing is read until it is touched. The file must not be truncated by others while it is in
  /// use.
  /// - Throws: `ModelError` when the file cannot be opened or is not a regular file.
  public convenience init(mapping location: some FileLocation) throws(ModelError) {
    let path = try location.filePath
    let descriptor: FileDescriptor
    do {
      descriptor = try FileDescriptor.open(path, .readOnly, options: [.nonBlocking, .closeOnExec])
    } catch {
      let isMissing = [.noSuchFileOrDirectory, .notDirectory].contains(error as? Errno)
      throw ModelError(isMissing ? .missing : .system, "cannot be opened: \(error)", file: path.string)
    }
    defer { try? descriptor.close() }
    try self.init(mapping: descriptor, name: path.string)
  }

  /// Maps what a descriptor leads to, from its beginning. What comes through a pipe is copied first, to its end, into a
  /// file without a name in the folder `TMPDIR`, or `/tmp`.
  /// - Parameter name: for messages.
  /// - Throws: `ModelError` when it cannot be read, or is a terminal.
  public convenience init(reading descriptor: FileDescriptor, name: String) throws(ModelError) {
    var status = stat()
    guard fstat(descriptor.rawValue, &status) == 0, status.st_mode & S_IFMT != S_IFREG else {
      try self.init(mapping: descriptor, name: name)
      return
    }
    guard isatty(descriptor.rawValue) == 0 else {
      throw ModelError(.invalid, "is a terminal", file: name, advice: "give it a file or a pipe")
    }
    let copy = try UnnamedFile.copy(of: descriptor, name: name)
    defer { try? copy.close() }
    try self.init(mapping: copy, name: name)
  }

  private init(mapping descriptor: FileDescriptor, name: String) throws(ModelError) {
    self.name = name
    isMapped = true
    release = { munmap(UnsafeMutableRawPointer(mutating: $0.baseAddress), $0.count) }
    var status = stat()
    guard fstat(descriptor.rawValue, &status) == 0 else {
      throw ModelError(.system, "cannot be examined: \(Errno(rawValue: errno))", file: name)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let isPipe = status.st_mode & S_IFMT == S_IFIFO
      throw ModelError(
        .unsupported, "is not a regular file", file: name,
        advice: isPipe ? "send what comes out of it to standard input, which is called -" : nil)
    }
    let size = Int(status.st_size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor.rawValue, 0),
      base != MAP_FAILED
    else { throw ModelError(.system, "cannot be mapped: \(Errno(rawValue: errno))", file: name) }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  /// Bytes that live as long as the program.
  public init(name: String, permanent bytes: UnsafeRawBufferPointer) {
    self.name = name
    self.bytes = bytes
    isMapped = false
    release = { _ in }
  }

  /// A part of another file's bytes, which must contain it.
  public init(name: String, part file: FileBytes, offset: Int, count: Int) {
    self.name = name
    bytes = file.slice(offset, count) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    isMapped = file.isMapped
    release = { _ in withExtendedLifetime(file) {} }
  }

  /// A copy of bytes in memory.
  public init(name: String, copying source: some Collection<UInt8>) {
    self.name = name
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 64)
    copy.copyBytes(from: source)
    bytes = UnsafeRawBufferPointer(copy)
    isMapped = false
    release = { UnsafeMutableRawBufferPointer(mutating: $0).deallocate() }
  }

  deinit {
    if bytes.baseAddress != nil { release(bytes) }
  }

  /// Lets go of the pages of a mapped file that lie wholly in a range; when they are touched they are read again.
  package func releasePages(_ offset: Int, _ count: Int) {
    guard isMapped, let part = slice(offset, count), let base = part.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (Int(bitPattern: base) + page - 1) / page * page
    let end = (Int(bitPattern: base) + count) / page * page
    if start < end { madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_DONTNEED) }
  }

  /// The bytes of a range, or nil where it does not lie inside the file.
  public func slice(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer? {
    guard offset >= 0, count >= 0, offset <= self.count, count <= self.count - offset else {
      return nil
    }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }
}
