import ModelCore

/// The format of PyTorch before 1.6: five pickles, then for each storage its element count and its bytes.
enum LegacyTorchFile {
  /// 0x1950a86a20f9469cfc6c, little-endian.
  private static let magic: [UInt8] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

  static func read(_ file: FileBytes) throws -> PickleGraph {
    var input = ByteReader(file, offset: 0, end: file.count)
    func readPlain() throws -> PickleGraph {
      try PickleReader.read(&input) { _, _ in
        throw ModelError(.malformed, "the pickle refers to something outside it that is no storage")
      }
    }
    let first = try? readPlain()
    guard let first, case .bigInt(let number) = first.nodes[first.root], number.starts(with: magic),
      number.dropFirst(magic.count).allSatisfy({ $0 == 0 })
    else {
      guard first != nil else { throw OtherFormat.unknown.inFile(file.name) }
      throw ModelError(.malformed, "is a pickle, but not one that torch.save wrote", file: file.name)
    }
    let version = try readPlain()
    guard version.int(version.root) == 1001 else {
      throw input.error("the legacy protocol is not 1001")
    }
    let system = try readPlain()
    let isBigEndian = system.dictionary(system.root)?["little_endian"].flatMap { system.bool($0) } == false

    var storages = TorchStorages()
    var graph = try PickleReader.read(&input) { id, graph in
      // The bytes come later: an empty storage holds the place.
      try storages.resolve(id, in: &graph) { _ in try Storage(byteCount: 0) }
    }
    let keyList = try readPlain()
    guard let references = keyList.sequence(keyList.root) else {
      throw input.error("the list of storages is missing")
    }
    var missing = Set(storages.requests.keys)
    for reference in references {
      guard let key = keyList.text(reference), missing.remove(key) != nil,
        let index = storages.requests.index(forKey: key)
      else { throw input.error("the list of storages names one twice, or one that no tensor uses") }
      let request = storages.requests.values[index]
      let elements = try input.size()
      guard elements == graph.storages[index].elementCount else {
        throw input.error(
          "storage \(key) holds \(elements) elements, the pickle says \(graph.storages[index].elementCount)")
      }
      let start = input.offset
      try input.skip(request.byteCount)
      guard let storage = Storage(file, offset: start, byteCount: request.byteCount) else {
        throw input.error("the file is truncated")
      }
      graph.storages[index].storage = isBigEndian ? try TorchStorages.swapped(storage, request) : storage
    }
    guard missing.isEmpty else {
      throw input.error("storage \(missing.min() ?? "") is missing")
    }
    return graph
  }
}
