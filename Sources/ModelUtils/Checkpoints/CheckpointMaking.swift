import ModelCore

extension Checkpoint {
  /// Whether the preferred model stands in the file as a module of Python, not as tensors.
  public var isWholeModule: Bool {
    preferred.module != nil && torch.map { $0.places[preferredKey]?.isModule ?? false } ?? false
  }

  /// Says of which module the preferred model's tensors are, where the file does not. It stays a state dict there, with
  /// what describes the module beside it.
  public mutating func describe(as module: Module) {
    guard preferred.module == nil, !models.isEmpty else { return }
    let metadata = metadata
    let key = preferredKey
    if torch?.places[key] != nil { torch?.recorded.insert(key) }
    preferred = .module(module)
    self.metadata = metadata
  }

  /// A checkpoint that no file holds yet: a state dict, to be written.
  public init(_ state: StateDict, name: String = "state dict") {
    self.name = name
    format = .torch
    models = ["": .stateDict(state)]
    torch = nil
  }

  /// A checkpoint that no file holds: a module that was built, not read. It is written as its state dict.
  public init(_ module: Module, name: String) {
    self.name = name
    format = .torch
    models = ["": .module(module)]
    torch = nil
  }

  /// A checkpoint that no file holds, to be written as `torch.save(module)` writes a module: whole. Python then needs
  /// the code of its classes, and `torch.load(weights_only=False)`.
  public init(whole module: Module, name: String) {
    self.init(module, name: name)
    var graph = PickleGraph()
    graph.root = graph.add(.none)
    let place = ModelSelection.Place(key: "", reference: graph.root, isModule: false, path: [])
    torch = TorchSource(graph: graph, places: ["": place], modules: [:], stateDicts: [:])
  }

  /// Makes the file a dict that holds the model under a key, so that entries can stand beside it. A file that is such a
  /// dict stays as it is.
  public mutating func nestModel(under key: String) {
    guard !hasEntries, let model = models[""] else { return }
    var graph = torch?.graph ?? PickleGraph()
    var place: ModelSelection.Place
    if let known = torch?.places[""] {
      place = known
    } else {
      let reference = graph.addOrderedDict()
      place = .init(key: "", reference: reference, isModule: false, path: [])
      // Written into an empty dict, every tensor is new.
      torch = TorchSource(graph: graph, places: [:], modules: [:], stateDicts: [reference: StateDict()])
      if model.module != nil { torch?.recorded = [key] }
    }
    let name = graph.add(.string(key))
    graph.root = graph.add(.dict([.init(key: name, value: place.reference)]))
    (place.key, place.path) = (key, [.init(dictionary: graph.root, key: key)])
    torch?.graph = graph
    torch?.places = [key: place]
    if torch?.recorded.remove("") != nil { torch?.recorded.insert(key) }
    models = [key: model]
  }

  /// Puts another whole module beside the model, under a key of its own, as training programs keep an average. Does
  /// nothing where the file is no dict with entries.
  public mutating func add(whole module: Module, under key: String) throws {
    try setEntry(key, to: .none)
    guard hasEntries, let graph = torch?.graph, let value = graph.dictionary(graph.root)?[key] else { return }
    torch?.places[key] = ModelSelection.Place(
      key: key, reference: value, isModule: false, path: [.init(dictionary: graph.root, key: key)])
    models[key] = .module(module)
  }
}
