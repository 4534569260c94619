import ModelCore

/// Writes changed tensors into a pickled state dict, in the state dict's order; entries that are no tensors stay.
struct StateDictUpdate {
  private var newTensors: [Tensor.Identity: PickleGraph.Reference] = [:]

  mutating func apply(
    _ state: StateDict, original: StateDict, at reference: PickleGraph.Reference, in graph: inout PickleGraph
  ) {
    let nested = update(state, original, inside: reference, in: &graph)
    let old = graph.dictionary(reference) ?? [:]
    let location = graph.location(ofDictionary: reference) ?? PickleGraph.cpu
    var values = OrderedDictionary<String, PickleGraph.Reference>(minimumCapacity: state.count)
    for (name, tensor) in state.tensors where !nested.contains(name) {
      let before = original[name]
      if let known = old[name], let before, before.identity == tensor.identity {
        values[name] = known
      } else {
        values[name] = write(tensor, like: before == nil ? nil : old[name], location, in: &graph)
      }
    }
    graph.arrange(values, of: reference) { original[$0] != nil && !nested.contains($0) }
  }

  /// Changes what stands in the dicts inside a state dict, and under integers, where it stands.
  /// - Returns: the names of all that.
  private mutating func update(
    _ state: StateDict, _ original: StateDict, inside reference: PickleGraph.Reference, in graph: inout PickleGraph
  ) -> Set<String> {
    let location = graph.location(ofDictionary: reference) ?? PickleGraph.cpu
    var names: Set<String> = []
    var removed: [PickleGraph.StateEntry] = []
    // What was read once can be read again.
    for entry in (try? graph.stateEntries(of: reference)) ?? [] where !entry.isPlain {
      guard let before = original[entry.name] else { continue }
      names.insert(entry.name)
      guard let tensor = state[entry.name] else {
        removed.append(entry)
        continue
      }
      if tensor.identity != before.identity {
        graph.replace(entry, with: write(tensor, like: entry.value, location, in: &graph))
      }
    }
    graph.remove(removed)
    return names
  }

  /// The object of a tensor, one for all tied names; a parameter stays a parameter.
  private mutating func write(
    _ tensor: Tensor, like old: PickleGraph.Reference?, _ location: String, in graph: inout PickleGraph
  ) -> PickleGraph.Reference {
    if let known = newTensors[tensor.identity] { return known }
    let object = old.flatMap { try? graph.tensor($0) }
    let requiresGrad = object.flatMap { $0.isParameter ? $0.requiresGrad : nil }
    let reference = graph.add(
      tensor, parameterRequiresGrad: requiresGrad,
      location: old.flatMap { graph.location(ofTensor: $0) } ?? location, like: old)
    newTensors[tensor.identity] = reference
    return reference
  }
}
