import ModelCore
import SystemPackage

/// Writes a graph as `torch.save` does: a zip archive with the pickle and one member for each storage.
package enum TorchWriter {
  /// - Throws: `ModelError` when the file cannot be written, or when loading it in Python would run commands or code.
  package static func write(_ graph: PickleGraph, to path: FilePath) throws -> Int {
    if let function = graph.dangerousFunction() {
      throw ModelError(
        "loading the file in Python would call \(function), so it is not written again",
        advice: "write the tensors alone, with --state-dict or as .safetensors")
    }
    var storages: OrderedDictionary<ObjectIdentifier, Storage> = [:]
    let pickle = PickleWriter.write(graph) { storage in
      let identifier = ObjectIdentifier(storage)
      if let index = storages.index(forKey: identifier) { return index }
      storages[identifier] = storage
      return storages.count - 1
    }
    let file = try AtomicFile(replacing: path)
    var zip = ZipWriter(file)
    let folder = path.stem ?? "archive"
    try zip.add("\(folder)/data.pkl", pickle)
    try zip.add("\(folder)/.format_version", Array("1".utf8))
    try zip.add("\(folder)/.storage_alignment", Array("64".utf8))
    try zip.add("\(folder)/byteorder", Array("little".utf8))
    for (index, storage) in storages.values.enumerated() {
      try storage.withUnsafeBytes { try zip.add("\(folder)/data/\(index)", $0) }
    }
    try zip.add("\(folder)/version", Array("3\n".utf8))
    try zip.finish()
    try file.commit()
    return file.position
  }
}
