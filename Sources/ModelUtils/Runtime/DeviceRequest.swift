import ModelCore

/// What a user may ask for: nothing in particular, the CPU, or CUDA devices by number or UUID.
public enum DeviceRequest: Sendable, Hashable {
  /// The first CUDA device that is visible, or else the CPU.
  case automatic
  /// The CPU, and no CUDA device.
  case cpu
  /// Each item as CUDA_VISIBLE_DEVICES takes it: a number, or `GPU-…` or `MIG-…`, all different.
  case cuda([String])

  /// Reads `cpu`, an empty text or `none`, `0`, `0,1,2,3`, `cuda:0`, `cuda:0,cuda:1` or `cuda` (device 0); letters of
  /// either case, spaces around items. UUIDs (`GPU-…`, `MIG-…`) are **ours**, as are the checks: the original hands any
  /// text to the driver.
  /// - Throws: `ModelError` for anything else, for an empty item, and for a device that is named twice.
  public init(_ text: String) throws {
    let items = text.split(separator: ",", omittingEmptySubsequences: false).map { item in
      item.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
    }
    let words = items.map { String($0).lowercased() }
    switch words {
    case [""], ["none"]:
      self = .automatic
      return
    case ["cpu"]:
      self = .cpu
      return
    case ["cuda"]:
      self = .cuda(["0"])
      return
    default: break
    }
    var names: [String] = []
    for (item, word) in zip(items, words) {
      let name = try Self.name(String(item), word, in: text)
      guard !names.contains(name) else { throw ModelError(.invalid, "device '\(text)' names \(name) twice") }
      names.append(name)
    }
    self = .cuda(names)
  }

  private static func name(_ item: String, _ word: String, in text: String) throws -> String {
    let digits = word.hasPrefix("cuda:") ? word.dropFirst(5) : word[...]
    if !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let number = Int32(digits)
    {
      return String(number)
    }
    for prefix in ["gpu-", "mig-"] where word.hasPrefix(prefix) {
      let rest = item.dropFirst(4)
      if !rest.isEmpty, rest.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) { return prefix.uppercased() + rest }
    }
    throw ModelError(
      .invalid,
      "device '\(text)' is none that is known here", advice: "use cpu, 0, or a list such as 0,1,2,3")
  }
}
