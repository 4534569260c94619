import ModelCore

extension SafeTensors {
  /// What a file will hold and where: everything but the tensors' bytes.
  public struct Layout: Sendable {
    /// A tensor and its place in the file.
    public struct Item: Sendable {
      /// The name under which it is written.
      public let name: String
      /// The tensor, whose bytes are written in row-major order, little-endian.
      public let tensor: Tensor
      /// Where its bytes start behind the header.
      public let offset: Int
    }

    /// The file's beginning: the length, the JSON, and the spaces that make the data start at a multiple of 8.
    public let header: [UInt8]
    /// The tensors that are written, in the order of their bytes.
    public let items: [Item]
    /// The whole file's length in bytes.
    public let byteCount: Int
    /// The other names of tied tensors, each with the name under which the tensor is written.
    public let aliases: [String: String]

    /// Lays a state dict out as the reference implementation does: by dtype, then by name, the metadata first.
    ///
    /// Tensors that are the same view of one storage are written once, under the name that is first in the order of
    /// code points (the choice of `safetensors.torch.save_model`), or under the one that the file they were read from
    /// chose; their other names stand in the metadata as `alias: name`. Views that share only part of their memory, or
    /// have other shapes, are each written whole. Where the metadata already say something else under such a name, or
    /// the entry would not be read back as another name, the tensor is written again under its own name.
    /// - Throws: `ModelError` for a dtype that safetensors cannot hold, a name or metadata that would not be read back
    ///   as they are, and sizes beyond the format's.
    public init(_ state: StateDict) throws {
      aliases = Self.aliases(state)
      try Self.checkMetadata(state, aliases)
      var ranked: [(rank: Int, name: String, tensor: Tensor)] = []
      ranked.reserveCapacity(state.count)
      for (name, tensor) in state.tensors where aliases[name] == nil {
        guard name != metadataName else {
          throw ModelError(
            .unsupported, "a tensor cannot bear this name in safetensors", subject: name, advice: "rename it")
        }
        guard let rank = tensor.dtype.safeTensorsRank else {
          throw ModelError(
            .unsupported,
            "safetensors cannot hold \(tensor.dtype.rawValue)", subject: name,
            advice: "leave it out or write a .pt file")
        }
        ranked.append((rank, name, tensor))
      }
      ranked.sort { $0.rank != $1.rank ? $0.rank < $1.rank : $0.name.precedesInBytes($1.name) }

      var json = JSONWriter()
      json.open()
      let metadata = (state.metadata ?? [:]).merging(aliases) { mine, _ in mine }
      if state.metadata != nil || !metadata.isEmpty {
        json.name(metadataName)
        json.open()
        for (key, value) in metadata.sorted(by: { $0.key.precedesInBytes($1.key) }) {
          json.name(key)
          json.value(value)
        }
        json.close()
      }
      var items: [Item] = []
      items.reserveCapacity(ranked.count)
      var offset = 0
      for (rank, name, tensor) in ranked {
        let (end, overflow) = offset.addingReportingOverflow(tensor.byteCount)
        guard !overflow else { throw ModelError(.limit, "the sizes of the tensors overflow", subject: name) }
        json.name(name)
        json.open()
        json.name("dtype")
        json.value(DType.safeTensorsOrder[rank].code)
        json.name("shape")
        json.value(tensor.shape)
        json.name("data_offsets")
        json.value([offset, end])
        json.close()
        items.append(Item(name: name, tensor: tensor, offset: offset))
        offset = end
      }
      json.close()
      self.items = items

      let padding = (prefixLength - json.bytes.count % prefixLength) % prefixLength
      let length = json.bytes.count + padding
      guard length <= headerLimit else {
        throw ModelError(.unsupported, "the names and metadata take \(length) bytes; safetensors allows \(headerLimit)")
      }
      var header: [UInt8] = []
      header.reserveCapacity(prefixLength + length)
      withUnsafeBytes(of: UInt64(length).littleEndian) { header.append(contentsOf: $0) }
      header += json.bytes
      header += repeatElement(UInt8(ascii: " "), count: padding)
      self.header = header
      let (total, overflow) = header.count.addingReportingOverflow(offset)
      guard !overflow else { throw ModelError(.limit, "the sizes of the tensors overflow") }
      byteCount = total
    }

    /// Refuses what `read` would take for another name of a tensor.
    private static func checkMetadata(_ state: StateDict, _ aliases: [String: String]) throws {
      guard let metadata = state.metadata, !metadata.isEmpty else { return }
      let modules = state.modules
      for (key, value) in metadata
      where state.tensors[key] == nil && aliases[value] == nil && state.isAlias(key, of: value, modules: modules) {
        throw ModelError(
          .unsupported,
          "the metadata entry of this name holds the name of a tensor, so it would be read back as a tied tensor",
          subject: key, advice: "remove or change it")
      }
    }

    private static func aliases(_ state: StateDict) -> [String: String] {
      // Few storages are shared, and those are found without looking at shapes.
      var storages = Set<ObjectIdentifier>(minimumCapacity: state.count)
      var shared = Set<ObjectIdentifier>()
      for tensor in state.tensors.values where tensor.count > 0 {
        let storage = ObjectIdentifier(tensor.storage)
        if !storages.insert(storage).inserted { shared.insert(storage) }
      }
      if shared.isEmpty { return [:] }
      var groups: [Tensor.Identity: [String]] = [:]
      for (name, tensor) in state.tensors where tensor.count > 0 && shared.contains(ObjectIdentifier(tensor.storage)) {
        groups[tensor.identity, default: []].append(name)
      }
      let modules = state.modules
      var aliases: [String: String] = [:]
      for names in groups.values {
        let sorted = names.sorted { $0.precedesInBytes($1) }
        let chosen = sorted.lazy.compactMap { state.aliases[$0] }.first { sorted.contains($0) }
        guard let kept = chosen ?? sorted.first else { continue }
        for alias in sorted
        where alias != kept && (state.metadata?[alias] ?? kept) == kept
          && state.isAlias(alias, of: kept, modules: modules)
        {
          aliases[alias] = kept
        }
      }
      return aliases
    }
  }
}
