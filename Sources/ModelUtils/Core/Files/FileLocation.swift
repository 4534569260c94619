import SystemPackage

#if canImport(FoundationEssentials)
  import FoundationEssentials
#elseif canImport(Foundation)
  import Foundation
#endif

/// Where a file stands: a path as text, a `URL` of a file, or swift-system's `FilePath`.
public protocol FileLocation: Sendable {
  /// The path in the file system, absolute or from the working directory.
  /// - Throws: `ModelError` when this is no place in the file system.
  var filePath: FilePath { get throws(ModelError) }
}

extension String: FileLocation {
  public var filePath: FilePath {
    get throws(ModelError) {
      guard !utf8.contains(0) else { throw ModelError(.invalid, "a path cannot hold a zero byte", subject: self) }
      return FilePath(self)
    }
  }
}

extension FilePath: FileLocation {
  public var filePath: FilePath { self }
}

#if canImport(FoundationEssentials) || canImport(Foundation)
  extension URL: FileLocation {
    public var filePath: FilePath {
      get throws(ModelError) {
        guard isFileURL else {
          throw ModelError(.invalid, "is no URL of a file", subject: absoluteString, advice: "download it first")
        }
        return try path.filePath
      }
    }
  }
#endif
