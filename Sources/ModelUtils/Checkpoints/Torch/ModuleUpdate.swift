import ModelCore

/// Writes what was changed in a `Module` back into the objects it was read from. Everything else of them stays as it
/// was.
struct ModuleUpdate {
  private(set) var graph: PickleGraph
  /// The object and the value that each module was read from.
  private let origins: [Identity: Origin]
  private var parameters: [Parameter.Sameness: PickleGraph.Reference] = [:]
  private var newTensors: [Tensor.Identity: PickleGraph.Reference] = [:]
  private var written: [Identity: [(module: Module, reference: PickleGraph.Reference)]] = [:]
  /// How many of the file's modules have a dict for their own: some objects share theirs.
  private var owners: [PickleGraph.Reference: Int] = [:]
  /// The device of the model that is being written.
  private var modelLocation = PickleGraph.cpu

  private struct Origin {
    let reference: PickleGraph.Reference
    let module: Module
  }

  /// - Parameter origins: as `ModuleReader.modules` gave them for this graph.
  init(_ graph: PickleGraph, origins: [PickleGraph.Reference: Module]) {
    self.graph = graph
    self.origins = Dictionary(
      origins.map { ($0.value.identity, Origin(reference: $0.key, module: $0.value)) },
      uniquingKeysWith: { first, _ in first })
    for (reference, module) in origins {
      for name in Self.parts {
        if let part = part(name, of: reference) { owners[part, default: 0] += 1 }
      }
      let entries = part("_parameters", of: reference).flatMap { graph.dictionary($0) } ?? [:]
      for (name, parameter) in module.parameters { parameters[parameter.sameness] = entries[name] }
    }
  }

  private static let parts = ["_parameters", "_buffers", "_modules"]

  private func part(_ name: String, of reference: PickleGraph.Reference) -> PickleGraph.Reference? {
    graph.stateDictionary(reference).flatMap { graph.value(forKey: name, of: $0) }
  }

  // MARK: Modules

  /// Writes a module and gives its object. A module that the file did not have is made `like` the object it replaces or
  /// stands beside. What was one module in the file and is so no more, because it was changed in one place and not in
  /// another, becomes two.
  /// - Parameter path: for errors.
  /// - Throws: `ModelError` for what PyTorch's classes cannot express, and for attributes that were never understood
  ///   and now stand elsewhere.
  mutating func write(
    _ module: Module, like sibling: PickleGraph.Reference?, path: String
  ) throws -> PickleGraph.Reference {
    if path.isEmpty { modelLocation = sibling.flatMap { graph.location(ofModule: $0) } ?? PickleGraph.cpu }
    let others = written[module.identity] ?? []
    if let done = others.first(where: { $0.module.isSame(as: module) }) { return done.reference }
    let origin = origins[module.identity]
    let original = others.isEmpty ? origin?.module : nil
    let reference: PickleGraph.Reference
    if let origin, original != nil {
      reference = origin.reference
    } else {
      reference = make(module, like: origin?.reference ?? sibling)
    }
    written[module.identity, default: []].append((module, reference))
    do {
      try writeClass(module, original, at: reference)
      try writeAttributes(module, original, copied: original == nil ? origin : nil, at: reference)
    } catch let error as ModelError { throw error.about(path) }
    writeTensors(module, original, at: reference)

    let existing = part("_modules", of: reference).flatMap { graph.dictionary($0) } ?? [:]
    var children: OrderedDictionary<String, PickleGraph.Reference> = [:]
    for (name, child) in module.children {
      children[name] = try write(
        child, like: existing[name] ?? reference, path: dotted(path, name))
    }
    arrange(children, "_modules", of: reference) { original?.children[$0] != nil }
    return reference
  }

  private mutating func writeClass(
    _ module: Module, _ original: Module?, at reference: PickleGraph.Reference
  ) throws {
    guard let original, module.className != original.className else { return }
    guard graph.setClass(module.className, of: reference) else {
      throw ModelError(
        .unsupported, "the file makes a \(original.className) in a way that leaves no room for \(module.className)")
    }
  }

  private mutating func writeAttributes(
    _ module: Module, _ original: Module?, copied: Origin?, at reference: PickleGraph.Reference
  ) throws {
    guard let state = graph.stateDictionary(reference) else { throw ModelError(.malformed, "has no state") }
    let attributes = try LayerAttributes.attributes(of: module, original: original)
    let present = graph.dictionary(state) ?? [:]
    let copies = copied.flatMap { graph.stateDictionary($0.reference) }.flatMap { graph.dictionary($0) } ?? [:]
    var values: OrderedDictionary<String, PickleGraph.Reference> = [:]
    for (name, attribute) in attributes {
      if let value = present[name], let before = original?.attributes[name], LayerAttributes.isSame(before, attribute) {
        values[name] = value
      } else if let value = copies[name], let before = copied?.module.attributes[name], !attribute.hasMethod,
        LayerAttributes.isSame(before, attribute)
      {
        values[name] = value
      } else if let text = attribute.opaquePart {
        throw ModelError(
          .unsupported,
          "its attribute '\(name)' holds what was not understood when it was read (\(text)), "
            + "and cannot be written anew")
      } else if let kind = attribute.unhashablePart {
        throw ModelError(
          .unsupported,
          "its attribute '\(name)' has a \(kind) as a key of a dict or in a set, where Python takes none")
      } else {
        values[name] = graph.add(attribute, owner: reference)
      }
    }
    graph.arrange(values, of: state) { original?.attributes[$0] != nil }
    var flags: OrderedDictionary<String, PickleGraph.Reference?> = [:]
    if let original, original.isTraining != module.isTraining {
      flags["training"] = graph.add(.bool(module.isTraining))
    }
    if module.nonPersistentBuffers != original?.nonPersistentBuffers ?? [] {
      flags["_non_persistent_buffers_set"] = graph.addSet(module.nonPersistentBuffers)
    }
    graph.change(flags, of: state)
  }

