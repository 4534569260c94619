import ModelCore
import SystemPackage

extension SafeTensors {
  /// Writes a state dict as shards of at most `maxShardSize` bytes of tensors each, with an index: `model-00001-of-00003.safetensors`, … and
  /// `model.safetensors.index.json` for the path `model.safetensors`. A tensor that is larger has a shard of its own. What fits into one
  /// shard is written as one plain file at the path.
  ///
  /// Tensors keep their order; tied ones go into one shard. The index is written last, so that it never names a shard that is not there.
  /// - Returns: the number of bytes written, index included.
  /// - Throws: `ModelError` as `write`.
  @discardableResult
  public static func writeSharded(_ state: StateDict, to path: FilePath, maxShardSize: Int) throws -> Int {
    let shards = shards(of: state, maxShardSize: maxShardSize)
    guard shards.count > 1 else { return try write(state, to: path) }
    let folder = path.removingLastComponent()
    let stem = path.stem ?? "model"
    var written = 0
    var total = 0
    var weights: [(name: String, file: String)] = []
    for (index, shard) in shards.enumerated() {
      let file = "\(stem)-\(digits(index + 1))-of-\(digits(shards.count)).safetensors"
      let layout = try Layout(shard)
      for item in layout.items {
        weights.append((item.name, file))
        total += item.tensor.byteCount
      }
      written += try write(shard, to: folder.appending(file))
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
    let index = try AtomicFile(replacing: indexPath(for: path))
    try index.write(json.bytes)
    try index.commit()
    return written + json.bytes.count
  }

  /// Where the index of a sharded checkpoint stands: `model.safetensors.index.json`.
  public static func indexPath(for path: FilePath) -> FilePath {
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
        shards.append(StateDict(metadata: ["format": "pt"]))
        size = 0
      }
      size += bytes
      places[tensor.identity] = shards.count - 1
      shards[shards.count - 1][name] = tensor
    }
    return shards
  }
}
