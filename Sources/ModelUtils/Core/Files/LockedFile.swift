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
  /// Where such a file stands: `.NAME.ENDING`. A name has at most 255 bytes, so of a long one the beginning and a checksum
  /// are taken.
  package static func path(in folder: FilePath, for name: String, _ ending: String) -> FilePath {
    guard name.utf8.count + ending.utf8.count > 253 else { return folder.appending(".\(name).\(ending)") }
    let checksum = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let start = String(decoding: Array(name.utf8.prefix(200)), as: UTF8.self)
    return folder.appending(".\(start)-\(String(checksum, radix: 36)).\(ending)")
  }

  /// Opens such a file, or makes it, and locks it until it is closed.
  ///
  /// Between the two another process may have finished its writing, so that what was opened is now the target, or gone:
  /// then once more.
  /// - Parameter output: what the file is for, for messages.
  /// - Throws: `ModelError` when it cannot be opened, another process holds it, or what stands there is no file of this
  ///   user's alone.
  package static func open(
    _ path: FilePath, for output: FilePath, access: FileDescriptor.AccessMode = .writeOnly
  ) throws -> FileDescriptor {
    while true {
      guard let descriptor = try make(path, for: output, access) ?? take(path, for: output, access) else { continue }
      guard lock(descriptor) else {
        try? descriptor.close()
        throw ModelError(.system, "is being written by another process", file: output.string)
      }
      if stands(descriptor, at: path) { return descriptor }
      try? descriptor.close()
    }
  }

  /// Makes the file; nil where something stands there.
  private static func make(
    _ path: FilePath, for output: FilePath, _ access: FileDescriptor.AccessMode
  ) throws -> FileDescriptor? {
    do {
      return try FileDescriptor.open(
        path, access, options: [.create, .exclusiveCreate, .closeOnExec], permissions: FilePermissions(rawValue: 0o666))
    } catch Errno.fileExists {
      return nil
    } catch {
      throw ModelError(.system, "cannot be written: \(error)", file: output.string)
    }
  }

  /// Opens what stands there; nil where nothing does any more.
  private static func take(
    _ path: FilePath, for output: FilePath, _ access: FileDescriptor.AccessMode
  ) throws -> FileDescriptor? {
    let descriptor: FileDescriptor
    do {
      descriptor = try FileDescriptor.open(path, access, options: [.noFollow, .nonBlocking, .closeOnExec])
    } catch Errno.noSuchFileOrDirectory {
      return nil
    } catch Errno.noSuchAddressOrDevice, Errno.tooManySymbolicLinkLevels, Errno.isDirectory {
      throw foreign(path, output)
    } catch {
      throw ModelError(.system, "cannot be written: \(error)", file: output.string)
    }
    guard isOurs(descriptor) else {
      try? descriptor.close()
      throw foreign(path, output)
    }
    return descriptor
  }

  /// What else may stand there would be written instead, or give the output an owner of its own.
  private static func isOurs(_ descriptor: FileDescriptor) -> Bool {
    var status = stat()
    return fstat(descriptor.rawValue, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_nlink <= 1
      && status.st_uid == geteuid()
  }

  private static func foreign(_ path: FilePath, _ output: FilePath) -> ModelError {
    ModelError(
      .system, "cannot be written: \(path.lastComponent?.string ?? "") beside it is no file of this user's alone",
      file: output.string, advice: "remove that")
  }

  /// Removes such a file, unless a process holds it.
  package static func removeAbandoned(_ path: FilePath) {
    guard let descriptor = try? FileDescriptor.open(path, .writeOnly, options: [.noFollow, .nonBlocking, .closeOnExec])
    else { return }
    if isOurs(descriptor), lock(descriptor), stands(descriptor, at: path) { unlink(path.string) }
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
