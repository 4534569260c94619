import Synchronization

/// A number that tells two objects of equal content apart, so that one that stands in two places counts once.
public struct Identity: Hashable, Sendable {
  private let number: Int
  private static let next = Atomic<Int>(0)

  /// An identity that no other object has.
  public init() {
    number = Self.next.wrappingAdd(1, ordering: .relaxed).newValue
  }
}

/// A tensor that is trained.
public struct Parameter: Sendable {
  /// The values.
  public var tensor: Tensor
  /// Whether it is trained.
  public var requiresGrad: Bool
  /// The same in two modules that share the parameter.
  public let identity: Identity

  /// A parameter; give an identity to make it the same as another.
  public init(_ tensor: Tensor, requiresGrad: Bool = true, identity: Identity = Identity()) {
    self.tensor = tensor
    self.requiresGrad = requiresGrad
    self.identity = identity
  }
}

/// A node of a model's tree, as PyTorch's `nn.Module`: a layer with its parameters and buffers, and named children.
///
/// A value: changing a copy leaves the original as it was. A module that stands in several places of the tree is the
/// same module there (`identity`), and `updateModules` changes it in all of them.
public struct Module: Sendable {
  /// The same in two places where one module stands, and in copies.
  public let identity: Identity
  /// The class that Python would make it an object of.
  public var className: ClassName
  /// What it computes by itself, where that is understood; `opaque` where only a forward could tell.
  public var layer: Layer
  /// PyTorch's `training`.
  public var isTraining: Bool
  /// Its own parameters by name, its children's not included.
  public var parameters: OrderedDictionary<String, Parameter>
  /// Its own buffers by name, such as running statistics.
  public var buffers: OrderedDictionary<String, Tensor>
  /// Buffers that a state dict leaves out.
  public var nonPersistentBuffers: Set<String>
  /// The modules directly in it by name, in the order in which PyTorch has them.
  public var children: OrderedDictionary<String, Module>
  /// The other attributes, as far as they are understood.
  public var attributes: OrderedDictionary<String, Attribute>

  /// A module of a class. Nothing is checked here: `validate()` does that.
  public init(
    _ className: ClassName, layer: Layer = .opaque, isTraining: Bool = false,
    parameters: OrderedDictionary<String, Parameter> = [:],
    buffers: OrderedDictionary<String, Tensor> = [:], nonPersistentBuffers: Set<String> = [],
    children: OrderedDictionary<String, Module> = [:],
    attributes: OrderedDictionary<String, Attribute> = [:], identity: Identity = Identity()
  ) {
    self.identity = identity
    self.className = className
    self.layer = layer
    self.isTraining = isTraining
    self.parameters = parameters
    self.buffers = buffers
    self.nonPersistentBuffers = nonPersistentBuffers
    self.children = children
    self.attributes = attributes
  }
}

extension Module {
  /// What was put onto this module beside its class's forward, for a person: hooks, or another forward; nil where
  /// nothing was.
  package var intervention: String? {
    func has(_ name: String) -> Bool { attributes[name].map { !$0.isEmpty } ?? false }
    if has("_forward_hooks") || has("_forward_pre_hooks") { return "hooks" }
    return has("forward") ? "a replaced forward" : nil
  }
}

// MARK: Walking

/// The path of what bears a name in the module at a path; the root's path is empty.
package func dotted(_ path: String, _ name: String) -> String {
  guard !path.isEmpty else { return name }
  // Every walk through a model makes one for each module: it is allocated once.
  return String(unsafeUninitializedCapacity: path.utf8.count + 1 + name.utf8.count) { bytes in
    let dot = bytes.initialize(fromContentsOf: path.utf8)
    bytes.initializeElement(at: dot, to: UInt8(ascii: "."))
    return bytes[(dot + 1)...].initialize(fromContentsOf: name.utf8)
  }
}

extension Module {
  /// The parameter that `parameters()` gives first.
  package var firstParameter: Parameter? {
    if let parameter = parameters.values.first { return parameter }
    for child in children.values {
      if let parameter = child.firstParameter { return parameter }
    }
    return nil
  }

