import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Files that have no name, so that nothing of them stays however the process ends.
enum UnnamedFile {
  /// Copies all that comes through a pipe into a file of the folder `TMPDIR`, or `/tmp`.
  /// - Parameter name: of the pipe, for messages.
  static func copy(of pipe: FileDescriptor, name: String) throws(ModelError) -> FileDescriptor {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array((folder + "/mutils-XXXXXX").utf8CString)
    let number = template.withUnsafeMutableBufferPointer { path in path.baseAddress.map { mkstemp($0) } ?? -1 }
    guard number >= 0 else {
      throw ModelError(
        .system, "no file for a copy of \(name) can be made here: \(Errno(rawValue: errno))", file: folder,
        advice: "let TMPDIR name another folder")
    }
    let file = FileDescriptor(rawValue: number)
    template.withUnsafeBufferPointer { path in _ = path.baseAddress.map { unlink($0) } }
    do { try copyAll(from: pipe, to: file) } catch {
      try? file.close()
      throw ModelError(
        .system, "cannot be copied into \(folder): \(error)", file: name,
        advice: "let TMPDIR name a folder with more room")
    }
    return file
  }

  private static func copyAll(from source: FileDescriptor, to target: FileDescriptor) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    while true {
      let count = try source.read(into: buffer)
      guard count > 0 else { return }
      try target.writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }
}
