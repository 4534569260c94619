import ModelCore

/// Runs the known forwards of a module's classes on symbolic tensors and writes down what they do.
final class ForwardTracer {
  var graph = Graph()
  /// The modules whose forward is not known: each is a single node here.
  private(set) var unknown: [(path: String, module: Module)] = []
  private var depth = 0

  func call(_ module: Module, _ path: String, _ inputs: [Graph.Value]) throws -> [Graph.Value] {
    guard depth < 512 else { throw ModelError("modules call each other too deeply", subject: path) }
    depth += 1
    defer { depth -= 1 }
    let outputs: [Graph.Value]
    if let forward = forward(of: module) {
      outputs = try forward.run(ForwardCall(tracer: self, module: module, path: path), inputs)
    } else {
      unknown.append((path, module))
      outputs = [
        try graph.append(
          .layer(.opaque), inputs, path: path, module: module.identity, className: module.className)
      ]
    }
    try graph.append(callOf: module.identity, path: path, outputs: outputs)
    return outputs
  }

  private func forward(of module: Module) -> Forward? {
    for hooks in ["_forward_hooks", "_forward_pre_hooks"] {
      if let attribute = module.attributes[hooks], !attribute.isEmpty { return nil }
    }
    switch module.attributes["forward"] {
    case .boundMethod(let method): return Forward.known(module.className, method: method)
    case .some(let other) where !other.isEmpty: return nil
    default: break
    }
    guard module.className.isTorchModule else { return Forward.known(module.className) }
    switch module.layer {
    case .sequential: return Self.isRouted(module) ? nil : .sequential
    case .container: return nil
    case .opaque: return Forward.known(module.className)
    // Its output projection is a child that it does not call.
    case .multiheadAttention: return .ownLayer
    default: return module.children.isEmpty ? .ownLayer : nil
    }
  }

  /// Whether the children say themselves where their inputs come from, as in YOLO's top level: their order proves
  /// nothing.
  private static func isRouted(_ module: Module) -> Bool {
    module.children.values.contains { $0.attributes["f"] != nil && $0.attributes["i"] != nil }
  }
}

extension Graph {
  /// The graph of a module all of whose classes are known.
  /// - Throws: `ModelError` that names the classes whose forward is not known, or what does not fit together.
  public init(_ module: Module, inputCount: Int = 1) throws {
    let tracer = ForwardTracer()
    do { try tracer.trace(module, inputCount: inputCount) } catch let error as ModelError {
      // What does not fit may be the fault of a class that is not known.
      throw tracer.refusal ?? error
    }
    if let error = tracer.refusal { throw error }
    self = tracer.graph
  }
}

extension ForwardTracer {
  /// Traces a module; those of unknown classes become single nodes.
  func trace(_ module: Module, path: String = "", inputCount: Int = 1) throws {
    let inputs = try (0..<inputCount).map { _ in try graph.append(.input, [], path: path) }
    graph.outputs = try call(module, path, inputs)
  }

  /// Names the unknown classes; nil where there are none.
  var refusal: ModelError? {
    guard let first = unknown.first else { return nil }
    var names: OrderedSet<String> = []
    for (_, module) in unknown { names.append(module.className.description) }
    let shown = names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", … (\(names.count) in all)" : "")
    return ModelError(
      names.count == 1
        ? "the forward of \(shown) is not known" : "the forwards of these classes are not known: \(shown)",
      subject: first.path.isEmpty ? nil : first.path)
  }
}
