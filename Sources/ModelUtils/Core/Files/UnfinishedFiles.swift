import CRuntime
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The files of this process that are of no use to anyone yet. What ends it at a signal removes them.
package enum UnfinishedFiles {
  private struct Files {
    /// With the number that each has where a page that is lost ends the process.
    var paths: [String: Int32] = [:]
    /// Whether the process is about to end.
    var isOver = false

    mutating func insert(_ path: String) {
      if paths[path] == nil { paths[path] = mr_unfinished_add(path) }
    }

    mutating func remove(_ path: String) {
      if let number = paths.removeValue(forKey: path) { mr_unfinished_remove(number) }
    }
  }

  private static let files = Mutex(Files())

  /// Opens a new file, which is unfinished from the moment it is there. Once the process is about to end none is begun:
  /// who asks waits for the end.
  static func create(_ path: FilePath, _ open: () throws -> FileDescriptor) throws -> FileDescriptor {
    let key = path.string
    return try files.withLock { files in
      while files.isOver { pause() }
      let descriptor = try open()
      files.insert(key)
      return descriptor
    }
  }

  package static func insert(_ path: FilePath) {
    let key = path.string
    files.withLock { $0.insert(key) }
  }

  package static func remove(_ path: FilePath) {
    let key = path.string
    files.withLock { $0.remove(key) }
  }

  /// Renames one of them. In the same moment, as a signal sees it, others cease to be unfinished, or the one begins to
  /// be so under its new name.
  /// - Returns: whether it could be renamed; `errno` says why not.
  static func rename(_ path: FilePath, to target: FilePath, finishing others: [FilePath], staysUnfinished: Bool) -> Bool
  {
    files.withLock { files in
      guard systemRename(path.string, target.string) == 0 else { return false }
      files.remove(path.string)
      if staysUnfinished { files.insert(target.string) }
      for other in others { files.remove(other.string) }
      return true
    }
  }

  /// Removes them all, for a process that is about to end.
  static func discard() {
    files.withLock { files in
      files.isOver = true
      for path in files.paths.keys { unlink(path) }
    }
  }
}

private func systemRename(_ old: String, _ new: String) -> Int32 { rename(old, new) }