  /// Calls `body` with every distinct module and its dotted path, the root (path "") first, as `named_modules()` does.
  public func forEachModule(_ body: (String, Module) throws -> Void) rethrows {
    var seen: Set<Identity> = []
    try visit("", &seen, body)
  }

  private func visit(
    _ path: String, _ seen: inout Set<Identity>, _ body: (String, Module) throws -> Void
  ) rethrows {
    guard seen.insert(identity).inserted else { return }
    try body(path, self)
    for index in children.values.indices {
      try children.values[index].visit(dotted(path, children.keys[index]), &seen, body)
    }
  }

  /// The same without the paths, which take most of the time.
  package func visitModules(_ body: (Module) throws -> Void) rethrows {
    var seen: Set<Identity> = []
    try visit(&seen, body)
  }

  private func visit(_ seen: inout Set<Identity>, _ body: (Module) throws -> Void) rethrows {
    guard seen.insert(identity).inserted else { return }
    try body(self)
    for index in children.values.indices { try children.values[index].visit(&seen, body) }
  }

  /// Calls `body` with every distinct parameter and its dotted path, as `named_parameters()` does.
  public func forEachParameter(_ body: (String, Parameter) throws -> Void) rethrows {
    var seen: Set<Identity> = []
    try forEachModule { path, module in
      for (name, parameter) in module.parameters where seen.insert(parameter.identity).inserted {
        try body(dotted(path, name), parameter)
      }
    }
  }

  /// The same without the paths.
  package func visitParameters(_ body: (Parameter) throws -> Void) rethrows {
    var seen: Set<Identity> = []
    try visitModules { module in
      for parameter in module.parameters.values where seen.insert(parameter.identity).inserted { try body(parameter) }
    }
  }

  /// Calls `body` once with every distinct module, its children included in the value; what it changes is changed in
  /// every place where the module stands. Parents come before their children.
  public mutating func updateModules(_ body: (String, inout Module) throws -> Void) rethrows {
    var (seen, shared): (Set<Identity>, Set<Identity>) = ([], [])
    findShared(&seen, &shared)
    var done: [Identity: Module] = [:]
    try update("", shared, &done, body)
  }

  /// Finds the modules that stand in several places.
  private func findShared(_ seen: inout Set<Identity>, _ shared: inout Set<Identity>) {
    guard seen.insert(identity).inserted else {
      shared.insert(identity)
      return
    }
    for index in children.values.indices { children.values[index].findShared(&seen, &shared) }
  }

  private mutating func update(
    _ path: String, _ shared: Set<Identity>, _ done: inout [Identity: Module],
    _ body: (String, inout Module) throws -> Void
  ) rethrows {
    let isShared = shared.contains(identity)
    if isShared, let finished = done[identity] {
      self = finished
      return
    }
    try body(path, &self)
    for index in children.values.indices {
      try children.values[index].update(dotted(path, children.keys[index]), shared, &done, body)
    }
    if isShared { done[identity] = self }
  }

  /// The module at a dotted path.
  public subscript(path: String) -> Module? {
    // Most paths are one name, which need not be taken apart.
    if !path.isEmpty, !path.utf8.contains(UInt8(ascii: ".")) { return children[path] }
    var module = self
    for name in path.split(separator: ".") {
      guard let child = module.children[String(name)] else { return nil }
      module = child
    }
    return module
  }

  /// Named tensors in `state_dict()`'s order: per module its parameters, its persistent buffers, then its children.
  /// A module in two places has its tensors under both names.
  public func stateDict() -> StateDict {
    var tensors: OrderedDictionary<String, Tensor> = [:]
    collect("", into: &tensors)
    return StateDict(tensors)
  }

  private func collect(_ prefix: String, into tensors: inout OrderedDictionary<String, Tensor>) {
    for (name, parameter) in parameters { tensors[prefix + name] = parameter.tensor }
    for (name, buffer) in buffers where !nonPersistentBuffers.contains(name) {
      tensors[prefix + name] = buffer
    }
    for (name, child) in children { child.collect("\(prefix)\(name).", into: &tensors) }
  }
}
