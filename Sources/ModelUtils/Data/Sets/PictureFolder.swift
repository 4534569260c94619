import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The pictures in a folder and in those below it, links followed.
enum PictureFolder {
  /// What is read of the formats that others take for pictures.
  static let readExtensions: Set<String> = ["jpg", "jpeg", "png", "mpo"]
  /// The deepest nesting, far beyond any set.
  private static let depthLimit = 32
  /// The most folders: links may lead to the same ones again and again.
  private static let folderLimit = 1 << 20

  /// A folder that is to be read, and those that it lies in.
  private struct Pending {
    let path: FilePath
    let above: [Identity]
  }

  private struct Identity: Hashable {
    let device: UInt64
    let number: UInt64
  }

  /// Folder by folder in the order of their paths, the pictures by their names.
  /// - Parameters:
  ///   - extensions: those of pictures, in lower case.
  ///   - skipsHidden: whether names that begin with a dot are left out.
  /// - Throws: `ModelError` for a folder that cannot be read, folders that lie too deep, and links that lead in a circle.
  static func pictures(in root: FilePath, extensions: [String], skipsHidden: Bool = false) throws -> [FilePath] {
    var pending = [Pending(path: root, above: [])]
    var found: [(folder: String, paths: [FilePath])] = []
    while let folder = pending.popLast() {
      let path = folder.path
      guard folder.above.count < depthLimit, found.count < folderLimit else {
        throw ModelError(
          .limit, "lies deeper than \(depthLimit) folders, or behind \(folderLimit) others", file: path.string)
      }
      guard let entries = try FolderEntries(path), let identity = identity(of: path) else { continue }
      guard !folder.above.contains(identity) else {
        throw ModelError(.malformed, "is a link that leads back to a folder above it", file: path.string)
      }
      func isWanted(_ name: String) -> Bool { !skipsHidden || !name.hasPrefix(".") }
      pending += entries.folders.filter(isWanted).map {
        Pending(path: path.appending($0), above: folder.above + [identity])
      }
      let pictures = entries.files.filter(isWanted).map { path.appending($0) }.filter { path in
        extensions.contains(path.extension?.lowercased() ?? "")
      }
      found.append((path.string, pictures))
    }
    return found.sorted { isBefore($0.folder, $1.folder) }.flatMap(\.paths)
  }

  private static func identity(of path: FilePath) -> Identity? {
    var status = stat()
    guard stat(path.string, &status) == 0 else { return nil }
    return Identity(device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(status.st_ino))
  }

  /// Whether a file's name says that it is read.
  static func isRead(_ path: FilePath) -> Bool { readExtensions.contains(path.extension?.lowercased() ?? "") }
}
