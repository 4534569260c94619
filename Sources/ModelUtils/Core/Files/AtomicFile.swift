import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that appears whole or not at all: written beside its target, synced, and renamed over it by `commit`.
///
/// Until then the target is untouched. An object that is let go uncommitted removes what it wrote. A process that is
/// killed leaves `.NAME.mutils-partial`, which the next writing of the same target takes over.
public final class AtomicFile {
  private let target: FilePath
  private let partial: FilePath
  private let descriptor: FileDescriptor
  private var isOpen = true
  /// How many bytes have been written.
  public private(set) var position = 0
  /// The last of them, which are few and wait for more.
  private var buffer: [UInt8] = []
  private static let bufferSize = 256 << 10
  /// How many bytes the file has, and how many of them the system was asked to begin to write to the disk.
  private var (inFile, started) = (0, 0)

  private let expectedSize: Int?
  private let observer = WritingProgress.observer

  private static let unfinished = Mutex<Set<String>>([])

  /// Starts to write what will stand at `location`. A symbolic link there is followed; an existing file keeps its
  /// permissions.
  /// - Parameter expectedSize: how many bytes it will have, where that is known, for `WritingProgress`.
  /// - Throws: `ModelError` when the place cannot be written, is no regular file, or is being written by another
  ///   process.
  public init(replacing location: some FileLocation, expectedSize: Int? = nil) throws {
    let path = try location.filePath
    self.expectedSize = expectedSize
    var target = path
    var mode: mode_t?
    var status = stat()
    if stat(path.string, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw ModelError(.system, "is not a regular file, so it cannot be replaced", file: path.string)
      }
      mode = status.st_mode & 0o777
      if let resolved = realpath(path.string, nil) {
        target = FilePath(String(cString: resolved))
        free(resolved)
      }
    }
    guard let name = target.lastComponent else {
      throw ModelError(.invalid, "names no file", file: path.string)
    }
    self.target = target
    partial = target.removingLastComponent().appending(".\(name.string).mutils-partial")
    descriptor = try Self.openLocked(partial, for: path)
    if let mode { fchmod(descriptor.rawValue, mode) }
    guard ftruncate(descriptor.rawValue, 0) == 0 else {
      throw failure("cannot be written")
    }
    let key = partial.string
    Self.unfinished.withLock { _ = $0.insert(key) }
  }

  /// Opens the partial file and locks it.
  ///
  /// Between the two another process may have finished its writing, so that what was opened is now the target: then
  /// once more.
  private static func openLocked(_ partial: FilePath, for path: FilePath) throws -> FileDescriptor {
    while true {
      let descriptor: FileDescriptor
      do {
        descriptor = try FileDescriptor.open(
          partial, .writeOnly, options: [.create, .noFollow, .closeOnExec],
          permissions: FilePermissions(rawValue: 0o666))
      } catch let error as Errno {
        throw ModelError(.system, "cannot be written: \(error)", file: path.string)
      }
      guard flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
        try? descriptor.close()
        throw ModelError(.system, "is being written by another process", file: path.string)
      }
      var opened = stat()
      var named = stat()
      if fstat(descriptor.rawValue, &opened) == 0, lstat(partial.string, &named) == 0,
        opened.st_ino == named.st_ino, opened.st_dev == named.st_dev
      {
        return descriptor
      }
      try? descriptor.close()
    }
  }

  deinit {
    if isOpen { discard() }
  }

  /// Appends bytes.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard isOpen else { throw ModelError(.invalid, "is closed", file: target.string) }
    position += bytes.count
    if buffer.count + bytes.count > Self.bufferSize { try flush() }
    if bytes.count > Self.bufferSize / 4 {
      try flush()
      try append(bytes)
    } else {
      buffer.append(contentsOf: bytes)
    }
  }

  private func flush() throws {
    try buffer.withUnsafeBytes { try append($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func append(_ bytes: UnsafeRawBufferPointer) throws {
    do {
      // Calls of bounded size, so that the pages of a large mapped source can be let go meanwhile.
      var rest = bytes[...]
      while !rest.isEmpty {
        let part = rest.prefix(64 << 20)
        inFile += try descriptor.writeAll(part)
        rest = rest.dropFirst(part.count)
        startWriteback()
        observer?.tell(WritingProgress(file: target.string, written: inFile, expected: expectedSize))
      }
    } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: target.string)
    }
  }

  /// Lets the disk work meanwhile, so that `fsync` has less to wait for.
  private func startWriteback() {
    #if os(Linux)
      guard inFile - started >= 8 << 20 else { return }
      // Linux begins to write pages that are said to be needless; being written, they stay in memory all the same.
      posix_fadvise(descriptor.rawValue, off_t(started), off_t(inFile - started), POSIX_FADV_DONTNEED)
      started = inFile
    #endif
  }

  /// Appends bytes.
  /// - Throws: `ModelError` when they cannot be written.
  public func write(_ bytes: some Collection<UInt8>) throws {
    if try bytes.withContiguousStorageIfAvailable({ try write(UnsafeRawBufferPointer($0)) }) == nil {
      try Array(bytes).withUnsafeBytes { try write($0) }
    }
  }

  /// Puts the file in its place.
  public func commit() throws {
    guard isOpen else { throw ModelError(.invalid, "is closed", file: target.string) }
    try flush()
    guard fsync(descriptor.rawValue) == 0 else { throw failure("cannot be written") }
    guard rename(partial.string, target.string) == 0 else { throw failure("cannot be replaced") }
    close()
    // The new name survives a crash only once its folder is written; a folder that cannot be synced is no error.
    let folder = target.removingLastComponent()
    if let directory = try? FileDescriptor.open(folder.isEmpty ? "." : folder, .readOnly) {
      fsync(directory.rawValue)
      try? directory.close()
    }
  }

  /// Removes the partial files of this process; for a program that is about to end at a signal.
  public static func discardUnfinished() {
    unfinished.withLock { paths in
      for path in paths { unlink(path) }
    }
  }

  private func discard() {
    unlink(partial.string)
    close()
  }

  private func close() {
    let key = partial.string
    Self.unfinished.withLock { _ = $0.remove(key) }
    try? descriptor.close()
    isOpen = false
  }

  private func failure(_ what: String) -> ModelError {
    let reason = Errno(rawValue: errno)
    discard()
    return ModelError(.system, "\(what): \(reason)", file: target.string)
  }
}
