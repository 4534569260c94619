import ModelCore
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that is filled, by several threads; with the object goes what was written, unless it is kept.
final class NewFolder: Sendable {
  let path: FilePath
  /// What was made, in this order.
  private let made = Mutex((folders: [FilePath](), files: [FilePath]()))

  /// - Throws: `ModelError` for a folder with something in it, or that cannot be made.
  init(_ path: FilePath) throws {
    guard !path.isEmpty else { throw ModelError(.invalid, "the folder has no name") }
    self.path = path
    try makeFolders(to: path)
    guard try FolderEntries(path) != nil, FileFolder.names(in: path).allSatisfy({ $0 == "." || $0 == ".." }) else {
      throw ModelError(
        .exists, "holds something already", file: path.string, advice: "give a folder that is new or empty")
    }
  }

  deinit {
    made.withLock { made in
      for file in made.files { unlink(file.string) }
      for folder in made.folders.reversed() { rmdir(folder.string) }
    }
  }

  /// Makes a folder in it, and those between.
  func make(_ name: String) throws { try makeFolders(to: path.pushing(FilePath(name))) }

  private func makeFolders(to folder: FilePath) throws {
    if folder.isEmpty || FileFolder.exists(folder) { return try FileFolder.make(folder) }
    try makeFolders(to: folder.removingLastComponent())
    try FileFolder.make(folder)
    made.withLock { $0.folders.append(folder) }
  }

  /// Writes a file that is not there.
  func write(_ bytes: [UInt8], to name: String) throws {
    let file = path.pushing(FilePath(name))
    do {
      let descriptor = try FileDescriptor.open(
        file, .writeOnly, options: [.create, .exclusiveCreate],
        permissions: [.ownerReadWrite, .groupReadWrite, .otherReadWrite])
      made.withLock { $0.files.append(file) }
      try descriptor.closeAfter { _ = try descriptor.writeAll(bytes) }
    } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: file.string)
    }
  }

  /// What was written stays.
  func keep() { made.withLock { $0 = ([], []) } }
}
