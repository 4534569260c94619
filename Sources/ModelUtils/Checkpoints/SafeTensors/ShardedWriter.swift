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
  /// Writes a state dict as shards of at most `maxShardSize` bytes of tensors each, with an index:
  /// `model-00001-of-00003.safetensors`, … and `model.safetensors.index.json` for the path `model.safetensors`. A
  /// tensor that is larger has a shard of its own. What fits into one shard is written as one plain file at the path.
  ///
  /// Tensors keep their order; tied ones go into one shard. All shards are written beside their places before the first
  /// is put there, and an index that stood there goes first: at no time does an index name a shard that is missing or
  /// is another's. Of an earlier output at the path what is not replaced is removed: the one plain file, and those
  /// shards that its index names and that are named as here.
  /// - Returns: the number of bytes written, index included.
  /// - Throws: `ModelError` as `write`.
  @discardableResult
  public static func writeSharded(
    _ state: StateDict, to location: some FileLocation, maxShardSize: Int
  ) throws -> Int {
    let path = try location.filePath
    let shards = shards(of: state, maxShardSize: maxShardSize)
    let folder = path.removingLastComponent()
    let stem = path.stem ?? "model"
    let indexPath = indexPath(for: path)
    let earlier = earlierShards(of: stem, index: indexPath)
    guard shards.count > 1 else {
      let written = try write(state, to: path)
      if let earlier {
        try remove(indexPath)
        for shard in earlier { try remove(folder.appending(shard)) }
      }
      return written
    }
    var files: [(name: String, file: AtomicFile)] = []
    var total = 0
    var weights: [(name: String, file: String)] = []
    for (index, shard) in shards.enumerated() {
      let file = "\(stem)-\(digits(index + 1))-of-\(digits(shards.count)).safetensors"
      let layout = try Layout(shard)
      for item in layout.items {
        weights.append((item.name, file))
        total += item.tensor.byteCount
      }
      files.append((file, try written(shard, to: folder.appending(file))))
    }
    var json = JSONWriter()
    json.open()
    json.name("metadata")
    json.open()
    json.name("total_size")
    json.value(total)
    for (key, value) in (state.metadata ?? [:]).sorted(by: { $0.key.precedesInBytes($1.key) })
    where key != "total_size" {
      json.name(key)
      json.value(value)
    }
    json.close()
    json.name("weight_map")
    json.open()
    for (name, file) in weights.sorted(by: { $0.name.precedesInBytes($1.name) }) {
      json.name(name)
      json.value(file)
    }
    json.close()
    json.close()
    let index = try AtomicFile(replacing: indexPath)
    try index.write(json.bytes)
    if earlier != nil { try remove(indexPath) }
    for (_, file) in files { try file.commit() }
    try index.commit()
    let new = Set(files.map(\.name))
    for shard in earlier ?? [] where !new.contains(shard) { try remove(folder.appending(shard)) }
    try remove(path)
    return files.reduce(json.bytes.count) { $0 + $1.file.position }
  }

  /// The shards of an earlier output: those that its index names and that bear the names this writer gives. Nil where
  /// there is no index.
  private static func earlierShards(of stem: String, index: FilePath) -> [String]? {
    guard let file = try? FileBytes(mapping: index), let map = try? ShardIndex(file) else { return nil }
    return map.shards.filter { name in
      let (prefix, suffix) = ("\(stem)-", ".safetensors")
      guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return false }
      let numbers = name.dropFirst(prefix.count).dropLast(suffix.count).split(
        separator: "-of-", omittingEmptySubsequences: false)
      return numbers.count == 2 && numbers.allSatisfy { $0.utf8.count >= 5 && $0.utf8.allSatisfy { 48...57 ~= $0 } }
    }
  }

  /// Removes a file that is there.
  private static func remove(_ path: FilePath) throws {
    guard unlink(path.string) != 0, errno != ENOENT, errno != EISDIR else { return }
    throw ModelError(
      .system,
      "belongs to what was there before, and cannot be removed: \(Errno(rawValue: errno))", file: path.string)
  }

  /// Where the index of a sharded checkpoint stands: `model.safetensors.index.json`.
  package static func indexPath(for path: FilePath) -> FilePath {
    path.removingLastComponent().appending("\(path.stem ?? "model").safetensors.index.json")
  }

  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }

  private static func shards(of state: StateDict, maxShardSize: Int) -> [StateDict] {
    var shards: [StateDict] = []
    var places: [Tensor.Identity: Int] = [:]
    var size = 0
    for (name, tensor) in state.tensors {
      if tensor.count > 0, let place = places[tensor.identity] {
        shards[place][name] = tensor
        continue
      }
      let bytes = tensor.byteCount
      if shards.isEmpty || (size > 0 && bytes > maxShardSize - size) {
        // Readers such as transformers want to be told the framework.
        shards.append(StateDict([:], metadata: ["format": "pt"]))
        size = 0
      }
      size += bytes
      places[tensor.identity] = shards.count - 1
      shards[shards.count - 1][name] = tensor
    }
    return shards
  }
}
