import ModelCore

/// What YOLOv5's constructor learns, and leaves behind, when it sends a picture of zeros through a new detector in training mode.
struct YOLOv5ConstructorPass {
  private let graph: Graph
  private let shapes: [[Int]]
  private let modules: [Identity: Module]
  private let side: Int

  /// - Throws: `ModelError` for layers that do not fit together.
  init(_ root: Module, channels: Int, side: Int) throws {
    graph = try Graph(root)
    shapes = try graph.shapes(of: [[1, channels, side, side]])
    self.side = side
    var modules: [Identity: Module] = [:]
    root.forEachModule { modules[$1.identity] = $1 }
    self.modules = modules
    for (index, node) in graph.nodes.enumerated() {
      guard case .layer(.batchNorm) = node.operation, shapes[index].dropFirst(2).allSatisfy({ $0 == 1 }) else { continue }
      throw ModelError("a batch norm in training needs more than one value per channel", subject: node.path)
    }
  }

  /// For each level how many pixels one cell is high.
  func strides(of head: Module) throws -> [Int] {
    let levels = head.children["m"]?.children.values.map(\.identity) ?? []
    return try levels.map { level in
      guard let call = graph.calls.last(where: { $0.module == level }), let output = call.outputs.first,
        shapes[output.node].count == 4
      else { throw ModelError("a level of the head is not called") }
      let height = shapes[output.node][2]
      guard height > 0, side % height == 0 else {
        throw ModelError(
          "a level of the head is \(height) cells high for a picture of \(side), which is no whole stride")
      }
      return side / height
    }
  }

  /// Batch norms that get anything but zeros have running statistics of their own.
  func settleStatistics(in root: inout Module, _ make: ModuleBuilder) {
    let signals = ZeroSignals(graph, modules)
    guard !signals.touched.isEmpty else { return }
    root.updateModules { path, module in
      guard signals.touched.contains(module.identity) else { return }
      let refusal = ModelError(
        "the original's constructor fills its running statistics by a forward pass of numbers, which is not computed here",
        subject: path)
      for name in ["running_mean", "running_var"] {
        guard let shape = module.buffers[name]?.shape else { continue }
        module.buffers[name] = make.tensor(.float32, shape) { _ in throw refusal }
      }
    }
  }
}

/// Where zeros stay zeros on their way through a new model.
private struct ZeroSignals {
  /// Batch norms that something else comes to.
  private(set) var touched: Set<Identity> = []

  init(_ graph: Graph, _ modules: [Identity: Module]) {
    var isZero: [Bool] = []
    isZero.reserveCapacity(graph.nodes.count)
    for node in graph.nodes {
      let inputs = node.inputs.allSatisfy { isZero[$0.node] }
      let hasBias = node.module.flatMap { modules[$0]?.parameters["bias"] } != nil
      switch node.operation {
      case .input: isZero.append(true)
      case .layer(.batchNorm):
        if !inputs, let module = node.module { touched.insert(module) }
        isZero.append(inputs)
      case .layer(.convolution), .layer(.linear): isZero.append(inputs && !hasBias)
      case .layer(.activation(let activation)): isZero.append(inputs && activation.kind.keepsZero)
      case .layer(.softmax), .layer(.layerNorm), .layer(.groupNorm), .layer(.opaque): isZero.append(false)
      case .layer: isZero.append(inputs)
      case .function(.constant), .function(.elementwise("decode")): isZero.append(false)
      case .function: isZero.append(inputs)
      }
    }
  }
}

extension Activation.Kind {
  /// Whether its value at 0 is 0.
  fileprivate var keepsZero: Bool {
    switch self {
    case .hardsigmoid, .sigmoid, .softplus, .logSigmoid, .threshold: false
    default: true
    }
  }
}