  /// Makes one of a module's dicts hold the values given, in that order.
  private mutating func arrange(
    _ values: OrderedDictionary<String, PickleGraph.Reference>, _ name: String, of reference: PickleGraph.Reference,
    isKnown: (String) -> Bool
  ) {
    guard var part = part(name, of: reference) else { return }
    if owners[part, default: 0] > 1, let state = graph.stateDictionary(reference) {
      part = graph.copyDictionary(part)
      graph.change([name: part], of: state)
    }
    graph.arrange(values, of: part, isKnown: isKnown)
  }

  // MARK: Tensors

  private mutating func writeTensors(_ module: Module, _ original: Module?, at reference: PickleGraph.Reference) {
    let names = ClassDefaults.tensorNames(of: module.layer)
    func existing(_ part: String) -> OrderedDictionary<String, PickleGraph.Reference> {
      self.part(part, of: reference).flatMap { graph.dictionary($0) } ?? [:]
    }

    let oldParameters = existing("_parameters")
    var parameters: OrderedDictionary<String, PickleGraph.Reference> = [:]
    for (name, parameter) in module.parameters {
      let isOld = original?.parameters[name]?.sameness == parameter.sameness
      parameters[name] = (isOld ? oldParameters[name] : nil) ?? write(parameter, like: oldParameters[name])
    }
    addAbsent(names.parameters, to: &parameters, original.map { Set($0.parameters.keys) })
    arrange(parameters, "_parameters", of: reference) { original?.parameters[$0] != nil }
    if case .recurrent(let recurrent) = module.layer, parameters != oldParameters || original == nil {
      listWeights(recurrent.suffixes.flatMap(recurrent.weightNames).map { parameters[$0] }, of: reference)
    }

    let oldBuffers = existing("_buffers")
    var buffers: OrderedDictionary<String, PickleGraph.Reference> = [:]
    for (name, buffer) in module.buffers {
      let isOld = buffer.identity == original?.buffers[name]?.identity
      buffers[name] = (isOld ? oldBuffers[name] : nil) ?? write(buffer, like: oldBuffers[name])
    }
    addAbsent(names.buffers, to: &buffers, original.map { Set($0.buffers.keys) })
    arrange(buffers, "_buffers", of: reference) { original?.buffers[$0] != nil }
  }

  /// The forward of a recurrent layer takes its weights from a list.
  private mutating func listWeights(_ weights: [PickleGraph.Reference?], of reference: PickleGraph.Reference) {
    guard let state = graph.stateDictionary(reference) else { return }
    let none = graph.add(.none)
    graph.change(["_flat_weights": graph.add(.list(weights.map { $0 ?? none }))], of: state)
  }

  /// PyTorch's classes look for the tensors that they can have: None for those that were taken away, or that a new
  /// object does not have.
  private mutating func addAbsent(
    _ names: [String], to values: inout OrderedDictionary<String, PickleGraph.Reference>, _ before: Set<String>?
  ) {
    for name in names where values[name] == nil && before?.contains(name) ?? true { values[name] = graph.add(.none) }
  }

  /// A parameter that the file has and nobody changed stays that object; any other becomes a new one, the same for all
  /// who share it.
  private mutating func write(_ parameter: Parameter, like old: PickleGraph.Reference?) -> PickleGraph.Reference {
    if let known = parameters[parameter.sameness] { return known }
    let reference = graph.add(
      parameter.tensor, parameterRequiresGrad: parameter.requiresGrad, location: location(like: old), like: old)
    parameters[parameter.sameness] = reference
    return reference
  }

  private mutating func write(_ buffer: Tensor, like old: PickleGraph.Reference?) -> PickleGraph.Reference {
    if let known = newTensors[buffer.identity] { return known }
    let reference = graph.add(buffer, parameterRequiresGrad: nil, location: location(like: old), like: old)
    newTensors[buffer.identity] = reference
    return reference
  }

  /// The device of the tensor whose place a new one takes, or of the model: a model on two devices cannot run.
  private func location(like old: PickleGraph.Reference?) -> String {
    old.flatMap { graph.location(ofTensor: $0) } ?? modelLocation
  }

  // MARK: New objects

  /// A new object of the module's class, with the empty hooks and flags that the PyTorch that wrote `sibling` gives a
  /// module, or PyTorch 2 where there is none.
  private mutating func make(_ module: Module, like sibling: PickleGraph.Reference?) -> PickleGraph.Reference {
    let template = sibling.flatMap { graph.stateDictionary($0) }.flatMap { graph.dictionary($0) } ?? [:]
    let names = template.isEmpty ? ClassDefaults.structure : template.keys.filter(ModuleReader.isStructure)
    var entries: [PickleGraph.Entry] = []
    for name in names {
      let value: PickleGraph.Reference
      switch name {
      case "training": value = graph.add(.bool(module.isTraining))
      case "_is_full_backward_hook": value = graph.add(.none)
      case "_non_persistent_buffers_set": value = graph.addSet([])
      case _ where Self.parts.contains(name) || template[name].map { graph.isPlainDictionary($0) } ?? false:
        value =
          template[name].map { graph.isPlainDictionary($0) } ?? true ? graph.add(.dict([])) : graph.addOrderedDict()
      default: value = graph.addOrderedDict()
      }
      entries.append(.init(key: graph.add(.string(name)), value: value))
    }
    let callable = graph.add(.global(module.className))
    let arguments = graph.add(.tuple([]))
    let state = graph.add(.dict(entries))
    return graph.addCall(.init(kind: .newObject, callable: callable, arguments: arguments, states: [state]))
  }
}
