import Foundation
import SystemPackage

/// A folder for one test, removed with the object.
public final class TemporaryFolder: Sendable {
  public let path: FilePath

  public init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("modelutils-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = FilePath(url.path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path.string) }

  public subscript(name: String) -> FilePath { path.appending(name) }

  public var contents: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: path.string).sorted() }
  }

  /// Makes a folder in it.
  public func make(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: self[name].string, withIntermediateDirectories: true)
  }

  @discardableResult public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> FilePath {
    try Data(bytes).write(to: URL(fileURLWithPath: self[name].string))
    return self[name]
  }

  @discardableResult public func write(_ text: String, to name: String) throws -> FilePath {
    try write(text.utf8, to: name)
  }
}
