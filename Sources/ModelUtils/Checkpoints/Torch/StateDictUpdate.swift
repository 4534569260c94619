import ModelCore

/// Writes changed tensors back into a pickled state dict, keeping its other entries and the order.
struct StateDictUpdate {
  private var newTensors: [Tensor.Identity: PickleGraph.Reference] = [:]

  mutating func apply(
    _ state: StateDict, original: StateDict, at reference: PickleGraph.Reference, in graph: inout PickleGraph
  ) {
    // Entries that are new follow the one they follow in `state`.
    var followers: [String?: [String]] = [:]
    var last: String?
    for name in state.names {
      if original[name] == nil { followers[last, default: []].append(name) } else { last = name }
    }
    var entries: [PickleGraph.Entry] = []
    func appendNew(after name: String?) {
      for added in followers[name] ?? [] {
        guard let tensor = state[added] else { continue }
        entries.append(.init(key: graph.add(.string(added)), value: write(tensor, like: nil, in: &graph)))
      }
    }
    appendNew(after: nil)
    for var entry in graph.entries(reference) ?? [] {
      guard let name = graph.text(entry.key), let before = original[name] else {
        entries.append(entry)
        continue
      }
      guard let tensor = state[name] else { continue }
      if tensor.identity != before.identity { entry.value = write(tensor, like: entry.value, in: &graph) }
      entries.append(entry)
      appendNew(after: name)
    }
    graph.setEntries(entries, of: reference)
  }

  /// The object of a tensor, one for all tied names; a parameter stays a parameter.
  private mutating func write(
    _ tensor: Tensor, like old: PickleGraph.Reference?, in graph: inout PickleGraph
  ) -> PickleGraph.Reference {
    if let known = newTensors[tensor.identity] { return known }
    let object = old.flatMap { try? graph.tensor($0) }
    let requiresGrad = object.flatMap { $0.isParameter ? $0.requiresGrad : nil }
    graph.tensors.append(.init(tensor: tensor, parameterRequiresGrad: requiresGrad))
    let reference = graph.add(.tensor(graph.tensors.count - 1))
    newTensors[tensor.identity] = reference
    return reference
  }
}
