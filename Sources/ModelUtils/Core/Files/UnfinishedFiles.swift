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
  private static let paths = Mutex<Set<String>>([])

  package static func insert(_ path: FilePath) {
    let key = path.string
    paths.withLock { _ = $0.insert(key) }
  }

  package static func remove(_ path: FilePath) {
    let key = path.string
    paths.withLock { _ = $0.remove(key) }
  }

  /// Renames one of them. In the same moment, as a signal sees it, others cease to be unfinished, or the one begins to
  /// be so under its new name.
  /// - Returns: whether it could be renamed; `errno` says why not.
  static func rename(_ path: FilePath, to target: FilePath, finishing others: [FilePath], staysUnfinished: Bool) -> Bool
  {
    paths.withLock { paths in
      guard systemRename(path.string, target.string) == 0 else { return false }
      paths.remove(path.string)
      if staysUnfinished { paths.insert(target.string) }
      for other in others { paths.remove(other.string) }
      return true
    }
  }

  static func discard() {
    paths.withLock { paths in
      for path in paths { unlink(path) }
    }
  }
}

private func systemRename(_ old: String, _ new: String) -> Int32 { rename(old, new) }
