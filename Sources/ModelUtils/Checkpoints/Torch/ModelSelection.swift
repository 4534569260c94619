import ModelCore

/// Finds the models in a PyTorch file: the file itself, or what stands under the keys that training programs use.
struct ModelSelection {
  /// Where a model stands.
  struct Place {
    /// The keys from the root, joined by dots; empty for the root itself.
    var key: String
    var reference: PickleGraph.Reference
    var isModule: Bool
    /// The dict that holds it and its key there; nil for the root.
    var holder: Holder?
  }

  struct Holder {
    var dictionary: PickleGraph.Reference
    var key: String
  }

  /// The keys under which programs store models, the preferred ones first.
  static let keys = [
    "ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema", "model", "state_dict",
    "model_state_dict", "model_state", "net", "network", "module", "weights", "params",
  ]

  private let graph: PickleGraph
  /// The dicts that were searched, and what was found of the states of objects and of dicts: each is looked at once,
  /// however many entries share it.
  private var searched: Set<PickleGraph.Reference> = []
  private var statesOfModules: [PickleGraph.Reference: Bool] = [:]
  private var stateDicts: [PickleGraph.Reference: Bool] = [:]

  init(_ graph: PickleGraph) { self.graph = graph }

  /// The models of the file, the preferred one first; with a key, the one that stands there.
  /// - Throws: `ModelError` when there is none, or when there are several and none is preferred.
  mutating func models(key: String?) throws -> [Place] {
    if let key {
      guard let (reference, holder) = resolve(key) else {
        throw ModelError(.missing, "there is no key '\(key)'", advice: "the file has \(list(topKeys))")
      }
      let found = holding(reference, key: key, in: holder, depth: 0)
      guard let first = found.first else { throw ModelError(.missing, "'\(key)' holds no model") }
      return [first]
    }
    let found = holding(graph.root, key: "", in: nil, depth: 0)
    if !found.isEmpty { return found }
    guard graph.entries(graph.root) != nil else {
      if graph.isTensor(graph.root) { throw ModelError(.missing, "holds a single tensor, no model") }
      throw ModelError(.missing, "holds no model", advice: "a state dict, a dict with one, or a whole module is needed")
    }
    // No known key: a single dict of tensors is meant, several are not told apart by guessing.
    var others: OrderedDictionary<String, PickleGraph.Reference> = [:]
    for (name, value) in graph.dictionary(graph.root) ?? [:]
    where !name.contains("optim") && !name.contains("sched") && isStateDict(value) {
      others[name] = value
    }
    guard let only = others.elements.first, others.count == 1 else {
      throw ModelError(
        .missing,
        others.isEmpty
          ? "holds no model; it has \(list(topKeys))" : "holds several models: \(list(Array(others.keys)))",
        advice: others.isEmpty ? nil : "choose one with --key")
    }
    let holder = Holder(dictionary: graph.root, key: only.key)
    return [Place(key: only.key, reference: only.value, isModule: false, holder: holder)]
  }

  private var topKeys: [String] { graph.dictionary(graph.root).map { Array($0.keys) } ?? [] }

  private func list(_ keys: [String]) -> String {
    if keys.isEmpty { return "no keys" }
    return keys.prefix(12).map { "'\($0)'" }.joined(separator: ", ") + (keys.count > 12 ? ", …" : "")
  }

  private func resolve(_ key: String) -> (PickleGraph.Reference, Holder?)? {
    if key.isEmpty { return (graph.root, nil) }
    if let exact = graph.dictionary(graph.root)?[key] {
      return (exact, Holder(dictionary: graph.root, key: key))
    }
    var reference = graph.root
    var holder: Holder?
    for part in key.split(separator: ".", omittingEmptySubsequences: false) {
      guard let next = graph.dictionary(reference)?[String(part)] else { return nil }
      holder = Holder(dictionary: reference, key: String(part))
      reference = next
    }
    return (reference, holder)
  }

  /// The models that an object is or holds.
  private mutating func holding(
    _ reference: PickleGraph.Reference, key: String, in holder: Holder?, depth: Int
  ) -> [Place] {
    if isModule(reference) {
      return [Place(key: key, reference: reference, isModule: true, holder: holder)]
    }
    guard depth < 4, searched.insert(reference).inserted, let entries = graph.dictionary(reference) else { return [] }
    let prefix = key.isEmpty ? "" : key + "."
    func inside(_ name: String) -> Holder { Holder(dictionary: reference, key: name) }
    var found: [Place] = []
    for name in Self.keys {
      if let value = entries[name] { found += holding(value, key: prefix + name, in: inside(name), depth: depth + 1) }
    }
    if found.contains(where: \.isModule) { found.removeAll { !$0.isModule } }
    if found.isEmpty {
      for (name, value) in entries where isModule(value) {
        found.append(Place(key: prefix + name, reference: value, isModule: true, holder: inside(name)))
      }
    }
    if found.isEmpty, isStateDict(reference) {
      return [Place(key: key, reference: reference, isModule: false, holder: holder)]
    }
    return found
  }

  private mutating func isModule(_ reference: PickleGraph.Reference) -> Bool {
    guard graph.objectClass(reference) != nil, let state = graph.stateDictionary(reference) else { return false }
    if let known = statesOfModules[state] { return known }
    let isModule = ModuleReader.isModule(reference, in: graph)
    statesOfModules[state] = isModule
    return isModule
  }

  private mutating func isStateDict(_ reference: PickleGraph.Reference) -> Bool {
    if let known = stateDicts[reference] { return known }
    let isStateDict = graph.dictionary(reference)?.values.contains { graph.isTensor($0) } ?? false
    stateDicts[reference] = isStateDict
    return isStateDict
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
      visited += 1 + attributes.count
      guard depth < ModuleReader.depthLimit, visited <= ModuleReader.placeLimit else {
        throw ModelError(.limit, "the modules are nested too deeply or shared too often")
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
