import ModelCore
import ModelGraph

extension Graph {
  /// What a model is run for.
  public enum Mode: Sendable, Hashable {
    /// As in evaluation: batch norms by their running statistics, nothing dropped.
    case inference
    /// Raw heads, auxiliary heads, batch norms by the batch's own statistics.
    case training
  }

  /// The graph of a module all of whose classes are known.
  /// - Throws: `ModelError` that names the classes whose forward is not known, a child that a known forward never
  ///   calls, or what does not fit together.
  public init(_ module: Module, mode: Mode = .inference, inputCount: Int = 1) throws {
    try self.init(module, ForwardTracer(mode), inputCount)
  }

  /// The graph for inputs of the given types, which forwards may ask for: windows that are shifted where the picture is
  /// larger than one, for example.
  /// - Throws: as above, and for what does not fit the inputs.
  public init(_ module: Module, inputs: [TensorType], mode: Mode = .inference) throws {
    try self.init(module, ForwardTracer(mode, inputs: inputs), inputs.count)
  }

  private init(_ module: Module, _ tracer: ForwardTracer, _ inputCount: Int) throws {
    do { try tracer.trace(module, inputCount: inputCount) } catch let error as ModelError {
      // What does not fit may be the fault of a class that is not known.
      throw tracer.refusal ?? error
    }
    if let error = tracer.refusal { throw error }
    try tracer.checkThatAllIsCalled(module)
    self = tracer.graph
  }
}

/// Runs the known forwards of a module's classes on symbolic tensors and writes down what they do.
final class ForwardTracer {
  let mode: Graph.Mode
  var graph = Graph()
  /// The modules whose forward is not known: each is a single node here.
  private(set) var unknown: [(path: String, module: Module)] = []
  private var depth = 0
  /// Whether a forward asked for a shape that is not known.
  private(set) var lacksShapes = false
  private let inputTypes: [TensorType]?
  private var inference: TypeInference?
  /// Where each module that was called, or whose parameters were taken, stood first.
  private var homes: [Identity: String] = [:]
  /// The value of each parameter, which has the path of its first place.
  private var parameterValues: [Identity: Graph.Value] = [:]

  private var knownForwards: [ClassName: Forward?] = [:]

  init(_ mode: Graph.Mode, inputs: [TensorType]? = nil) {
    self.mode = mode
    inputTypes = inputs
    inference = inputs.map { TypeInference($0) }
  }

  /// The shape of a value; the graph then holds for these inputs alone.
  func shape(of value: Graph.Value, for module: Module, _ path: String) throws -> [Int] {
    guard inference != nil, let inputTypes else {
      lacksShapes = true
      throw ModelError(
        .unsupported,
        "what \(module.className) computes depends on the size of its input", subject: path.isEmpty ? nil : path,
        advice: "trace it for inputs of a size")
    }
    graph.inputShapes = inputTypes.map(\.shape)
    try inference?.extend(over: graph)
    return inference?.inferred[value].shape ?? []
  }

  /// Traces a module; those of unknown classes become single nodes.
  func trace(_ module: Module, path: String = "", inputCount: Int = 1) throws {
    let inputs = (0..<inputCount).map { graph.addInput(inputCount == 1 ? "input" : "input.\($0)") }
    graph.outputs = try call(module, path, inputs, from: nil)
  }

  func call(_ module: Module, _ path: String, _ inputs: [Graph.Value], from parent: Int?) throws -> [Graph.Value] {
    guard depth < 512 else { throw ModelError(.limit, "modules call each other too deeply", subject: path) }
    depth += 1
    defer { depth -= 1 }
    touch(module, path)
    let forward = forward(of: module)
    let scope = try graph.enter(
      path, className: module.className, module: module.identity, layer: forward?.isLayer == true ? module.layer : nil,
      parent: parent, inputs: inputs)
    let outputs: [Graph.Value]
    if let forward {
      guard let run = mode == .training ? forward.forward.trainingRun : forward.forward.run else {
        throw ModelError(.unsupported, "what \(module.className) computes in training is not known", subject: path)
      }
      outputs = try run(ForwardCall(tracer: self, module: module, path: path, scope: scope), inputs)
    } else {
      unknown.append((path, module))
      outputs = try graph.append(.other(module.className.description), inputs, scope: scope)
    }
    graph.leave(scope, outputs: outputs)
    return outputs
  }

  /// Notes that a module takes part.
  /// - Returns: where it stood first.
  @discardableResult
  func touch(_ module: Module, _ path: String) -> String {
    if let home = homes[module.identity] { return home }
    homes[module.identity] = path
    return path
  }

  /// The value of a parameter or buffer; one that stands in several places has its first place's path.
  func weight(_ name: String, of module: Module, _ path: String) -> Graph.Value? {
    let home = touch(module, path)
    if let parameter = module.parameters[name] {
      if let known = parameterValues[parameter.identity] { return known }
      let value = graph.addWeight(
        dotted(home, name),
        Graph.Weight(tensor: parameter.tensor, requiresGrad: parameter.requiresGrad, isBuffer: false))
      parameterValues[parameter.identity] = value
      return value
    }
    return module.buffers[name].map { buffer in
      graph.addWeight(dotted(home, name), Graph.Weight(tensor: buffer, requiresGrad: false, isBuffer: true))
    }
  }

