import ModelCore
import Synchronization

/// What a picture of zeros becomes on its way through a new model: zeros, and behind a layer with a bias the same
/// number in every place of a channel, until a batch norm makes zeros of it again.
///
/// Differs from the forward pass by its rounding alone, which leaves numbers around 1e-8 where zeros are here.
struct ConstantSignals {
  enum Signal {
    case zero
    /// One number for each channel, computed when it is needed.
    case uniform(Values)
    case unknown

    var isZero: Bool { if case .zero = self { true } else { false } }
  }

  /// Numbers that are computed once, when the first asks.
  final class Values: Sendable {
    private let known = Mutex<[Float]?>(nil)
    private let compute: @Sendable () throws -> [Float]

    init(_ compute: @escaping @Sendable () throws -> [Float]) { self.compute = compute }

    func callAsFunction() throws -> [Float] {
      if let values = known.withLock({ $0 }) { return values }
      let values = try compute()
      known.withLock { $0 = values }
      return values
    }
  }

  /// What comes to each batch norm.
  private(set) var normInputs: [Identity: Signal] = [:]

  private let graph: Graph
  private let shapes: [[Int]]
  private let modules: [Identity: Module]
  private var signals: [Signal] = []

  init(_ graph: Graph, _ shapes: [[Int]], _ modules: [Identity: Module]) {
    (self.graph, self.shapes, self.modules) = (graph, shapes, modules)
    signals.reserveCapacity(graph.nodes.count)
    for node in graph.nodes { signals.append(signal(of: node)) }
  }

  private mutating func signal(of node: Graph.Node) -> Signal {
    let inputs = node.inputs.map { signals[$0.node] }
    let areZero = inputs.allSatisfy(\.isZero)
    let module = node.module.flatMap { modules[$0] }
    switch node.operation {
    case .input: return .zero
    case .layer(.batchNorm):
      if let module { normInputs[module.identity] = inputs.first ?? .unknown }
      if case .unknown = inputs.first ?? .unknown { return .unknown }
      return .zero
    case .layer(.convolution(let convolution)):
      let isPointwise =
        !convolution.isTransposed && convolution.groups == 1 && convolution.kernelSize.allSatisfy { $0 == 1 }
        && convolution.padding?.allSatisfy { $0 == 0 } == true
      return areZero || isPointwise ? product(module, inputs.first) : .unknown
    case .layer(.linear): return product(module, inputs.first)
    case .layer(.multiheadAttention(let attention)): return attended(module, attention, inputs)
    case .layer(.activation(let activation)): return areZero && activation.kind.keepsZero ? .zero : .unknown
    case .layer(.pool(let pool)) where pool.kind == .average: return areZero ? .zero : .unknown
    case .layer(.pool), .layer(.upsample), .layer(.dropout), .layer(.identity): return inputs.first ?? .unknown
    case .layer(.softmax), .layer(.layerNorm), .layer(.groupNorm), .layer(.opaque): return .unknown
    case .function(.elementwise("add")): return sum(inputs)
    case .function(.concatenate(axis: 1)): return concatenated(inputs, node)
    // A transformer's tokens are places, and its features channels.
    case .layer(.flatten) where node.className?.name == "TransformerBlock",
      .function(.permute) where node.className?.name == "TransformerBlock",
      .function(.reshape) where node.className?.name == "TransformerBlock":
      return inputs.first ?? .unknown
    case .function(.constant), .function(.elementwise("decode")): return .unknown
    case .layer, .function: return areZero ? .zero : .unknown
    }
  }

  // MARK: Values

  /// A weight [out, in, 1…] times the input, and the bias.
  private func product(_ module: Module?, _ input: Signal?) -> Signal {
    guard let module, let weight = module.parameters["weight"]?.tensor, let input else { return .unknown }
    let bias = module.parameters["bias"]?.tensor
    switch (input, bias) {
    case (.unknown, _): return .unknown
    case (.zero, nil): return .zero
    case (.zero, .some(let bias)): return .uniform(Values { try bias.floats() })
    case (.uniform(let values), let bias):
      return .uniform(Values { Self.product(try weight.floats(), try values(), try bias?.floats()) })
    }
  }

  private static func product(_ weight: [Float], _ input: [Float], _ bias: [Float]?) -> [Float] {
    (0..<weight.count / max(input.count, 1)).map { row in
      var sum = Double(bias?[row] ?? 0)
      for (column, value) in input.enumerated() { sum += Double(weight[row * input.count + column]) * Double(value) }
      return Float(sum)
    }
  }

  /// All tokens are the same, so attention gives their value; its new biases are 0.
  private func attended(_ module: Module?, _ attention: MultiheadAttention, _ inputs: [Signal]) -> Signal {
    guard inputs.count == 3, let module, let weight = module.parameters["in_proj_weight"]?.tensor,
      let output = module["out_proj"]?.parameters["weight"]?.tensor
    else { return .unknown }
    guard case .uniform(let values) = inputs[2] else { return inputs[2] }
    let size = attention.embeddingSize
    return .uniform(
      Values {
        let value = Self.product(Array(try weight.floats().suffix(size * size)), try values(), nil)
        return Self.product(try output.floats(), value, nil)
      })
  }

  private func sum(_ inputs: [Signal]) -> Signal {
    inputs.dropFirst().reduce(inputs.first ?? .unknown) { first, second in
      switch (first, second) {
      case (.unknown, _), (_, .unknown): .unknown
      case (.zero, let other), (let other, .zero): other
      case (.uniform(let a), .uniform(let b)): .uniform(Values { zip(try a(), try b()).map { $0 + $1 } })
      }
    }
  }

  private func concatenated(_ inputs: [Signal], _ node: Graph.Node) -> Signal {
    if inputs.allSatisfy(\.isZero) { return .zero }
    var parts: [Values] = []
    for (input, value) in zip(inputs, node.inputs) {
      switch input {
      case .unknown: return .unknown
      case .uniform(let values): parts.append(values)
      case .zero:
        let shape = shapes[value.node]
        guard shape.count > 1 else { return .unknown }
        parts.append(Values { [Float](repeating: 0, count: shape[1]) })
      }
    }
    return .uniform(Values { [parts] in try parts.flatMap { try $0() } })
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
