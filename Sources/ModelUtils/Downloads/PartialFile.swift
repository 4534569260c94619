import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A download that has not come to its end: `NAME.part` beside its target, which stays when a run breaks off, and what
/// tells the version that it is of in `NAME.part.etag`. One process at a time holds it.
final class PartialFile {
  let path: FilePath
  private let target: FilePath
  private let validatorPath: FilePath
  private let descriptor: FileDescriptor
  /// How many bytes it has.
  private(set) var count: Int
  /// What the server called the version that the bytes are of.
  private(set) var validator: String?

  /// Whether its target's name has the beginning of its hash.
  var hasHash: Bool { FileHash.named(in: target.lastComponent?.string ?? "") != nil }

  /// Opens what is left of an earlier run, or begins anew.
  /// - Throws: `ModelError` when the place cannot be written, or another process downloads the same file.
  init(of target: FilePath) throws {
    self.target = target
    path = FilePath(target.string + ".part")
    validatorPath = FilePath(path.string + ".etag")
    (descriptor, count) = try Self.openLocked(path)
    validator = Self.text(of: validatorPath)
  }

  deinit { try? descriptor.close() }

  /// Between opening and locking another process may have finished, so that what was opened is now the target: then
  /// once more.
  private static func openLocked(_ path: FilePath) throws -> (FileDescriptor, count: Int) {
    while true {
      let descriptor: FileDescriptor
      do {
        descriptor = try FileDescriptor.open(
          path, .readWrite, options: [.create, .noFollow, .closeOnExec, .nonBlocking],
          permissions: FilePermissions(rawValue: 0o666))
      } catch let error as Errno {
        throw ModelError(.system, "cannot be written: \(error)", file: path.string)
      }
      var (opened, named) = (stat(), stat())
      guard fstat(descriptor.rawValue, &opened) == 0, opened.st_mode & S_IFMT == S_IFREG else {
        try? descriptor.close()
        throw ModelError(.system, "is not a regular file", file: path.string)
      }
      guard flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
        try? descriptor.close()
        throw ModelError(.system, "is being downloaded by another process", file: path.string)
      }
      if fstat(descriptor.rawValue, &opened) == 0, lstat(path.string, &named) == 0,
        opened.st_ino == named.st_ino, opened.st_dev == named.st_dev
      {
        return (descriptor, Int(opened.st_size))
      }
      try? descriptor.close()
    }
  }

  private static func text(of path: FilePath) -> String? {
    guard let file = try? FileBytes(mapping: path), (1...512).contains(file.count) else { return nil }
    let text = withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
    return text.utf8.contains { $0 < 32 || $0 == 127 } ? nil : text
  }

  /// Throws away what is there, for the bytes of another version.
  func restart(validator: String?) throws {
    guard ftruncate(descriptor.rawValue, 0) == 0 else { throw failure("cannot be written") }
    count = 0
    unlink(validatorPath.string)
    self.validator = nil
    guard let validator else { return }
    do {
      let file = try FileDescriptor.open(
        validatorPath, .writeOnly, options: [.create, .truncate, .noFollow, .closeOnExec],
        permissions: FilePermissions(rawValue: 0o666))
      try file.closeAfter { _ = try file.writeAll(validator.utf8) }
      self.validator = validator
    } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: validatorPath.string)
    }
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws {
    do { count += try descriptor.writeAll(toAbsoluteOffset: Int64(count), bytes) } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: path.string)
    }
  }

  /// Puts the file in its place.
  func commit() throws {
    guard fsync(descriptor.rawValue) == 0 else { throw failure("cannot be written") }
    guard rename(path.string, target.string) == 0 else { throw failure("cannot be renamed") }
    unlink(validatorPath.string)
    let folder = target.removingLastComponent()
    if let directory = try? FileDescriptor.open(folder.isEmpty ? "." : folder, .readOnly) {
      fsync(directory.rawValue)
      try? directory.close()
    }
  }

  func discard() {
    unlink(validatorPath.string)
    unlink(path.string)
  }

  private func failure(_ what: String) -> ModelError {
    ModelError(.system, "\(what): \(Errno(rawValue: errno))", file: path.string)
  }
}
