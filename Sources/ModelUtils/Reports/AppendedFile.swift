import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that grows at its end, by whole pieces: a piece that cannot be written is taken back.
final class AppendedFile {
  let path: FilePath
  private let descriptor: FileDescriptor
  private var isOpen = true

  /// Makes a file where none stands, or opens one that is there.
  /// - Throws: `ModelError`, of the kind `exists` where a file that is to be made stands.
  init(_ path: FilePath, creating: Bool) throws {
    self.path = path
    do {
      descriptor = try FileDescriptor.open(
        path, .writeOnly,
        options: creating ? [.append, .create, .exclusiveCreate, .closeOnExec] : [.append, .closeOnExec],
        permissions: FilePermissions(rawValue: 0o666))
    } catch Errno.fileExists {
      throw ModelError(.exists, "stands here already", file: path.string)
    } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: path.string)
    }
  }

  deinit { try? close() }

  /// Writes bytes with one call of the system, where the system takes them all.
  func append(_ bytes: [UInt8]) throws {
    guard isOpen else { throw ModelError(.invalid, "is closed", file: path.string) }
    var size: Int64?
    do {
      size = try descriptor.seek(offset: 0, from: .end)
      try descriptor.writeAll(bytes)
    } catch let error as Errno {
      if let size { ftruncate(descriptor.rawValue, off_t(size)) }
      throw ModelError(.system, "cannot be written: \(error)", file: path.string)
    }
  }

  /// Ends the writing; a second time nothing happens.
  func close() throws {
    guard isOpen else { return }
    isOpen = false
    do {
      try descriptor.close()
    } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: path.string)
    }
  }
}
