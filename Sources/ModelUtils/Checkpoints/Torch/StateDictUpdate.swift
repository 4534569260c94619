import ModelCore

/// Writes changed tensors into a pickled state dict, in the state dict's order; entries that are no tensors stay.
struct StateDictUpdate {
  private var newTensors: [Tensor.Identity: PickleGraph.Reference] = [:]

  mutating func apply(
    _ state: StateDict, original: StateDict, at reference: PickleGraph.Reference, in graph: inout PickleGraph
  ) {
    let old = graph.dictionary(reference) ?? [:]
    let location = graph.location(ofDictionary: reference) ?? PickleGraph.cpu
    var values = OrderedDictionary<String, PickleGraph.Reference>(minimumCapacity: state.count)
    for (name, tensor) in state.tensors {
      let before = original[name]
      if let known = old[name], let before, before.identity == tensor.identity {
        values[name] = known
      } else {
        values[name] = write(tensor, like: before == nil ? nil : old[name], location, in: &graph)
      }
    }
    graph.arrange(values, of: reference) { original[$0] != nil }
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
      location: old.flatMap { graph.location(ofTensor: $0) } ?? location)
    newTensors[tensor.identity] = reference
    return reference
  }
}
