import Foundation
import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// Files made by the reference implementation (Tests/Fixtures/safetensors/make_safetensors_fixtures.py).
enum SafeTensorsFixtures {
  static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    .appending("Fixtures").appending("safetensors")

  static func map(_ name: String) throws -> FileBytes {
    try FileBytes(mapping: folder.pushing(FilePath(name)))
  }

  static func read(_ name: String) throws -> StateDict {
    try SafeTensors.read(map(name))
  }

  /// A file in memory: the header's length, the header, and as many zero bytes of data.
  static func file(_ header: some Collection<UInt8>, data: Int = 0, claiming length: UInt64? = nil) -> FileBytes {
    let prefix = withUnsafeBytes(of: (length ?? UInt64(header.count)).littleEndian) { Array($0) }
    return FileBytes(name: "test.safetensors", copying: prefix + header + [UInt8](repeating: 0, count: data))
  }

  /// What is wrong with a file, or nil.
  static func refusal(_ file: FileBytes) throws -> String? {
    do {
      _ = try SafeTensors.read(file)
      return nil
    } catch let error as ModelError {
      return error.description
    }
  }
}

extension FileBytes {
  var array: [UInt8] { withExtendedLifetime(self) { Array(bytes) } }
}
