import ModelCore

/// Turns the pickled `nn.Module`s of a graph into `Module` values and remembers which object each came from.
struct ModuleReader {
  private let graph: PickleGraph
  /// The module that each object became.
  private(set) var modules: [PickleGraph.Reference: Module] = [:]
  /// The names of lazy layers' parameters that have no shape yet; they are in no module.
  var uninitialized: [String] = []
  private var parameters: [PickleGraph.Reference: Parameter] = [:]
  private var unfinished: Set<PickleGraph.Reference> = []
  /// How much of the tree stands below each object.
  private var extents: [PickleGraph.Reference: ModuleExtent] = [:]
  private var attributeBudget = 2 << 20
  /// How many entries of the modules' dicts may still be looked at; dicts that many modules share count for each.
  private var entryBudget = PickleGraph.nodeLimit

  /// The deepest nesting, far beyond any model.
  static let depthLimit = 256

  init(_ graph: PickleGraph) { self.graph = graph }

  /// The attributes of a module that have fields of their own here.
  static let structure: Set<String> = [
    "training", "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set",
  ]

  /// Whether an object is an `nn.Module`: it has a class and the three dicts that every module has.
  static func isModule(_ reference: PickleGraph.Reference, in graph: PickleGraph) -> Bool {
    guard graph.objectClass(reference) != nil, let state = graph.stateDictionary(reference) else { return false }
    return ["_parameters", "_buffers", "_modules"].allSatisfy { name in
      graph.value(forKey: name, of: state).map { graph.entries($0) != nil } ?? false
    }
  }

  mutating func read(_ reference: PickleGraph.Reference) throws -> Module {
    try read(reference, path: "", depth: 0)
  }

  private mutating func read(
    _ reference: PickleGraph.Reference, path: String, depth: Int
  ) throws -> Module {
    if let module = modules[reference] { return module }
    guard unfinished.insert(reference).inserted else {
      throw ModelError(.malformed, "the module contains itself", subject: path)
    }
    defer { unfinished.remove(reference) }
    guard depth < Self.depthLimit else {
      throw ModelError(.limit, "modules are nested deeper than \(Self.depthLimit)")
    }
    guard let className = graph.objectClass(reference),
      let state = graph.stateDictionary(reference).flatMap({ graph.dictionary($0) })
    else { throw ModelError(.malformed, "is not a module", subject: path) }
    entryBudget -= state.count
    func dictionary(_ name: String) throws -> OrderedDictionary<String, PickleGraph.Reference> {
      let entries = state[name].flatMap { graph.dictionary($0) } ?? [:]
      entryBudget -= entries.count
      guard entryBudget >= 0 else {
        throw ModelError(.limit, "shared dicts of modules hold too many entries", subject: path)
      }
      return entries
    }
    var module = Module(className, isTraining: state["training"].flatMap { graph.bool($0) } ?? false)
    let prefix = path.isEmpty ? "" : path + "."
    for (name, value) in try dictionary("_parameters") where !graph.isNone(value) {
      if graph.isUninitialized(value) {
        uninitialized.append(prefix + name)
        continue
      }
      do { module.parameters[name] = try parameter(value) } catch let error as ModelError {
        throw error.about(prefix + name)
      }
    }
    for (name, value) in try dictionary("_buffers") where !graph.isNone(value) {
      if graph.isUninitialized(value) {
        uninitialized.append(prefix + name)
        continue
      }
      do { module.buffers[name] = try graph.tensor(value).tensor } catch let error as ModelError {
        throw error.about(prefix + name)
      }
    }
    if let set = state["_non_persistent_buffers_set"] {
      let names = names(inSet: set)
      entryBudget -= names.count
      module.nonPersistentBuffers = Set(names)
    }
    for (name, value) in state where !isUnusedHook(name, value) && !Self.structure.contains(name) {
      module.attributes[name] = attribute(value, of: reference, depth: 0)
    }
    var extent = ModuleExtent()
    for name in module.parameters.keys.elements + module.buffers.keys.elements { extent.add(name, ModuleExtent()) }
    for (name, value) in try dictionary("_modules") where !graph.isNone(value) {
      guard modules[value] != nil || Self.isModule(value, in: graph) else {
        throw ModelError(.malformed, "stands among the modules but is none", subject: prefix + name)
      }
      module.children[name] = try read(value, path: prefix + name, depth: depth + 1)
      extent.add(name, extents[value] ?? ModuleExtent())
      try extent.check(path)
    }
    extents[reference] = extent
    module.layer = LayerRecognition.layer(of: module)
    modules[reference] = module
    return module
  }

  /// The dozen dicts of hooks that every module has and hardly any uses are no attributes while they are empty.
  private func isUnusedHook(_ name: String, _ value: PickleGraph.Reference) -> Bool {
    guard Self.isHook(name) else { return false }
    return graph.isNone(value) || graph.entries(value)?.isEmpty ?? false
  }

