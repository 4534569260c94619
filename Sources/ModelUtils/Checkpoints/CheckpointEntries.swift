import ModelCore

/// What stands beside the models in a PyTorch file that is a dict: `epoch`, `optimizer`, `updates`, ….
extension Checkpoint {
  /// The dict that the file is; nil for any other file, a bare state dict included.
  private var container: PickleGraph.Reference? {
    guard let torch, models[""] == nil, torch.graph.entries(torch.graph.root) != nil else { return nil }
    return torch.graph.root
  }

  /// Whether entries can stand beside the models.
  public var hasEntries: Bool { container != nil }

  /// An entry, as far as it is understood: numbers, text, None; anything else is opaque. Nil where there is none.
  public func entry(_ key: String) -> Attribute? {
    guard let container, let graph = torch?.graph, let value = graph.dictionary(container)?[key] else { return nil }
    switch graph.nodes[value] {
    case .none: return Attribute.none
    case .bool(let flag): return .bool(flag)
    case .int(let number): return .int(number)
    case .double(let number): return .double(number)
    default: return graph.text(value).map { .string($0) } ?? .opaque("object")
    }
  }

  /// The entries that are numbers, text, bools or None.
  package var plainEntries: OrderedDictionary<String, Attribute> {
    guard let container, let keys = torch?.graph.dictionary(container)?.keys else { return [:] }
    let entries = keys.compactMap { key in entry(key).flatMap { $0.opaquePart == nil ? (key, $0) : nil } }
    return OrderedDictionary(entries, uniquingKeysWith: { first, _ in first })
  }

  /// An entry with all that it holds, such as the state of an optimizer: dicts, lists and tensors, as far as they are
  /// understood. Nil where there is none.
  public func contents(of key: String) -> Attribute? {
    guard let container, let graph = torch?.graph, let value = graph.dictionary(container)?[key] else { return nil }
    var reader = ModuleReader(graph)
    return reader.value(value)
  }

  /// Sets an entry, a new one at the end. Does nothing where the file is no dict with entries. A model that stood there
  /// is one no more.
  /// - Throws: `ModelError` for a value that was never understood, unless it is the entry's own.
  public mutating func setEntry(_ key: String, to value: Attribute) throws {
    if let text = value.opaquePart {
      if value == entry(key) { return }
      throw ModelError(
        .unsupported, "what was not understood when it was read (\(text)) cannot be an entry", subject: key)
    }
    set(key, to: value)
  }

  /// Takes an entry out. Does nothing where there is none.
  /// - Throws: `ModelError` for an entry that is the model, or holds it.
  public mutating func removeEntry(_ key: String) throws {
    guard let container, entry(key) != nil else { return }
    guard !models.keys.contains(where: { $0 == key || $0.hasPrefix(key + ".") }) else {
      throw ModelError(.invalid, "is the model, or holds it", file: name, subject: key)
    }
    let none: PickleGraph.Reference? = nil
    torch?.graph.change([key: none], of: container)
  }

  private mutating func set(_ key: String, to value: Attribute) {
    guard let container, let new = torch?.graph.add(value, owner: container) else { return }
    torch?.graph.change([key: new], of: container)
    torch?.places[key] = nil
    models[key] = nil
  }

  /// Sets `optimizer` to None, for its state no longer fits a model whose parameters changed in number or shape.
  public mutating func dropOptimizer() {
    if entry("optimizer") != nil { set("optimizer", to: .none) }
  }
}

extension PickleGraph {
  /// An object for an attribute; a bound method is `owner`'s.
  mutating func add(_ attribute: Attribute, owner: Reference) -> Reference {
    switch attribute {
    case .none: return add(.none)
    case .bool(let value): return add(.bool(value))
    case .int(let value): return add(.int(value))
    case .double(let value): return add(.double(value))
    case .string(let text): return add(.string(text))
    case .list(let items):
      let references = items.map { add($0, owner: owner) }
      return add(.list(references))
    case .tuple(let items):
      let references = items.map { add($0, owner: owner) }
      return add(.tuple(references))
    case .size(let lengths):
      let numbers = lengths.map { add(.int($0)) }
      return addCall("torch", "Size", [add(.tuple(numbers))])
    case .dict(let entries):
      let pairs = add(entries, owner: owner)
      return add(.dict(pairs))
    case .orderedDict(let entries):
      let pairs = add(entries, owner: owner)
      let dict = addOrderedDict()
      setEntries(pairs, of: dict)
      return dict
    case .set(let items): return addCall("builtins", "set", [add(.list(items), owner: owner)])
    case .frozenSet(let items): return addCall("builtins", "frozenset", [add(.list(items), owner: owner)])
    case .tensor(let held):
      return add(
        held.tensor, parameterRequiresGrad: held.requiresGrad, location: location(ofModule: owner) ?? Self.cpu)
    case .boundMethod(let name):
      let method = add(.string(name))
      return addCall("builtins", "getattr", [owner, method])
    case .unboundMethod(let className, let name):
      let owner = add(.global(className))
      let method = add(.string(name))
      return addCall("builtins", "getattr", [owner, method])
    // Those who call see to it that nothing is opaque.
    case .opaque: return add(.none)
    }
  }

  private mutating func add(_ entries: [Attribute.Entry], owner: Reference) -> [Entry] {
    entries.map { Entry(key: add($0.key, owner: owner), value: add($0.value, owner: owner)) }
  }
}
