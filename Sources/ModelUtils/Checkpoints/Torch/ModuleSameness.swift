import ModelCore

extension Parameter {
  /// What two values have in common that nothing tells apart: one parameter with one tensor.
  struct Sameness: Hashable {
    let identity: Identity
    let requiresGrad: Bool
    let tensor: Tensor.Identity
  }

  var sameness: Sameness { Sameness(identity: identity, requiresGrad: requiresGrad, tensor: tensor.identity) }
}

extension Module {
  /// Whether nothing tells the two apart, in them or below them. Tensors are compared by where they are, not by their
  /// values.
  func isSame(as other: Module) -> Bool {
    guard identity == other.identity, className == other.className, isTraining == other.isTraining,
      nonPersistentBuffers == other.nonPersistentBuffers, parameters.keys == other.parameters.keys,
      buffers.keys == other.buffers.keys, children.keys == other.children.keys,
      attributes.keys == other.attributes.keys, LayerAttributes.isSame(layer, other.layer)
    else { return false }
    return zip(parameters.values, other.parameters.values).allSatisfy { $0.sameness == $1.sameness }
      && zip(buffers.values, other.buffers.values).allSatisfy { $0.identity == $1.identity }
      && zip(attributes.values, other.attributes.values).allSatisfy { LayerAttributes.isSame($0, $1) }
      && zip(children.values, other.children.values).allSatisfy { $0.isSame(as: $1) }
  }
}

extension Attribute {
  /// What of it was never understood; nil where all of it was.
  package var opaquePart: String? {
    switch self {
    case .opaque(let text): text
    case .list(let items), .tuple(let items), .set(let items), .frozenSet(let items):
      items.lazy.compactMap(\.opaquePart).first
    case .dict(let entries), .orderedDict(let entries):
      entries.lazy.compactMap { $0.key.opaquePart ?? $0.value.opaquePart }.first
    case .none, .bool, .int, .double, .string, .size, .tensor, .boundMethod, .unboundMethod: nil
    }
  }

  /// Whether some of it is a method of the object that has it.
  var hasMethod: Bool {
    switch self {
    case .boundMethod: true
    case .list(let items), .tuple(let items), .set(let items), .frozenSet(let items):
      items.contains(where: \.hasMethod)
    case .dict(let entries), .orderedDict(let entries): entries.contains { $0.key.hasMethod || $0.value.hasMethod }
    case .none, .bool, .int, .double, .string, .size, .tensor, .unboundMethod, .opaque: false
    }
  }

  /// What of it is a key of a dict or an element of a set, and nothing that Python can hash; nil where all can be.
  var unhashablePart: String? {
    switch self {
    case .list(let items), .tuple(let items): items.lazy.compactMap(\.unhashablePart).first
    case .set(let items), .frozenSet(let items): items.lazy.compactMap(\.unhashableKind).first
    case .dict(let entries), .orderedDict(let entries):
      entries.lazy.compactMap { $0.key.unhashableKind ?? $0.value.unhashablePart }.first
    case .none, .bool, .int, .double, .string, .size, .tensor, .boundMethod, .unboundMethod, .opaque: nil
    }
  }

  private var unhashableKind: String? {
    switch self {
    case .list: "list"
    case .dict, .orderedDict: "dict"
    case .set: "set"
    case .tuple(let items), .frozenSet(let items): items.lazy.compactMap(\.unhashableKind).first
    case .none, .bool, .int, .double, .string, .size, .tensor, .boundMethod, .unboundMethod, .opaque: nil
    }
  }
}