  private static func isHook(_ name: String) -> Bool {
    name.utf8.first == UInt8(ascii: "_") && hooks.contains(where: name.hasSuffix)
  }

  /// Whether every module has an entry of this name in its state, however it is used.
  static func isStructure(_ name: String) -> Bool { structure.contains(name) || isHook(name) }

  private static let hooks = ["_hooks", "_hooks_with_kwargs", "_hooks_always_called", "_full_backward_hook"]

  private mutating func parameter(_ reference: PickleGraph.Reference) throws -> Parameter {
    if let known = parameters[reference] { return known }
    let object = try graph.tensor(reference)
    let parameter = Parameter(object.tensor, requiresGrad: object.requiresGrad)
    parameters[reference] = parameter
    return parameter
  }

  /// The texts in a set, which the first protocols make by calling `set` with a list.
  private func names(inSet reference: PickleGraph.Reference) -> [String] {
    switch graph.nodes[reference] {
    case .set(let items), .frozenSet(let items), .list(let items): return items.compactMap { graph.text($0) }
    case .call(let index):
      let call = graph.calls[index]
      let arguments = graph.tuple(call.arguments) ?? []
      return (arguments.flatMap { graph.sequence($0) ?? [] } + call.items).compactMap { graph.text($0) }
    default: return []
    }
  }

  // MARK: Attributes

  /// An object that is no module's attribute, as far as it is understood.
  mutating func value(_ reference: PickleGraph.Reference) -> Attribute { attribute(reference, of: reference, depth: 0) }

  /// An attribute as far as it is understood; `owner` is the module that has it.
  private mutating func attribute(
    _ reference: PickleGraph.Reference, of owner: PickleGraph.Reference, depth: Int
  ) -> Attribute {
    guard attributeBudget > 0, depth < 16 else { return .opaque("…") }
    attributeBudget -= 1
    if graph.isTensor(reference) {
      // One that cannot be read (sparse, on no device) stays what it is in the file.
      guard let object = try? graph.tensor(reference) else { return .opaque("tensor") }
      return .tensor(.init(object.tensor, requiresGrad: object.isParameter ? object.requiresGrad : nil))
    }
    switch graph.nodes[reference] {
    case .none: return .none
    case .bool(let value): return .bool(value)
    case .int(let value): return .int(value)
    case .bigInt: return .opaque("integer")
    case .double(let value): return .double(value)
    case .string(let text): return .string(text)
    case .python2String: return graph.text(reference).map { .string($0) } ?? .opaque("str")
    case .surrogateString: return .opaque("str")
    case .bytes, .byteArray: return .opaque("bytes")
    case .tuple(let items): return .tuple(items.map { attribute($0, of: owner, depth: depth + 1) })
    case .list(let items): return .list(items.map { attribute($0, of: owner, depth: depth + 1) })
    case .dict(let entries): return .dict(self.entries(entries, of: owner, depth: depth))
    case .set(let items): return .set(items.map { attribute($0, of: owner, depth: depth + 1) })
    case .frozenSet(let items): return .frozenSet(items.map { attribute($0, of: owner, depth: depth + 1) })
    case .global(let name): return .opaque(name.description)
    case .storage, .tensor: return .opaque("tensor")
    case .call(let index):
      let call = graph.calls[index]
      guard let function = graph.className(call.callable) else { return .opaque("object") }
      let isBuiltin = ["builtins", "__builtin__"].contains(function.module)
      if function.description == "collections.OrderedDict", graph.tuple(call.arguments)?.isEmpty == true,
        call.states.isEmpty
      {
        return .orderedDict(entries(call.entries, of: owner, depth: depth))
      }
      if isBuiltin, ["set", "frozenset"].contains(function.name), let items = graph.items(ofSet: call) {
        let elements = items.map { attribute($0, of: owner, depth: depth + 1) }
        return function.name == "set" ? .set(elements) : .frozenSet(elements)
      }
      if isBuiltin, function.name == "getattr", let arguments = graph.tuple(call.arguments), arguments.count == 2,
        let method = graph.text(arguments[1])
      {
        // A static method is looked up on the class.
        if arguments[0] == owner || isClass(arguments[0], of: owner) { return .boundMethod(method) }
        if let className = graph.className(arguments[0]) { return .unboundMethod(className, method) }
      }
      if function.description == "torch.Size", let lengths = graph.ints(reference) { return .size(lengths) }
      return .opaque((graph.objectClass(reference) ?? function).description)
    }
  }

  private func isClass(_ reference: PickleGraph.Reference, of owner: PickleGraph.Reference) -> Bool {
    graph.className(reference).map { $0 == graph.objectClass(owner) } ?? false
  }

  private mutating func entries(
    _ entries: [PickleGraph.Entry], of owner: PickleGraph.Reference, depth: Int
  ) -> [Attribute.Entry] {
    entries.map {
      Attribute.Entry(
        key: attribute($0.key, of: owner, depth: depth + 1), value: attribute($0.value, of: owner, depth: depth + 1))
    }
  }
}
