import ModelCore

/// Resolves the persistent ids of a PyTorch file: `('storage', class, key, location, count)`.
struct TorchStorages {
  /// What an id asks for.
  struct Request {
    let key: String
    let dtype: DType
    let byteCount: Int
  }

  private var known: [String: PickleGraph.Node] = [:]
  /// Legacy files put the storages behind the pickle: these are the requests in the order in which they were met.
  private(set) var requests: OrderedDictionary<String, Request> = [:]

  /// What stands for a persistent id in the graph; `open` gives the storage.
  mutating func resolve(
    _ id: PickleGraph.Reference, in graph: inout PickleGraph, open: (Request) throws -> Storage
  ) throws -> PickleGraph.Node {
    guard let parts = graph.tuple(id), let kind = parts.first.flatMap({ graph.text($0) }) else {
      throw ModelError(.malformed, "the pickle refers to something outside it that is no storage")
    }
    // Legacy files name the class of a whole module together with its source.
    if kind == "module", parts.count == 4 { return graph.nodes[parts[1]] }
    guard kind == "storage", parts.count == 5 || parts.count == 6,
      let className = graph.className(parts[1]), let key = graph.text(parts[2]),
      let location = graph.text(parts[3]), let count = graph.int(parts[4])
    else { throw ModelError(.malformed, "the pickle describes a storage in an unknown way") }
    guard parts.count == 5 || graph.isNone(parts[5]) else {
      throw ModelError(
        .unsupported, "is a view of another storage, as PyTorch before 0.4 wrote it", subject: "storage \(key)")
    }
    guard let dtype = TorchTypes.dtype(ofStorage: className) else {
      throw ModelError(.unsupported, "storages of class \(className) are not known", subject: "storage \(key)")
    }
    guard count >= 0, let byteCount = dtype.byteCount(of: count) else {
      throw ModelError(.malformed, "has \(count) elements", subject: "storage \(key)")
    }
    if let node = known[key] {
      guard case .storage(let index) = node, graph.storages[index].className == className,
        graph.storages[index].elementCount == count
      else { throw ModelError(.malformed, "is described in two ways", subject: "storage \(key)") }
      return node
    }
    let request = Request(key: key, dtype: dtype, byteCount: byteCount)
    graph.storages.append(
      .init(
        storage: try open(request), className: className, location: location, elementCount: count))
    let node = PickleGraph.Node.storage(graph.storages.count - 1)
    known[key] = node
    requests[key] = request
    return node
  }

  /// A storage of a file whose numbers are big-endian, turned round whenever it is read.
  static func swapped(_ storage: Storage, _ request: Request) throws -> Storage {
    let width = request.dtype.byteOrderWidth
    if width == 1 || request.byteCount == 0 { return storage }
    return try Storage(computedInParts: storage.byteCount) { part, destination in
      try storage.withUnsafeBytes(of: part) { source in
        swapBytes(destination, source, width: width)
      }
    }
  }
}
