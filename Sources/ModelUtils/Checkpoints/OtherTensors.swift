import ModelCore

extension Checkpoint {
  /// The tensors of a PyTorch file that are in none of its models: an optimizer's, buffers that a state dict leaves
  /// out, tensors beside a model. By their way from the root; one that stands in several places is listed once.
  public struct OtherTensors: Sendable {
    /// Names and tensors.
    public var tensors = StateDict()
    /// The places of tensors of a kind that is not read, such as sparse ones.
    public var unread: [String] = []
  }

  /// What `OtherTensors` says; nothing for any other format.
  public func otherTensors() -> OtherTensors {
    guard let torch else { return OtherTensors() }
    var known: Set<Tensor.Identity> = []
    for model in models.values {
      for tensor in model.stateDict().tensors.values { known.insert(tensor.identity) }
    }
    // Tensors without elements are not told apart by where these stand.
    var names: Set<String> = []
    for (key, model) in models {
      for name in model.stateDict().names { names.insert(key.isEmpty ? name : "\(key).\(name)") }
    }
    var others = OtherTensors()
    torch.graph.forEachTensor { path, reference in
      guard let tensor = try? torch.graph.tensor(reference).tensor else { return others.unread.append(path) }
      guard
        known.insert(tensor.identity).inserted
          || (tensor.count == 0 && others.tensors[path] == nil && !names.contains(path))
      else { return }
      others.tensors[path] = tensor
    }
    return others
  }
}

extension PickleGraph {
  /// Calls `body` with every tensor that the root reaches, once, in order, and the way there. What lies deeper than 64
  /// objects is not visited.
  fileprivate func forEachTensor(_ body: (String, Reference) -> Void) {
    struct Step {
      let reference: Reference
      let path: String
      let depth: Int
    }
    var pending = [Step(reference: root, path: "", depth: 0)]
    var seen: Set<Reference> = [root]
    while let step = pending.popLast() {
      if isTensor(step.reference) {
        body(step.path, step.reference)
        continue
      }
      guard step.depth < 64 else { continue }
      for (name, part) in namedParts(of: step.reference).reversed() where seen.insert(part).inserted {
        pending.append(
          Step(reference: part, path: name.isEmpty ? step.path : dotted(step.path, name), depth: step.depth + 1))
      }
    }
  }

  /// The objects that an object holds: under keys, under places in a list, or, as its state, under no name.
  private func namedParts(of reference: Reference) -> [(String, Reference)] {
    func named(_ entries: [Entry]) -> [(String, Reference)] {
      entries.map { (text($0.key) ?? int($0.key).map(String.init) ?? "?", $0.value) }
    }
    func numbered(_ items: [Reference]) -> [(String, Reference)] {
      items.enumerated().map { (String($0.offset), $0.element) }
    }
    switch nodes[reference] {
    case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): return numbered(items)
    case .dict(let entries): return named(entries)
    case .call(let index):
      let call = calls[index]
      return [("", call.arguments)] + numbered(call.items) + named(call.entries) + call.states.map { ("", $0) }
    default: return []
    }
  }
}