  // MARK: Finding forwards

  private func forward(of module: Module) -> (forward: Forward, isLayer: Bool)? {
    if module.intervention == "hooks" { return nil }
    func known(_ method: String? = nil) -> (Forward, Bool)? {
      let forward = method == nil ? ofClass(module.className) : Forward.known(module.className, method: method)
      return forward.map { ($0, module.isOwnLayer($0)) }
    }
    switch module.attributes["forward"] {
    case .boundMethod(let method): return known(method)
    case .some(let other) where !other.isEmpty: return nil
    default: break
    }
    if case .batchNorm(let norm) = module.layer, norm.isFrozen { return (.ownLayer, true) }
    guard module.className.isTorchModule else { return known() }
    switch module.layer {
    case .sequential: return Self.isRouted(module) ? nil : (.sequential, false)
    case .container: return nil
    case .opaque: return known()
    // Its output projection is a child that it does not call.
    case .multiheadAttention: return (.ownLayer, true)
    default: return module.children.isEmpty ? (.ownLayer, true) : nil
    }
  }

  /// A class is looked up once.
  private func ofClass(_ className: ClassName) -> Forward? {
    if let found = knownForwards[className] { return found }
    let forward = Forward.known(className)
    knownForwards[className] = .some(forward)
    return forward
  }

  /// Whether the children say themselves where their inputs come from, as in YOLO's top level: their order proves
  /// nothing.
  private static func isRouted(_ module: Module) -> Bool {
    module.children.values.contains { $0.attributes["f"] != nil && $0.attributes["i"] != nil }
  }

  // MARK: Refusing

  /// Names the unknown classes; nil where there are none.
  var refusal: ModelError? {
    guard let first = unknown.first else { return nil }
    if let intervention = first.module.intervention {
      return ModelError(
        .unsupported, "\(first.module.className) has \(intervention), and what that does is not known",
        subject: first.path.isEmpty ? nil : first.path)
    }
    var names: OrderedSet<String> = []
    for (_, module) in unknown { names.append(module.className.description) }
    let shown = names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", … (\(names.count) in all)" : "")
    return ModelError(
      .unsupported,
      names.count == 1
        ? "the forward of \(shown) is not known" : "the forwards of these classes are not known: \(shown)",
      subject: first.path.isEmpty ? nil : first.path)
  }

  /// A forward that never calls a child with parameters is not that class's forward: forks keep a name and compute
  /// more.
  /// - Throws: `ModelError` naming the child.
  func checkThatAllIsCalled(_ root: Module) throws {
    try root.visitModules { module in
      guard let home = homes[module.identity] else { return }
      for index in module.children.values.indices {
        let name = module.children.keys[index]
        guard let uncalled = uncalled(module.children.values[index], name), mustCall(name, from: module) else {
          continue
        }
        throw ModelError(
          .unsupported,
          "the known forward of \(module.className) never calls '\(uncalled)', so this is another one",
          subject: home.isEmpty ? nil : home)
      }
    }
  }

  /// Whether the known forward of a module calls a child, if it is that module's.
  private func mustCall(_ child: String, from module: Module) -> Bool {
    guard let forward = forward(of: module), !(forward.isLayer && module.className.isTorchModule) else { return false }
    return !(mode == .inference ? forward.forward.idleChildren : forward.forward.idleInTraining).contains(child)
  }

  /// The outermost modules inside a module that were not called.
  func uncalled(in module: Module, _ path: String) -> [(path: String, module: Module)] {
    var found: [(path: String, module: Module)] = []
    var seen: Set<Identity> = []
    func walk(_ module: Module, _ path: String) {
      for (name, child) in module.children where seen.insert(child.identity).inserted {
        let path = dotted(path, name)
        if homes[child.identity] == nil && !isPassedBy(child) {
          found.append((path, child))
        } else {
          walk(child, path)
        }
      }
    }
    walk(module, path)
    return found
  }

  /// Whether a module only holds those that are called.
  private func isPassedBy(_ module: Module) -> Bool {
    switch module.layer {
    case .container: true
    case .sequential: Self.isRouted(module)
    default: false
    }
  }

  /// The part of a module that has parameters and was not called; nil where it took part.
  private func uncalled(_ module: Module, _ name: String) -> String? {
    if homes[module.identity] != nil { return nil }
    if !module.parameters.isEmpty { return name }
    for index in module.children.values.indices {
      if let found = uncalled(module.children.values[index], dotted(name, module.children.keys[index])) { return found }
    }
    return nil
  }
}

extension Module {
  /// Whether a forward is the module's own layer's.
  fileprivate func isOwnLayer(_ forward: Forward) -> Bool {
    switch layer {
    case .opaque, .sequential, .container: false
    default: true
    }
  }
}
