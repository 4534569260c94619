import Foundation
import ModelCore
import SystemPackage
import TestSupport

/// What the scripts in `Goldens` wrote.
func golden(_ name: String) throws -> [String: Any] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
  let data = try Data(contentsOf: folder.appendingPathComponent(name))
  return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
}

/// The bytes that hexadecimal digits stand for.
func bytes(_ hex: String?) -> [UInt8] {
  var bytes: [UInt8] = []
  var rest = (hex ?? "")[...]
  while !rest.isEmpty {
    bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
    rest = rest.dropFirst(2)
  }
  return bytes
}

/// The picture of the scripts' formula.
func picture(_ height: Int, _ width: Int, _ channels: Int) throws -> Tensor {
  var pixels: [UInt8] = []
  for y in 0..<height {
    for x in 0..<width {
      for c in 0..<channels { pixels.append(UInt8((y * 7 + x * 13 + c * 29 + y * x % 31 * 5) % 256)) }
    }
  }
  return try Tensor(pixels, [height, width, channels])
}

/// Makes the folder of a file.
enum FolderMaker {
  static func make(_ file: FilePath) throws {
    try FileManager.default.createDirectory(
      atPath: file.removingLastComponent().string, withIntermediateDirectories: true)
  }
}
