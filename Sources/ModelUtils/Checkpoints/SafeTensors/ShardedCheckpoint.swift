import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension SafeTensors {
  /// Whether the file is the index of a checkpoint in several files: JSON with a `weight_map` object.
  public static func recognizesIndex(_ file: FileBytes) -> Bool {
    guard file.count <= headerLimit else { return false }
    return withExtendedLifetime(file) {
      var reader = JSONReader(file.bytes, file: file.name)
      do {
        guard reader.peek() == UInt8(ascii: "{") else { return false }
        try reader.openObject()
        while let name = try reader.nextName() {
          if name == "weight_map" { return reader.peek() == UInt8(ascii: "{") }
          try reader.skipValue()
        }
      } catch {}
      return false
    }
  }

  /// The names of the shards that an index lists; they lie in its folder.
  /// - Throws: `ModelError` when the index is malformed or names a file elsewhere.
  static func shardNames(index: FileBytes) throws -> [String] {
    try withExtendedLifetime(index) { try Array(ShardIndex(index).shards) }
  }

  /// Reads a checkpoint in several files: `model.safetensors.index.json`, or PyTorch's `pytorch_model.bin.index.json`.
  ///
  /// The tensors are in the index's order; tensors of the shards that the index does not list follow in the shards'
  /// order (loaders in Python load them as well). The metadata are the index's own entries that hold text; `total_size`
  /// is dropped.
  /// - Parameters:
  ///   - index: the index.
  ///   - path: where it lies; the shards are in the same folder.
  ///   - open: reads one shard; called once for each.
  /// - Throws: `ModelError` when the index is malformed, names a file elsewhere, or a shard is missing or lacks a
  ///   tensor.
  public static func readSharded(
    index: FileBytes, path: FilePath,
    open: (FilePath) throws -> StateDict = { try read(FileBytes(mapping: $0)) }
  ) throws -> StateDict {
    let map = try withExtendedLifetime(index) { try ShardIndex(index) }
    let folder = path.removingLastComponent()
    let shards = try map.shards.map { try openShard($0, in: folder, index: index.name, open) }
    var state = StateDict([:], metadata: map.metadata.isEmpty ? nil : map.metadata)
    state.tensors.reserveCapacity(map.weights.count)
    for (name, shard) in map.weights {
      guard let tensor = shards[shard][name] else {
        throw ModelError(
          .missing,
          "is not in this shard, where the index `\(index.name)` places it",
          file: folder.appending(map.shards[shard]).string, subject: name,
          advice: "fetch index and shards anew from one place")
      }
      state[name] = tensor
    }
    for (shard, content) in zip(map.shards, shards) {
      state.aliases.merge(content.aliases) { first, _ in first }
      for (name, tensor) in content.tensors where map.weights[name] == nil {
        guard state[name] == nil else {
          throw ModelError(
            .malformed,
            "is in several shards, and the index `\(index.name)` does not say which counts",
            file: folder.appending(shard).string, subject: name)
        }
        state[name] = tensor
      }
    }
    state.restoreAliases()
    return state
  }

  private static func openShard(
    _ shard: String, in folder: FilePath, index: String, _ open: (FilePath) throws -> StateDict
  ) throws -> StateDict {
    let place = folder.appending(shard)
    var status = stat()
    if stat(place.string, &status) != 0, errno == ENOENT {
      throw ModelError(
        .missing,
        "does not exist, but the index `\(index)` names it", file: place.string,
        advice: "all shards belong into the folder of the index")
    }
    do {
      return try open(place)
    } catch let error as ModelError {
      throw error.inFile(place.string)
    }
  }
}

/// The content of a `*.index.json`.
struct ShardIndex {
  /// The files, in the order in which the tensors name them.
  private(set) var shards: OrderedSet<String> = []
  /// Each tensor's place in `shards`.
  private(set) var weights: OrderedDictionary<String, Int> = [:]
  private(set) var metadata: [String: String] = [:]

  /// - Throws: `ModelError` at the byte where the text is no JSON or no index, or a file's name is more than a name.
  init(_ file: FileBytes) throws {
    guard file.count <= SafeTensors.headerLimit else {
      throw ModelError(
        .limit,
        "has \(file.count) bytes; an index of at most \(SafeTensors.headerLimit) is supported", file: file.name)
    }
    var reader = JSONReader(file.bytes, file: file.name)
    var hasWeights = false
    var hasMetadata = false
    try reader.openObject()
    while let name = try reader.nextName() {
      if name == "weight_map" {
        guard !hasWeights else { throw reader.failure("`weight_map` occurs twice", at: name.offset) }
        hasWeights = true
        try readWeights(&reader)
      } else if name == "metadata" {
        guard !hasMetadata else { throw reader.failure("`metadata` occurs twice", at: name.offset) }
        hasMetadata = true
        try readMetadata(&reader)
      } else {
        try reader.skipValue()
      }
    }
    try reader.finish()
    guard hasWeights else { throw ModelError(.malformed, "has no `weight_map`, so it is no index", file: file.name) }
    guard !weights.isEmpty else { throw ModelError(.missing, "its `weight_map` names no tensors", file: file.name) }
  }

  private mutating func readWeights(_ reader: inout JSONReader) throws {
    try reader.openObject()
    while let key = try reader.nextName() {
      let name = key.string
      if let index = weights.index(forKey: name) {
        throw reader.failure("the tensor \(repeated(weights.keys[index], name))", at: key.offset)
      }
      let text = try reader.readText("the name of a shard")
      let shard = text.string
      guard Self.isPlainName(shard) else {
        throw reader.failure(
          "the shard `\(shard.printable(limit: 100))` is not a plain file name", at: text.offset,
          advice: "shards can only lie in the folder of the index"
        ).about(name)
      }
      weights[name] = shards.append(shard).index
    }
  }

  private mutating func readMetadata(_ reader: inout JSONReader) throws {
    if try reader.readNull() { return }
    try reader.openObject()
    while let key = try reader.nextName() {
      let name = key.string
      guard reader.peek() == UInt8(ascii: "\""), name != "total_size" else {
        try reader.skipValue()
        continue
      }
      if let index = metadata.index(forKey: name) {
        throw reader.failure("the metadata key \(repeated(metadata.keys[index], name))", at: key.offset)
      }
      metadata[name] = try reader.readText().string
    }
  }

  /// Whether it names a file in a folder and nothing else.
  static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == 0x2f || $0 == 0x5c || $0 == 0 }
  }
}
