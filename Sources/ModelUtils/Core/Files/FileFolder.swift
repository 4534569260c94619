import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What folders hold, and making them.
package enum FileFolder {
  package static func exists(_ path: FilePath) -> Bool {
    var status = stat()
    return stat(path.string, &status) == 0
  }

  /// Makes the folder and those above it that are missing.
  package static func make(_ folder: FilePath) throws {
    var status = stat()
    if folder.isEmpty { return }
    if stat(folder.string, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else {
        throw ModelError(.exists, "is a file, where a folder is to be", file: folder.string)
      }
      return
    }
    try make(folder.removingLastComponent())
    guard mkdir(folder.string, 0o777) == 0 || errno == EEXIST else {
      throw ModelError(.system, "the folder cannot be made: \(Errno(rawValue: errno))", file: folder.string)
    }
  }

  /// The names in a folder, sorted; none where it cannot be read.
  package static func names(in folder: FilePath) -> [String] {
    guard let directory = opendir(folder.string) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      names.append(name)
    }
    return names.sorted()
  }
}
