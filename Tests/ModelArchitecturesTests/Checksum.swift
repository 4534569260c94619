import Foundation
import ModelCore

/// The checksums of `make_architectures.py`.
enum Checksum {
  static func structure(_ state: StateDict) -> String {
    var checksum: UInt64 = 0xcbf2_9ce4_8422_2325
    for (name, tensor) in state.tensors {
      for byte in "\(name) torch.\(tensor.dtype.rawValue) \(tensor.shape)\n".utf8 {
        checksum = (checksum ^ UInt64(byte)) &* 0x100_0000_01b3
      }
    }
    return hexadecimal(checksum)
  }

  static func values(_ state: StateDict) throws -> String {
    var checksum: UInt64 = 0
    for tensor in state.tensors.values {
      let own = try tensor.withContiguousBytes { bytes in
        let words = bytes.bindMemory(to: UInt32.self)
        var sum: UInt64 = 0
        for index in words.indices { sum &+= UInt64(words[index]) &* UInt64(index + 1) }
        return sum
      }
      checksum = checksum &* 31 &+ own
    }
    return hexadecimal(checksum)
  }

  private static func hexadecimal(_ number: UInt64) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}

/// The rows of a table among the architectures' fixtures, each by its columns.
func goldenRows(_ name: String) -> [[String]] {
  let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/architectures/\(name)")
  let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
  return text.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
}
