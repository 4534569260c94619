import ModelCore
import TestSupport

extension Model {
  /// Everything that a file keeps of a model, one line each: two models of equal text are equal. Objects that are the
  /// same in several places have one number; a parameter that was changed in one of its places is another one there.
  func text() throws -> [String] {
    switch self {
    case .module(let module):
      var writer = ModelText()
      try writer.write(module, "")
      return writer.lines
    case .stateDict(let state):
      return try state.tensors.map { "\($0.key) \(try ModelText.describe($0.value))" }
    }
  }
}

private struct ModelText {
  var lines: [String] = []
  private var modules: [Identity: Int] = [:]
  private var parameters: [String: Int] = [:]
  private var storages: [ObjectIdentifier: Int] = [:]

  static func describe(_ tensor: Tensor) throws -> String {
    "\(tensor.dtype) \(tensor.shape) \(SHA256.hash(try tensor.bytes()))"
  }

  /// The attribute's tensors, then all of it without them.
  private mutating func describe(_ attribute: Attribute) throws -> String {
    var tensors: [String] = []
    let rest = try attribute.mapTensors { tensor in
      tensors.append("\(Self.number(ObjectIdentifier(tensor.storage), &storages)) \(try Self.describe(tensor))")
      return try Self.nothing.get()
    }
    return "\(tensors) \(tensors.isEmpty ? "\(rest)" : "\(rest.isEmpty)")"
  }

  private static let nothing = Result { try Tensor(.float32, [0]) }

  private static func number<Key: Hashable>(_ key: Key, _ known: inout [Key: Int]) -> Int {
    let number = known[key] ?? known.count
    known[key] = number
    return number
  }

  mutating func write(_ module: Module, _ path: String) throws {
    let isNew = modules[module.identity] == nil
    lines.append("\(path): \(Self.number(module.identity, &modules)) \(module.className)")
    guard isNew else { return }
    lines.append("\(path): \(module.layer) training \(module.isTraining) \(module.nonPersistentBuffers.sorted())")
    for (name, parameter) in module.parameters {
      let numbers = [
        Self.number("\(parameter)", &parameters),
        Self.number(ObjectIdentifier(parameter.tensor.storage), &storages),
      ]
      lines.append(
        "\(path) \(name) \(numbers) \(parameter.requiresGrad) \(try Self.describe(parameter.tensor))")
    }
    for (name, buffer) in module.buffers {
      let number = Self.number(ObjectIdentifier(buffer.storage), &storages)
      lines.append("\(path) \(name) \(number) \(try Self.describe(buffer))")
    }
    // PyTorch's own classes keep their layer there, and what they lack is added.
    for (name, attribute) in module.attributes where !module.className.isTorchModule {
      lines.append("\(path) \(name) = \(try describe(attribute))")
    }
    for (name, child) in module.children { try write(child, "\(path).\(name)") }
  }
}

extension Model {
  /// Changes the module that the model is.
  mutating func change(_ body: (inout Module) throws -> Void) throws {
    guard case .module(var module) = self else { throw ModelError(.invalid, "is no module") }
    try body(&module)
    self = .module(module)
  }
}

extension Module {
  /// The module at a path, to be changed.
  mutating func change(_ path: String, _ body: (inout Module) -> Void) {
    updateModules { if $0 == path { body(&$1) } }
  }
}
