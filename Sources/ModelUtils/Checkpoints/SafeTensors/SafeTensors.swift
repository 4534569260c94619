import ModelCore
import SystemPackage

/// The safetensors format: a JSON header that names tensors, and their bytes.
///
/// Reading accepts what the reference implementation (safetensors 0.8) accepts, and nothing else, but for two things
/// that are refused here: a name that occurs twice, also where the two differ only in their Unicode form (`é` as one or
/// two code points); and a tensor of no elements that has a length beyond 2^63 - 1. Of equal metadata keys the last
/// counts.
public enum SafeTensors {
  /// The most bytes a header may have.
  public static let headerLimit = 100_000_000

  /// The key of the header under which text stands beside the tensors; no tensor can bear this name.
  public static let metadataName = "__metadata__"

  /// The bytes before the header: its length, little-endian.
  static let prefixLength = 8

  /// Whether the file looks like safetensors: a plausible length and an opening brace behind it. Cheap; `read` checks
  /// the rest.
  public static func recognizes(_ file: FileBytes) -> Bool {
    guard let length = headerLength(file), length <= headerLimit else { return false }
    let header = file.bytes.dropFirst(prefixLength).prefix(Int(length))
    return header.first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) } == UInt8(ascii: "{")
  }

  static func headerLength(_ file: FileBytes) -> UInt64? {
    file.slice(0, prefixLength).map { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
  }

  /// Reads the header; the tensors stay in the file until their elements are asked for.
  ///
  /// The tensors are in the order of their data in the file (empty ones at the same place in the header's order). A
  /// metadata entry that can be another name of a tensor, as `safetensors.torch.save_model` and huggingface_hub write
  /// tied weights, becomes a tensor over the same storage, behind the others in the order of the names, and leaves the
  /// metadata. `write` puts it back.
  ///
  /// Such an entry's value is the name of a tensor, its key none, and the key reads as a tensor's name: both end with
  /// the same part (`lm_head.weight`, `model.embed_tokens.weight`), or the key is behind the value in the order of code
  /// points, as `save_model` chooses, and stands beside tensors (`layers.1` where there is `layers.0`) or has no part
  /// before it. Any other entry is text that happens to be a tensor's name, and stays as it is. (The original reads no
  /// such entry: its `load_model` finds in the model's own tied weights which names may be missing.)
  /// - Throws: `ModelError` with the byte or the tensor that breaks the format.
  public static func read(_ file: FileBytes) throws -> StateDict {
    guard let length = headerLength(file) else {
      throw ModelError(
        .malformed,
        "has \(file.count) bytes, too few for a safetensors file", file: file.name,
        advice: "it may be cut off or still downloading")
    }
    guard length <= headerLimit else {
      throw ModelError(
        .limit,
        "the header claims \(length) bytes; at most \(headerLimit) are allowed", file: file.name, offset: 0,
        advice: "this is not a safetensors file")
    }
    guard let text = file.slice(prefixLength, Int(length)) else {
      throw ModelError(
        .malformed,
        "the header claims \(length) bytes, but only \(file.count - prefixLength) follow", file: file.name, offset: 0,
        advice: "the file is cut off or not safetensors")
    }
    return try withExtendedLifetime(file) {
      let header = try SafeTensorsHeader(text, file: file.name, base: prefixLength)
      var state = try header.tensors(in: file, from: prefixLength + Int(length))
      state.restoreAliases()
      return state
    }
  }
}

extension StateDict {
  /// Turns the metadata entries that give a tensor another name into tensors that share its storage.
  mutating func restoreAliases() {
    guard let entries = metadata, !entries.isEmpty else { return }
    let modules = modules
    let found = entries.filter { tensors[$0.key] == nil && isAlias($0.key, of: $0.value, modules: modules) }
    if !found.isEmpty, found.count == entries.count { metadata = nil }
    for (alias, name) in found.sorted(by: { $0.key.precedesInBytes($1.key) }) {
      let tensor = tensors[name]
      tensors[alias] = tensor
      metadata?[alias] = nil
    }
    aliases.merge(found) { _, new in new }
  }

  /// Whether a metadata entry can be another name of a tensor: the rule of `SafeTensors.read`.
  /// - Parameter modules: what `modules` gives.
  func isAlias(_ alias: String, of name: String, modules: Set<Substring>) -> Bool {
    guard alias != SafeTensors.metadataName, tensors[name] != nil else { return false }
    let (module, last) = Self.parts(alias)
    if last == Self.parts(name).last { return true }
    return name.precedesInBytes(alias) && (module.isEmpty || modules.contains(module))
  }

  /// The paths of the modules that have tensors.
  var modules: Set<Substring> { Set(tensors.keys.map { Self.parts($0).module }) }

  private static func parts(_ name: String) -> (module: Substring, last: Substring) {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return ("", Substring(name)) }
    return (name[..<dot], name[name.utf8.index(after: dot)...])
  }
}

extension String {
  /// The order of the UTF-8 bytes, which is that of the code points: the order of names in Rust and Python. (Swift's
  /// own `<` compares canonical forms.)
  func precedesInBytes(_ other: String) -> Bool {
    let order = utf8.withContiguousStorageIfAvailable { mine in
      other.utf8.withContiguousStorageIfAvailable { mine.lexicographicallyPrecedes($0) }
    }
    if let order, let order { return order }
    return utf8.lexicographicallyPrecedes(other.utf8)
  }
}
