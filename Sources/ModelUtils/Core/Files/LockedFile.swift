import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A hidden file beside an output, which the process that writes the output holds.
package enum LockedFile {
  /// Opens such a file, or makes it, and locks it until it is closed.
  ///
  /// Between the two another process may have finished its writing, so that what was opened is now the target, or gone:
  /// then once more.
  /// - Parameter output: what the file is for, for messages.
  /// - Throws: `ModelError` when it cannot be opened, or another process holds it.
  package static func open(
    _ path: FilePath, for output: FilePath, access: FileDescriptor.AccessMode = .writeOnly
  ) throws -> FileDescriptor {
    while true {
      let descriptor: FileDescriptor
      do {
        descriptor = try FileDescriptor.open(
          path, access, options: [.create, .noFollow, .closeOnExec], permissions: FilePermissions(rawValue: 0o666))
      } catch let error as Errno {
        throw ModelError(.system, "cannot be written: \(error)", file: output.string)
      }
      guard lock(descriptor) else {
        try? descriptor.close()
        throw ModelError(.system, "is being written by another process", file: output.string)
      }
      if stands(descriptor, at: path) { return descriptor }
      try? descriptor.close()
    }
  }

  /// Removes such a file, unless a process holds it.
  package static func removeAbandoned(_ path: FilePath) {
    guard let descriptor = try? FileDescriptor.open(path, .writeOnly, options: [.noFollow, .nonBlocking, .closeOnExec])
    else { return }
    if lock(descriptor), stands(descriptor, at: path) { unlink(path.string) }
    try? descriptor.close()
  }

  /// Where files cannot be locked at all, each is free.
  private static func lock(_ descriptor: FileDescriptor) -> Bool {
    flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
  }

  private static func stands(_ descriptor: FileDescriptor, at path: FilePath) -> Bool {
    var opened = stat()
    var named = stat()
    return fstat(descriptor.rawValue, &opened) == 0 && lstat(path.string, &named) == 0
      && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
  }
}
