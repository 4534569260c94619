import CKernels
import ModelCore
import SystemPackage

/// A file's SHA-256, and what its name says of it: `resnet50-11ad3fa6.pth` begins with 11ad3fa6.
enum FileHash {
  /// In lowercase hexadecimal digits.
  static func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    mk_sha256(bytes.baseAddress, bytes.count, &digest)
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The digits between the last `-` of a file's name and its extension, where they are 8 to 64 hexadecimal ones; else
  /// nil.
  static func named(in name: String) -> String? {
    guard let hyphen = name.lastIndex(of: "-") else { return nil }
    let digits = name[name.index(after: hyphen)...].prefix { $0 != "." }
    guard (8...64).contains(digits.utf8.count), digits.endIndex < name.endIndex,
      digits.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
    else { return nil }
    return String(digits)
  }

  /// What is wrong with the file by the digits in a name; nil where it is right or the name has none.
  static func fault(of path: FilePath, named name: String) throws -> String? {
    guard let expected = named(in: name) else { return nil }
    let file = try FileBytes(mapping: path)
    let actual = withExtendedLifetime(file) { sha256(file.bytes) }
    if actual.hasPrefix(expected) { return nil }
    return "is not what its name says: its SHA-256 begins with \(actual.prefix(expected.count))"
  }
}
