import ModelCore

/// Finds the models in a PyTorch file: the file itself, or what stands under the keys that training programs use.
struct ModelSelection {
  /// Where a model stands.
  struct Place {
    /// The keys from the root, joined by dots; empty for the root itself.
    var key: String
    var reference: PickleGraph.Reference
    var isModule: Bool
    /// The dicts on the way from the root and the key taken in each; empty for the root.
    var path: [Holder]
    /// The dict that holds it and its key there; nil for the root.
    var holder: Holder? { path.last }
  }

  /// A dict, a list or an object's attributes, and the key or place taken there.
  struct Holder {
    var dictionary: PickleGraph.Reference
    var key: String
  }

  /// The keys under which programs store models, the preferred ones first.
  static let keys = averageKeys + plainKeys

  /// Those under which averages of the weights stand.
  static let averageKeys = ["ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema", "g_ema"]

  /// Those of the weights as they are trained.
  static let plainKeys = [
    "model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "weights", "params",
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
      guard let (reference, path) = resolve(key) else {
        throw ModelError(.missing, "there is no key '\(key)'", advice: "the file has \(list(topKeys))")
      }
      let found = try holding(reference, at: path, depth: 0)
      guard let first = found.first else { throw ModelError(.missing, "'\(key)' holds no model") }
      return [first]
    }
    let found = try holding(graph.root, at: [], depth: 0)
    if !found.isEmpty { return found }
    if graph.isTensor(graph.root) { throw ModelError(.missing, "holds a single tensor, no model") }
    let others = candidates()
    guard others.isEmpty else {
      throw ModelError(
        .missing, "holds no model where one is looked for; there are some under \(list(others))",
        advice: "choose one with --key")
    }
    guard graph.entries(graph.root) != nil else {
      throw ModelError(.missing, "holds no model", advice: "a state dict, a dict with one, or a whole module is needed")
    }
    throw ModelError(.missing, "holds no model; it has \(list(topKeys))")
  }

  /// The keys under which models stand in the file's dicts, lists and objects, the first ones.
  private mutating func candidates() -> [String] {
    let (limit, depthLimit) = (4096, 4)
    var found: [String] = []
    var pending = [(reference: graph.root, key: "", depth: 0)]
    var seen: Set<PickleGraph.Reference> = [graph.root]
    var next = 0
    while next < pending.count {
      let (reference, key, depth) = pending[next]
      next += 1
      if depth > 0, isModule(reference) || isStateDict(reference) {
        found.append(key)
      } else if depth < depthLimit, let holder = graph.holder(of: reference),
        holder == reference || seen.insert(holder).inserted
      {
        for (name, value) in graph.children(in: holder).prefix(limit - pending.count)
        where !Self.isTrainingState(name) && !name.contains(".") && seen.insert(value).inserted {
          pending.append((value, depth == 0 ? name : "\(key).\(name)", depth + 1))
        }
      }
    }
    return found
  }

  private var topKeys: [String] { graph.dictionary(graph.root).map { Array($0.keys) } ?? [] }

  private func list(_ keys: [String]) -> String {
    if keys.isEmpty { return "no keys" }
    return keys.prefix(12).map { "'\($0)'" }.joined(separator: ", ") + (keys.count > 12 ? ", …" : "")
  }

  private func resolve(_ key: String) -> (PickleGraph.Reference, [Holder])? {
    if key.isEmpty { return (graph.root, []) }
    if let exact = graph.dictionary(graph.root)?[key] {
      return (exact, [Holder(dictionary: graph.root, key: key)])
    }
    var reference = graph.root
    var path: [Holder] = []
    for part in key.split(separator: ".", omittingEmptySubsequences: false) {
      // The last of equal keys counts.
      guard let holder = graph.holder(of: reference),
        let next = graph.children(in: holder).last(where: { $0.name == part })?.value
      else { return nil }
      path.append(Holder(dictionary: holder, key: String(part)))
      reference = next
    }
    return (reference, path)
  }

  /// The models that an object is or holds.
  private mutating func holding(
    _ reference: PickleGraph.Reference, at path: [Holder], depth: Int
  ) throws -> [Place] {
    func place(_ reference: PickleGraph.Reference, _ path: [Holder], isModule: Bool) -> Place {
      Place(key: path.map(\.key).joined(separator: "."), reference: reference, isModule: isModule, path: path)
    }
    if isModule(reference) { return [place(reference, path, isModule: true)] }
    guard depth < 4, searched.insert(reference).inserted, let entries = graph.dictionary(reference) else { return [] }
    func inside(_ name: String) -> [Holder] { path + [Holder(dictionary: reference, key: name)] }
    var found: [Place] = []
    for name in Self.keys(of: reference, in: graph) {
      if let value = entries[name] { found += try holding(value, at: inside(name), depth: depth + 1) }
    }
    if found.contains(where: \.isModule) { found.removeAll { !$0.isModule } }
    if found.isEmpty {
      for (name, value) in entries where isModule(value) {
        found.append(place(value, inside(name), isModule: true))
      }
    }
    if !found.isEmpty || isWeights(entries) {
      return found.isEmpty ? [place(reference, path, isModule: false)] : found
    }
    // No known key: a single dict of tensors is meant, several are not told apart by guessing.
    let states = entries.keys.filter { name in
      !Self.isTrainingState(name) && entries[name].map { isStateDict($0) } ?? false
    }
    if states.count > 1, path.isEmpty {
      throw ModelError(.missing, "holds several models: \(list(Array(states)))", advice: "choose one with --key")
    }
    if let name = states.first, let value = entries[name], path.isEmpty || isScalars(entries) {
      return [place(value, inside(name), isModule: false)]
    }
    if isStateDict(reference) { return [place(reference, path, isModule: false)] }
    // Under a known key the whole of a dict is the model, however its weights are nested.
    guard let last = path.last?.key, !Self.isTrainingState(last), try graph.holdsWeights(reference) else { return [] }
    return [place(reference, path, isModule: false)]
  }

  /// The keys to look under in a dict. mmengine changes the two places when it saves: its `state_dict` is the average.
  static func keys(of dictionary: PickleGraph.Reference, in graph: PickleGraph) -> [String] {
    let meta = graph.value(forKey: "meta", of: dictionary)
    guard let meta, graph.value(forKey: "mmengine_version", of: meta) != nil else { return keys }
    return keys.filter { $0 != "ema_state_dict" }
  }

  /// Whether an entry holds the state of an optimizer or of what steers it.
  static func isTrainingState(_ name: String) -> Bool { name.contains("optim") || name.contains("sched") }

  /// Whether a dict has tensors under the names that weights have, such as `conv.weight`: then it is itself a model,
  /// and its other tensors belong to it. A tensor under a plain name, such as `loss`, may stand beside models.
  private func isWeights(_ entries: OrderedDictionary<String, PickleGraph.Reference>) -> Bool {
    entries.contains { name, value in
      (name.contains(".") || name == "weight" || name == "bias") && graph.isWeight(value)
    }
  }

  /// Whether all tensors of a dict are without axes: counts and decays beside the weights.
  private func isScalars(_ entries: OrderedDictionary<String, PickleGraph.Reference>) -> Bool {
    entries.values.allSatisfy { value in
      guard graph.isTensor(value) else { return true }
      return (try? graph.tensor(value).tensor.shape.isEmpty) ?? false
    }
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
    let isStateDict =
      graph.entries(reference)?.contains { entry in
        graph.isWeight(entry.value) && (graph.text(entry.key) != nil || graph.int(entry.key) != nil)
      } ?? false
    stateDicts[reference] = isStateDict
    return isStateDict
  }

  // MARK: Reading

  /// The weights of a state dict, in order: tensors and NumPy's arrays, those in dicts inside it under names with dots.
  /// What is no weight stays in the file; `leftOut` names it.
  func stateDict(_ reference: PickleGraph.Reference) throws -> (state: StateDict, leftOut: [LeftOut]) {
    var state = StateDict()
    var leftOut: [LeftOut] = []
    for entry in try graph.stateEntries(of: reference) {
      do {
        if let tensor = try graph.weight(entry.value) {
          state[entry.name] = tensor
        } else {
          let isTraining = Self.isTrainingState(entry.name)
          leftOut.append(
            LeftOut(
              name: entry.name, isWeight: !isTraining && graph.holdsTensors(entry.value),
              isUninitialized: graph.isUninitialized(entry.value)))
        }
      } catch let error as ModelError { throw error.about(entry.name) }
    }
    return (state, leftOut)
  }

  /// An entry of a state dict that is no tensor.
  struct LeftOut: Sendable {
    let name: String
    /// Whether there are tensors in it all the same, such as the packed ones of a quantized layer.
    let isWeight: Bool
    let isUninitialized: Bool
  }

  /// The tensors of a TorchScript module: its attributes and those of the modules below it, by dotted path.
  /// - Parameter parameters: the names of each class's parameters.
  func scriptStateDict(_ parameters: [ClassName: Set<String>]) throws -> StateDict {
    var state = StateDict()
    var visited = 0
    func visit(_ reference: PickleGraph.Reference, _ prefix: String, _ depth: Int) throws {
      guard let attributes = graph.stateDictionary(reference).flatMap({ graph.dictionary($0) }) else { return }
      visited += 1 + attributes.count
      guard depth < ModuleReader.depthLimit, visited <= ModuleExtent.placeLimit else {
        throw ModelError(.limit, "the modules are nested too deeply or shared too often")
      }
      let known = graph.objectClass(reference).flatMap { parameters[$0] }
      for (name, value) in attributes where graph.isTensor(value) {
        if let known, !known.contains(name) { state.buffers.insert(prefix + name) }
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
