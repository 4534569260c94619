import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The names that the further files of an output may have, so that one file which names them can be replaced at once.
protocol OutputNames {
  /// Where the output stands.
  var folder: FilePath { get }
  /// The hidden file that lists them while they are written.
  var record: FilePath { get }
  /// Whether it is a name that such a file is given.
  func contains(_ name: String) -> Bool
}

extension OutputNames {
  /// Whether no file in the folder has a name.
  func isFree(_ name: String) -> Bool {
    var status = stat()
    return lstat(folder.appending(name).string, &status) != 0
  }
}
