import ModelCore
import SystemPackage

/// Writes a graph as `torch.save` does: a zip archive with the pickle and one member for each storage.
package enum TorchWriter {
  package static func write(_ graph: PickleGraph, to path: FilePath) throws -> Int {
    try write(graph, folder: path.stem ?? "archive") { try AtomicFile(replacing: path, expectedSize: $0) }
  }

  /// - Parameters:
  ///   - folder: in which the members of the archive stand.
  ///   - open: begins the file, of which it is told about the size.
  static func write(_ graph: PickleGraph, folder: String, open: (Int) throws -> any ByteSink) throws -> Int {
    for new in graph.tensors { try TorchTypes.check(new.tensor) }
    var storages: OrderedDictionary<ObjectIdentifier, Storage> = [:]
    let pickle = PickleWriter.write(graph) { storage in
      let identifier = ObjectIdentifier(storage)
      if let index = storages.index(forKey: identifier) { return index }
      storages[identifier] = storage
      return storages.count - 1
    }
    // Headers and padding are small beside these.
    let size = storages.values.reduce(pickle.count) { $0.addingReportingOverflow($1.byteCount).partialValue }
    let file = try open(size)
    var zip = ZipWriter(file)
    try zip.add("\(folder)/data.pkl", pickle)
    try zip.add("\(folder)/.format_version", Array("1".utf8))
    try zip.add("\(folder)/.storage_alignment", Array("64".utf8))
    try zip.add("\(folder)/byteorder", Array("little".utf8))
    var index = 0
    let heldBytes = { (storage: Storage) in storage.parts.count > 1 ? 0 : storage.byteCount }
    try ReadAhead.forEach(Array(storages.values), byteCount: heldBytes) { storage in
      // What is computed in parts is computed once for the checksum, which stands before it, and again to be written.
      guard storage.parts.count == 1 else { return try (held: ContiguousBytes?.none, checksum: checksum(storage)) }
      let held = try ContiguousBytes(storage)
      return (held: held, checksum: ZipWriter.checksum(held.bytes))
    } consume: { storage, data in
      try zip.begin("\(folder)/data/\(index)", size: storage.byteCount, checksum: data.checksum)
      if let held = data.held {
        try file.write(held.bytes)
      } else {
        for part in storage.parts { try storage.withUnsafeBytes(of: part) { try file.write($0) } }
      }
      index += 1
    }
    try zip.add("\(folder)/version", Array("3\n".utf8))
    try zip.finish()
    try file.commit()
    return file.position
  }

  private static func checksum(_ storage: Storage) throws -> UInt32 {
    try storage.parts.reduce(0) { sum, part in
      try storage.withUnsafeBytes(of: part) { ZipWriter.checksum($0, after: sum) }
    }
  }
}
