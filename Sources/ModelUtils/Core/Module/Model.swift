/// What a checkpoint holds of a model: the whole module, or its tensors alone.
public enum Model: Sendable {
  /// A whole module, its classes and attributes included.
  case module(Module)
  /// Names and tensors.
  case stateDict(StateDict)

  /// The module; nil where there is a state dict alone.
  public var module: Module? {
    if case .module(let module) = self { module } else { nil }
  }

  /// Changes the module or the state dict; while it is changed nobody else holds it, so that its memory can be changed
  /// in place.
  public mutating func update<R>(
    module changeModule: (inout Module) throws -> R, stateDict changeState: (inout StateDict) throws -> R
  ) rethrows -> R {
    switch self {
    case .module(var module):
      self = .stateDict(StateDict())
      defer { self = .module(module) }
      return try changeModule(&module)
    case .stateDict(var state):
      self = .stateDict(StateDict())
      defer { self = .stateDict(state) }
      return try changeState(&state)
    }
  }
}
