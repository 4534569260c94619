import ModelCore
import SystemPackage

/// The names of the shards of one place: `model-00001-of-00003.safetensors`, or `model-2-00001-of-00003.safetensors`
/// where those are taken.
struct ShardNames: OutputNames {
  let folder: FilePath
  let stem: String

  var record: FilePath { LockedFile.path(in: folder, for: "\(stem).safetensors", "mutils-shards") }

  /// Names that no file in the folder has and that are not `taken`.
  func free(count: Int, taken: some Collection<String>) -> [String] {
    let taken = Set(taken)
    var round = 1
    while true {
      let names = names(count: count, round: round)
      if names.allSatisfy({ !taken.contains($0) && isFree($0) }) { return names }
      round += 1
    }
  }

  private func names(count: Int, round: Int) -> [String] {
    let prefix = round == 1 ? stem : "\(stem)-\(round)"
    return (1...count).map { "\(prefix)-\(Self.digits($0))-of-\(Self.digits(count)).safetensors" }
  }

  func contains(_ name: String) -> Bool {
    let (prefix, suffix) = ("\(stem)-", ".safetensors")
    guard ShardIndex.isPlainName(name), name.hasPrefix(prefix), name.hasSuffix(suffix) else { return false }
    var parts = name.dropFirst(prefix.count).dropLast(suffix.count)
      .split(separator: "-", omittingEmptySubsequences: false)
    if parts.count == 4, Self.isNumber(parts[0]) { parts.removeFirst() }
    return parts.count == 3 && parts[1] == "of"
      && [parts[0], parts[2]].allSatisfy { Self.isNumber($0) && $0.utf8.count >= 5 }
  }

  private static func isNumber(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { 48...57 ~= $0 }
  }

  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }
}
