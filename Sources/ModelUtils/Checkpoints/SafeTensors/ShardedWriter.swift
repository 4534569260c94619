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
  /// Tensors keep their order; tied ones go into one shard. At no time, whatever ends the process, does the index name
  /// anything but one whole output, the earlier or the new one: shards replace no file, but are called
  /// `model-2-00001-of-00003.safetensors`, … where their names are taken; when all are whole and in their places the
  /// index is replaced; then what is left of an earlier output at the path is removed: the one plain file, and those
  /// shards that its index named and that are named as here. What a process that was killed has left is removed by the
  /// next writing to the same path.
  /// - Returns: the number of bytes written, index included.
  /// - Throws: `ModelError` as `write`, when there would be more than 500 shards, and when another process is writing to
  ///   the same path.
  @discardableResult
  public static func writeSharded(
    _ state: StateDict, to location: some FileLocation, maxShardSize: Int
  ) throws -> Int {
    let path = try location.filePath
    let shards = shards(of: state, maxShardSize: maxShardSize)
    guard shards.count <= shardLimit else {
      throw ModelError(
        .limit, "shards of \(maxShardSize) bytes would be \(shards.count) files; \(shardLimit) is the most",
        file: path.string, advice: "give a larger size")
    }
    let names = ShardNames(folder: path.removingLastComponent(), stem: path.stem ?? "model")
    let record = try OutputRecord(of: names, for: path)
    let earlier = try EarlierShards(index: indexPath(for: path), names: names)
    // An index that cannot be read may name anything: then all stays until it is replaced.
    if earlier.isKnown { try record.sweep(keeping: Set(earlier.named)) }
    AtomicFile.removeAbandoned(path)
    AtomicFile.removeAbandoned(indexPath(for: path))
    try record.add(standing: earlier.ours)
    return shards.count > 1
      ? try write(shards, of: state, to: path, names, replacing: earlier, record)
      : try write(state, to: path, replacing: earlier, record)
  }

  /// Writes one plain file.
  private static func write(
    _ state: StateDict, to path: FilePath, replacing earlier: EarlierShards, _ record: OutputRecord
  ) throws -> Int {
    let written = try write(state, to: path)
    guard !earlier.named.isEmpty else { return written }
    record.keep()
    try OutputRecord.remove(earlier.index)
    AtomicFile.synchronizeFolder(of: earlier.index)
    try record.sweep(keeping: [])
    return written
  }

  private static func write(
    _ shards: [StateDict], of state: StateDict, to path: FilePath, _ names: ShardNames,
    replacing earlier: EarlierShards, _ record: OutputRecord
  ) throws -> Int {
    let index = try AtomicFile(replacing: earlier.index)
    let new = names.free(count: shards.count, taken: earlier.named)
    try record.add(new.map { ($0, 0) })
    let files = try zip(new, shards).map { name, shard in
      let place = names.folder.appending(name)
      return try written(shard, name: place.string) {
        try AtomicFile(creating: place, permissions: earlier.permissions, expectedSize: $0)
      }
    }
    try index.write(try indexText(of: state, shards: Array(zip(new, shards))))
    try index.synchronize()
    try record.add(zip(new, files).map { try ($0, $1.number()) })
    for file in files { try file.place() }
    try index.commit(with: files, and: [record.file])
    record.keep()
    try OutputRecord.remove(path)
    try record.sweep(keeping: Set(new))
    return files.reduce(index.position) { $0 + $1.position }
  }

  private static func indexText(of state: StateDict, shards: [(file: String, content: StateDict)]) throws -> [UInt8] {
    var total = 0
    var weights: [(name: String, file: String)] = []
    for (file, content) in shards {
      for item in try Layout(content).items {
        weights.append((item.name, file))
        total += item.tensor.byteCount
      }
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
    return json.bytes
  }

  /// Where the index of a sharded checkpoint stands: `model.safetensors.index.json`.
  package static func indexPath(for path: FilePath) -> FilePath {
    path.removingLastComponent().appending("\(path.stem ?? "model").safetensors.index.json")
  }

  /// How many files one model is written into at most.
  static let shardLimit = 500

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

/// What an index names that stands where one is about to be written.
private struct EarlierShards {
  let index: FilePath
  /// All the shards.
  private(set) var named: [String] = []
  /// Those that bear the names this writer gives.
  private(set) var ours: [String] = []
  /// Whether `named` is all that it names: there is no index, or it can be read.
  let isKnown: Bool
  /// The first shard's; nil where there is none.
  private(set) var permissions: FilePermissions?

  /// - Throws: `ModelError` when there is an index that cannot be opened now.
  init(index: FilePath, names: ShardNames) throws {
    self.index = index
    var status = stat()
    let file: FileBytes
    do {
      file = try FileBytes(mapping: index)
    } catch {
      if error.kind == .system { throw error }
      isKnown = error.kind == .missing
      return
    }
    guard let map = try? ShardIndex(file) else {
      isKnown = false
      return
    }
    isKnown = true
    named = Array(map.shards)
    ours = named.filter(names.contains)
    for name in named
    where stat(names.folder.appending(name).string, &status) == 0 && status.st_mode & S_IFMT == S_IFREG {
      permissions = FilePermissions(rawValue: status.st_mode & 0o777)
      break
    }
  }
}
