import ModelCore

/// Finds the models in a PyTorch file: the file itself, or what stands under the keys that training programs use.
struct ModelSelection {
  /// Where a model stands.
  struct Place {
    /// The keys from the root, joined by dots; empty for the root itself.
    var key: String
    var reference: PickleGraph.Reference
    var isModule: Bool
  }

  /// The keys under which programs store models, the preferred ones first.
  static let keys = [
    "ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema", "model", "state_dict",
    "model_state_dict", "model_state", "net", "network", "module", "weights", "params",
  ]

  private let graph: PickleGraph

  init(_ graph: PickleGraph) { self.graph = graph }

  /// The models of the file, the preferred one first; with a key, the one that stands there.
  /// - Throws: `ModelError` when there is none, or when there are several and none is preferred.
  func models(key: String?) throws -> [Place] {
    if let key {
      guard let reference = resolve(key) else {
        throw ModelError("there is no key '\(key)'", advice: "the file has \(list(topKeys))")
      }
      let found = holding(reference, key: key, depth: 0)
      guard let first = found.first else { throw ModelError("'\(key)' holds no model") }
      return [first]
    }
    let found = holding(graph.root, key: "", depth: 0)
    if !found.isEmpty { return found }
    guard graph.entries(graph.root) != nil else {
      if graph.isTensor(graph.root) { throw ModelError("holds a single tensor, no model") }
      throw ModelError("holds no model", advice: "a state dict, a dict with one, or a whole module is needed")
    }
    // No known key: a single dict of tensors is meant, several are not told apart by guessing.
    let others = (graph.dictionary(graph.root) ?? [:]).filter {
      !$0.key.contains("optim") && !$0.key.contains("sched") && isStateDict($0.value)
    }
    guard let only = others.elements.first, others.count == 1 else {
      throw ModelError(
        others.isEmpty
          ? "holds no model; it has \(list(topKeys))" : "holds several models: \(list(Array(others.keys)))",
        advice: others.isEmpty ? nil : "choose one with --key")
    }
    return [Place(key: only.key, reference: only.value, isModule: false)]
  }

  private var topKeys: [String] { graph.dictionary(graph.root).map { Array($0.keys) } ?? [] }

  private func list(_ keys: [String]) -> String {
    if keys.isEmpty { return "no keys" }
    return keys.prefix(12).map { "'\($0)'" }.joined(separator: ", ") + (keys.count > 12 ? ", …" : "")
  }

  private func resolve(_ key: String) -> PickleGraph.Reference? {
    if key.isEmpty { return graph.root }
    if let exact = graph.dictionary(graph.root)?[key] { return exact }
    var reference = graph.root
    for part in key.split(separator: ".", omittingEmptySubsequences: false) {
      guard let next = graph.dictionary(reference)?[String(part)] else { return nil }
      reference = next
    }
    return reference
  }

  /// The models that an object is or holds.
  private func holding(_ reference: PickleGraph.Reference, key: String, depth: Int) -> [Place] {
    if ModuleReader.isModule(reference, in: graph) {
      return [Place(key: key, reference: reference, isModule: true)]
    }
    guard depth < 4, let entries = graph.dictionary(reference) else { return [] }
    let prefix = key.isEmpty ? "" : key + "."
    var found = Self.keys.flatMap { name in
      entries[name].map { holding($0, key: prefix + name, depth: depth + 1) } ?? []
    }
    if found.contains(where: \.isModule) { found.removeAll { !$0.isModule } }
    if found.isEmpty {
      found = entries.filter { ModuleReader.isModule($0.value, in: graph) }.map {
        Place(key: prefix + $0.key, reference: $0.value, isModule: true)
      }
    }
    if found.isEmpty, isStateDict(reference) {
      return [Place(key: key, reference: reference, isModule: false)]
    }
    return found
  }

  private func isStateDict(_ reference: PickleGraph.Reference) -> Bool {
    graph.dictionary(reference)?.values.contains { graph.isTensor($0) } ?? false
  }

  // MARK: Reading

  /// The tensors of a state dict, in order. Entries that are no tensors stay in the file and are not listed.
  func stateDict(_ reference: PickleGraph.Reference) throws -> StateDict {
    var state = StateDict()
    for (name, value) in graph.dictionary(reference) ?? [:] where graph.isTensor(value) {
      do { state[name] = try graph.tensor(value).tensor } catch let error as ModelError { throw error.about(name) }
    }
    return state
  }

  /// The tensors of a TorchScript module: its attributes and those of the modules below it, by dotted path.
  func scriptStateDict() throws -> StateDict {
    var state = StateDict()
    var visited = 0
    func visit(_ reference: PickleGraph.Reference, _ prefix: String, _ depth: Int) throws {
      guard let attributes = graph.stateDictionary(reference).flatMap({ graph.dictionary($0) }) else { return }
      visited += 1
      guard depth < ModuleReader.depthLimit, visited <= ModuleReader.placeLimit else {
        throw ModelError("the modules are nested too deeply or shared too often")
      }
      for (name, value) in attributes where graph.isTensor(value) {
        do { state[prefix + name] = try graph.tensor(value).tensor } catch let error as ModelError {
          throw error.about(prefix + name)
        }
      }
      for (name, value) in attributes where !graph.isTensor(value) && graph.objectClass(value) != nil {
        try visit(value, "\(prefix)\(name).", depth + 1)
      }
    }
    try visit(graph.root, "", 0)
    return state
  }
}
