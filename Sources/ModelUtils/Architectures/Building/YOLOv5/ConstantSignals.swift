import ModelCore
import ModelGraph
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
  /// One for each value of the graph.
  private var signals: [Signal] = []

  init(_ graph: Graph, _ shapes: [[Int]]) {
    (self.graph, self.shapes) = (graph, shapes)
    signals.reserveCapacity(graph.definitions.count)
    for definition in graph.definitions {
      switch definition {
      case .input: signals.append(.zero)
      case .weight, .constant: signals.append(.unknown)
      case .result(let node, let position): signals.append(position == 0 ? signal(of: graph.nodes[node]) : .unknown)
      }
    }
  }

  private mutating func signal(of node: Graph.Node) -> Signal {
    let inputs = node.operands.map { signals[$0.index] }
    let input = inputs.first ?? .unknown
    // A transformer's tokens are places, and its features channels.
    let isOfTokens = ["TransformerBlock", "MultiheadAttention"].contains(graph.scopes[node.scope].className?.name)
    switch node.operation {
    case .batchNorm:
      if let module = graph.ownModule(of: node) { normInputs[module] = input }
      if case .unknown = input { return .unknown }
      return .zero
    case .convolution(let geometry):
      let isPointwise =
        !geometry.isTransposed && geometry.groups == 1 && geometry.padding.allSatisfy { $0 == Margin(0) }
        && shapes[node.operands[1].index].dropFirst(2).allSatisfy { $0 == 1 }
      return input.isZero || isPointwise ? product(node) : .unknown
    case .linear: return product(node)
    // All tokens are the same, so attention gives their value.
    case .attention: return inputs.count == 3 ? inputs[2] : .unknown
    case .unary(let function): return input.isZero && function(0) == 0 ? .zero : .unknown
    case .pool(let pool) where pool.kind == .average: return input.isZero ? .zero : .unknown
    case .pool, .resize, .dropout: return input
    case .binary(.add): return sum(inputs)
    case .concatenate(axis: 1): return concatenated(inputs, node)
    case .flatten, .permute, .reshape: return isOfTokens || input.isZero ? input : .unknown
    case .concatenate, .binary, .stack: return inputs.allSatisfy(\.isZero) ? .zero : .unknown
    case .adaptivePool, .pad(_, .constant(0)), .pixelShuffle, .slice, .split, .gather, .expand, .reduce, .convert,
      .prelu:
      return input.isZero ? .zero : .unknown
    case .matrixProduct, .einsum, .recurrence, .layerNorm, .rmsNorm, .groupNorm, .softmax, .compare, .select, .argmax,
      .topK, .pad, .samePad, .gridSample, .scatter, .coordinates, .shape, .gradient, .other:
      return .unknown
    }
  }

  // MARK: Values

  /// The elements of a weight, or of a part of it; nil for what is computed.
  private func elements(of value: Graph.Value) -> Values? {
    switch graph.definitions[value.index] {
    case .weight(let path):
      return graph.weights[path].map { weight in Values { try weight.tensor.floats() } }
    case .result(let node, let position):
      guard case .split(axis: 0, .sizes(let sizes)) = graph.nodes[node].operation,
        let whole = elements(of: graph.nodes[node].operands[0])
      else { return nil }
      let row = shapes[value.index].dropFirst().reduce(1, *)
      let start = sizes[..<position].reduce(0, +) * row
      return Values { Array(try whole()[start..<start + sizes[position] * row]) }
    case .input, .constant: return nil
    }
  }

  /// A weight [out, in, 1…] times the input, and the bias.
  private func product(_ node: Graph.Node) -> Signal {
    guard node.operands.count >= 2, let weight = elements(of: node.operands[1]) else { return .unknown }
    let bias = node.operands.count > 2 ? elements(of: node.operands[2]) : nil
    switch (signals[node.operands[0].index], bias) {
    case (.unknown, _): return .unknown
    case (.zero, nil): return .zero
    case (.zero, .some(let bias)): return .uniform(bias)
    case (.uniform(let values), let bias):
      return .uniform(Values { Self.product(try weight(), try values(), try bias?()) })
    }
  }

  private static func product(_ weight: [Float], _ input: [Float], _ bias: [Float]?) -> [Float] {
    (0..<weight.count / max(input.count, 1)).map { row in
      var sum = Double(bias?[row] ?? 0)
      for (column, value) in input.enumerated() { sum += Double(weight[row * input.count + column]) * Double(value) }
      return Float(sum)
    }
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
    for (input, value) in zip(inputs, node.operands) {
      switch input {
      case .unknown: return .unknown
      case .uniform(let values): parts.append(values)
      case .zero:
        let shape = shapes[value.index]
        guard shape.count > 1 else { return .unknown }
        parts.append(Values { [Float](repeating: 0, count: shape[1]) })
      }
    }
    return .uniform(Values { [parts] in try parts.flatMap { try $0() } })
  }
}
