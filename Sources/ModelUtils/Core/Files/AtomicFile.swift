import CRuntime
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
public final class AtomicFile: ByteSink {
  private enum State {
    /// Being written.
    case open
    /// Whole and at its target, but only to stay there with another file, which is not yet in its place.
    case placed
    /// In its place for good, or removed.
    case closed
  }

  private let target: FilePath
  private let partial: FilePath
  private let descriptor: FileDescriptor
  private var state = State.open
  /// How many bytes have been written.
  public private(set) var position = 0
  /// The last of them, which are few and wait for more.
  private var buffer: [UInt8] = []
  private static let bufferSize = 256 << 10
  /// How many bytes the file has, and how many of them the system was asked to begin to write to the disk.
  private var (inFile, started) = (0, 0)

  private let expectedSize: Int?
  private let observer = WritingProgress.observer

  /// Starts to write what will stand at `location`. A symbolic link there is followed; an existing file keeps its
  /// permissions.
  /// - Parameter expectedSize: how many bytes it will have, where that is known, for `WritingProgress`.
  /// - Throws: `ModelError` when the place cannot be written, is no regular file, or is being written by another
  ///   process.
  public convenience init(replacing location: some FileLocation, expectedSize: Int? = nil) throws {
    let path = try location.filePath
    let target = try Self.resolved(path)
    var mode: mode_t?
    var status = stat()
    if stat(path.string, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw ModelError(.system, "is not a regular file, so it cannot be replaced", file: path.string)
      }
      mode = status.st_mode & 0o777
    }
    try self.init(target, permissions: mode, expectedSize: expectedSize, for: path)
  }

  /// Starts to write one of several files that are to appear together, where nothing stands: see `place`.
  /// - Parameter permissions: nil for those of any new file.
  /// - Throws: `ModelError` when the place cannot be written, is taken, or is being written by another process.
  package convenience init(creating path: FilePath, permissions: FilePermissions?, expectedSize: Int? = nil) throws {
    try self.init(path, permissions: permissions?.rawValue, expectedSize: expectedSize, for: path)
    try checkFree()
  }

  private init(_ target: FilePath, permissions: mode_t?, expectedSize: Int?, for path: FilePath) throws {
    self.target = target
    self.expectedSize = expectedSize
    guard let partial = Self.partial(of: target) else {
      throw ModelError(.invalid, "names no file", file: path.string)
    }
    self.partial = partial
    descriptor = try UnfinishedFiles.create(partial) { try LockedFile.open(partial, for: path) }
    if let permissions { fchmod(descriptor.rawValue, permissions) }
    guard ftruncate(descriptor.rawValue, 0) == 0 else {
      throw failure("cannot be written")
    }
  }

  /// Where the file for a target is written.
  private static func partial(of target: FilePath) -> FilePath? {
    target.lastComponent.map { LockedFile.path(in: target.removingLastComponent(), for: $0.string, "mutils-partial") }
  }

  /// Where a path leads by links, be there a file at the end or none.
  private static func resolved(_ path: FilePath) throws -> FilePath {
    if let real = realpath(path.string, nil) {
      defer { free(real) }
      return FilePath(String(cString: real))
    }
    var path = path
    for _ in 0..<40 {
      var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
      let count = readlink(path.string, &buffer, Int(PATH_MAX))
      guard count > 0 else { return path }
      let link = FilePath(String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self))
      path = link.isAbsolute ? link : path.removingLastComponent().pushing(link)
    }
    throw ModelError(.system, "leads through too many links", file: path.string)
  }

  /// Removes what a killed process left of a file that should have come to stand at `target`.
  package static func removeAbandoned(_ target: FilePath) {
    if let partial = partial(of: target) { LockedFile.removeAbandoned(partial) }
  }

  deinit {
    if state != .closed { discard() }
  }

  /// Appends bytes.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard state == .open else { throw ModelError(.invalid, "is closed", file: target.string) }
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
  public func write(_ bytes: some Collection<UInt8>) throws { try bytes.withRawBytes { try write($0) } }

  /// Writes a text file, whole or not at all.
  /// - Throws: `ModelError` when it cannot be written.
  public static func write(_ text: String, to location: some FileLocation) throws {
    let file = try AtomicFile(replacing: location)
    try file.write(text.utf8)
    try file.commit()
  }

  /// Puts the file in its place.
  public func commit() throws {
    try commit(with: [])
  }

  /// Puts the file in its place, and thereby makes those stay that were placed, in one folder, for it.
  /// - Parameter others: also what a signal removed until now, but must no longer.
  package func commit(with files: [AtomicFile], and others: [FilePath] = []) throws {
    try synchronize()
    if let file = files.first { Self.synchronizeFolder(of: file.target) }
    let finished = files.map(\.target) + others
    guard UnfinishedFiles.rename(partial, to: target, finishing: finished, staysUnfinished: false) else {
      throw failure("cannot be replaced")
    }
    close()
    for file in files { file.close() }
    Self.synchronizeFolder(of: target)
  }

  /// Puts the file in its place, whole, from where it is removed with this object, unless another one is committed with
  /// it before.
  package func place() throws {
    try synchronize()
    try checkFree()
    guard UnfinishedFiles.rename(partial, to: target, finishing: [], staysUnfinished: true) else {
      throw failure("cannot be put in its place")
    }
    state = .placed
  }

  /// Brings all that was written to the disk.
  package func synchronize() throws {
    guard state == .open else { throw ModelError(.invalid, "is closed", file: target.string) }
    try flush()
    guard fsync(descriptor.rawValue) == 0 else { throw failure("cannot be written") }
  }

  /// Tells this file from all others of its disk, under whatever name.
  package func number() throws -> UInt64 {
    var status = stat()
    guard fstat(descriptor.rawValue, &status) == 0 else { throw failure("cannot be examined") }
    return UInt64(status.st_ino)
  }

  /// A new name survives a crash only once its folder is written; a folder that cannot be synced is no error.
  package static func synchronizeFolder(of path: FilePath) {
    let folder = path.removingLastComponent()
    if let directory = try? FileDescriptor.open(folder.isEmpty ? "." : folder, .readOnly) {
      fsync(directory.rawValue)
      try? directory.close()
    }
  }

  /// Removes the partial files of this process and begins no more; for a program that is about to end at a signal.
  public static func discardUnfinished() { UnfinishedFiles.discard() }

  /// From now on a mapped file that is cut short while it is read, or whose disk fails, ends the process with status 1:
  /// partial files are removed and the line goes to standard error. For programs; without it a signal ends them.
  public static func endAtLostPages(saying line: String) { mr_end_at_lost_pages(line + "\n") }

  private func checkFree() throws {
    var status = stat()
    guard lstat(target.string, &status) != 0 else {
      throw ModelError(.exists, "has come to stand here meanwhile", file: target.string)
    }
  }

  private func discard() {
    unlink(state == .placed ? target.string : partial.string)
    close()
  }

  private func close() {
    UnfinishedFiles.remove(state == .placed ? target : partial)
    try? descriptor.close()
    state = .closed
  }

  private func failure(_ what: String) -> ModelError {
    let reason = Errno(rawValue: errno)
    discard()
    return ModelError(.system, "\(what): \(reason)", file: target.string)
  }
}
