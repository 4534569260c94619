import ModelCore

/// Writes what surgery changed in a `Module` back into the objects it was read from. Everything else of them stays as
/// it was.
struct ModuleUpdate {
  private var graph: PickleGraph
  /// The object and the value that each module was read from.
  private let origins: [Identity: (reference: PickleGraph.Reference, module: Module)]
  private var parameterReferences: [Identity: PickleGraph.Reference] = [:]
  private var originalParameters: [Identity: Parameter] = [:]
  private var newTensors: [Tensor.Identity: PickleGraph.Reference] = [:]
  private var written: [Identity: PickleGraph.Reference] = [:]

  /// - Parameter origins: as `ModuleReader.modules` gave them for this graph.
  init(_ graph: PickleGraph, origins: [PickleGraph.Reference: Module]) {
    self.graph = graph
    self.origins = Dictionary(
      origins.map { ($0.value.identity, ($0.key, $0.value)) }, uniquingKeysWith: { first, _ in first })
    for (reference, module) in origins {
      let entries = part("_parameters", of: reference).flatMap { graph.dictionary($0) } ?? [:]
      for (name, parameter) in module.parameters {
        originalParameters[parameter.identity] = parameter
        parameterReferences[parameter.identity] = entries[name]
      }
    }
  }

  /// The graph with the modules in it.
  static func apply(
    _ modules: [Module], to graph: PickleGraph, origins: [PickleGraph.Reference: Module]
  ) -> PickleGraph {
    var update = ModuleUpdate(graph, origins: origins)
    for module in modules { _ = update.write(module, like: nil) }
    return update.graph
  }

  private func part(_ name: String, of reference: PickleGraph.Reference) -> PickleGraph.Reference? {
    graph.stateDictionary(reference).flatMap { graph.value(forKey: name, of: $0) }
  }

  /// Writes a module and gives its object. A module that the file did not have is made `like` the object it replaces or
  /// stands beside.
  private mutating func write(_ module: Module, like sibling: PickleGraph.Reference?) -> PickleGraph.Reference {
    if let done = written[module.identity] { return done }
    let origin = origins[module.identity]
    let reference = origin?.reference ?? make(module, like: sibling)
    written[module.identity] = reference
    let original = origin?.module ?? Module(module.className, isTraining: module.isTraining)

    var parameters = Self.removals(original.parameters, module.parameters)
    for (name, parameter) in module.parameters where isChanged(parameter, from: original.parameters[name]) {
      parameters[name] = write(parameter)
    }
    change("_parameters", of: reference, parameters)

    var buffers = Self.removals(original.buffers, module.buffers)
    for (name, buffer) in module.buffers where buffer.identity != original.buffers[name]?.identity {
      buffers[name] = write(buffer)
    }
    change("_buffers", of: reference, buffers)

    var children = Self.removals(original.children, module.children)
    let existing = part("_modules", of: reference).flatMap { graph.dictionary($0) } ?? [:]
    for (name, child) in module.children {
      let value = write(child, like: existing[name] ?? reference)
      if value != existing[name] { children[name] = value }
    }
    change("_modules", of: reference, children)

    var attributes = Self.removals(original.attributes, module.attributes)
    if module.isTraining != original.isTraining { attributes["training"] = graph.add(.bool(module.isTraining)) }
    for (name, attribute) in module.attributes where attribute != original.attributes[name] {
      attributes[name] = graph.add(attribute, owner: reference)
    }
    if let state = graph.stateDictionary(reference) { graph.change(attributes, of: state) }
    return reference
  }

  private mutating func change(
    _ name: String, of reference: PickleGraph.Reference, _ changes: OrderedDictionary<String, PickleGraph.Reference?>
  ) {
    if let entries = part(name, of: reference) { graph.change(changes, of: entries) }
  }

  /// The keys that are gone.
  private static func removals<Value>(
    _ old: OrderedDictionary<String, Value>, _ new: OrderedDictionary<String, Value>
  ) -> OrderedDictionary<String, PickleGraph.Reference?> {
    OrderedDictionary(
      uniqueKeysWithValues: old.keys.filter { new[$0] == nil }.map { ($0, PickleGraph.Reference?.none) })
  }

  private func isChanged(_ parameter: Parameter, from original: Parameter?) -> Bool {
    parameter.identity != original?.identity || parameter.requiresGrad != original?.requiresGrad
      || parameter.tensor.identity != original?.tensor.identity
  }

  /// A parameter that the file has and nobody changed stays that object; any other becomes a new one, the same for all
  /// who share it.
  private mutating func write(_ parameter: Parameter) -> PickleGraph.Reference {
    if let known = parameterReferences[parameter.identity],
      !isChanged(parameter, from: originalParameters[parameter.identity])
    {
      return known
    }
    graph.tensors.append(.init(tensor: parameter.tensor, parameterRequiresGrad: parameter.requiresGrad))
    let reference = graph.add(.tensor(graph.tensors.count - 1))
    parameterReferences[parameter.identity] = reference
    originalParameters[parameter.identity] = parameter
    return reference
  }

  private mutating func write(_ buffer: Tensor) -> PickleGraph.Reference {
    if let known = newTensors[buffer.identity] { return known }
    graph.tensors.append(.init(tensor: buffer, parameterRequiresGrad: nil))
    let reference = graph.add(.tensor(graph.tensors.count - 1))
    newTensors[buffer.identity] = reference
    return reference
  }

  /// A new object of the module's class, with the empty hooks and flags that the PyTorch that wrote `sibling` gives a
  /// module.
  private mutating func make(_ module: Module, like sibling: PickleGraph.Reference?) -> PickleGraph.Reference {
    var entries: [PickleGraph.Entry] = []
    func isDict(_ reference: PickleGraph.Reference) -> Bool {
      if case .dict = graph.nodes[reference] { true } else { false }
    }
    let template = sibling.flatMap { graph.stateDictionary($0) }.flatMap { graph.entries($0) } ?? []
    for entry in template {
      guard let name = graph.text(entry.key), name == "training" || name.hasPrefix("_"),
        name != "_reversed_padding_repeated_twice"
      else { continue }
      let value: PickleGraph.Reference
      if name == "training" {
        value = graph.add(.bool(module.isTraining))
      } else if graph.entries(entry.value) != nil {
        value = isDict(entry.value) ? graph.add(.dict([])) : graph.addOrderedDict()
      } else if name == "_non_persistent_buffers_set" {
        value = graph.addCall("builtins", "set", [graph.add(.list([]))])
      } else if graph.isNone(entry.value) || graph.bool(entry.value) != nil {
        value = entry.value
      } else {
        continue
      }
      entries.append(.init(key: entry.key, value: value))
    }
    let callable = graph.add(.global(module.className))
    let arguments = graph.add(.tuple([]))
    let state = graph.add(.dict(entries))
    return graph.addCall(.init(kind: .newObject, callable: callable, arguments: arguments, states: [state]))
  }
}
