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

// MARK: Walking

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
    for (name, child) in children {
      try child.visit(path.isEmpty ? name : "\(path).\(name)", &seen, body)
    }
  }

  /// Calls `body` with every distinct parameter and its dotted path, as `named_parameters()` does.
  public func forEachParameter(_ body: (String, Parameter) throws -> Void) rethrows {
    var seen: Set<Identity> = []
    try forEachModule { path, module in
      for (name, parameter) in module.parameters where seen.insert(parameter.identity).inserted {
        try body(path.isEmpty ? name : "\(path).\(name)", parameter)
      }
    }
  }

  /// Calls `body` once with every distinct module, its children included in the value; what it changes is changed in
  /// every place where the module stands. Parents come before their children.
  public mutating func updateModules(_ body: (String, inout Module) throws -> Void) rethrows {
    var places: [Identity: Int] = [:]
    countPlaces(&places)
    var done: [Identity: Module] = [:]
    try update("", places, &done, body)
  }

  private func countPlaces(_ places: inout [Identity: Int]) {
    places[identity, default: 0] += 1
    guard places[identity] == 1 else { return }
    for child in children.values { child.countPlaces(&places) }
  }

  private mutating func update(
    _ path: String, _ places: [Identity: Int], _ done: inout [Identity: Module],
    _ body: (String, inout Module) throws -> Void
  ) rethrows {
    if let finished = done[identity] {
      self = finished
      return
    }
    try body(path, &self)
    for index in children.values.indices {
      let name = children.keys[index]
      try children.values[index].update(path.isEmpty ? name : "\(path).\(name)", places, &done, body)
    }
    if places[identity, default: 1] > 1 { done[identity] = self }
  }

  /// The module at a dotted path.
  public subscript(path: String) -> Module? {
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
