import ModelCore
import ModelGraph

/// Walks a graph backwards and appends the gradients of what it meets.
struct Differentiation {
  var graph: Graph
  let types: InferredTypes
  /// The outputs of a graph that is cut, with the inputs that take their gradients.
  let cuts: [(value: Graph.Value, gradient: Graph.Value)]
  /// The scope of the node whose gradients are being made: theirs too.
  var scope = 0
  var constants: [ConstantKey: Graph.Value] = [:]
  /// Of each value of the forward whether a gradient flows through it to something that one is wanted of.
  private let needsGradient: [Bool]
  /// What has come to each value so far.
  private var gradients: [Int: Graph.Value] = [:]
  private let parameters: [String]
  private let forward: TrainingForward
  private let wantedInputs: ArraySlice<Graph.Value>

  struct ConstantKey: Hashable {
    let number: Double
    let dtype: DType
  }

  init(_ source: Graph, _ inputs: [TensorType], _ parameters: [String]?, ofInputs: Bool, isCut: Bool) throws {
    let given = try source.types(of: inputs)
    forward = TrainingForward(source, isCut: isCut)
    graph = forward.graph
    self.parameters = try parameters.map { try Self.checked($0, in: source) } ?? Self.trained(source)
    let seeds = forward.seed == nil ? [] : [TensorType(.int64, [2])]
    let outside = isCut ? source.outputs.map { given[$0] } : []
    if graph.inputShapes != nil { graph.inputShapes = (inputs + seeds + outside).map(\.shape) }
    types = try graph.types(of: inputs + seeds + outside)
    cuts = zip(graph.outputs, forward.cuts).map { ($0, $1) }
    wantedInputs = ofInputs ? graph.inputs.prefix(inputs.count) : []
    needsGradient = Self.needs(graph, types, Set(self.parameters), Set(wantedInputs))
  }

  private static func checked(_ paths: [String], in graph: Graph) throws -> [String] {
    for path in paths {
      guard let weight = graph.weights[path] else {
        throw ModelError(.missing, "the graph takes no parameter of that name", subject: path)
      }
      guard !weight.tensor.dtype.isInteger else {
        throw ModelError(.mismatch, "whole numbers have no gradient", subject: path)
      }
    }
    return paths
  }

  private static func trained(_ graph: Graph) -> [String] {
    graph.weights.filter { $0.value.requiresGrad && !$0.value.isBuffer && !$0.value.tensor.dtype.isInteger }.map(\.key)
  }

  /// Forwards: what depends on something that a gradient is wanted of, by operands through which one flows.
  private static func needs(
    _ graph: Graph, _ types: InferredTypes, _ parameters: Set<String>, _ inputs: Set<Graph.Value>
  ) -> [Bool] {
    var needs = graph.definitions.indices.map { index in
      let value = Graph.Value(index: index)
      if types[value].dtype.isInteger { return false }
      return if case .weight(let path) = graph.definitions[index] {
        parameters.contains(path)
      } else {
        inputs.contains(value)
      }
    }
    for node in graph.nodes
    where node.operation.differentiableOperands(node.operands.count).contains(where: { needs[node.operands[$0].index] })
    {
      for result in node.results.prefix(node.operation.differentiableResults(node.results.count))
      where !types[result].dtype.isInteger { needs[result.index] = true }
    }
    return needs
  }

  /// Whether a value's gradient is asked for.
  func needs(_ value: Graph.Value) -> Bool { needsGradient[value.index] }

  /// The value here of a value of the graph that was given, which is a loss.
  func loss(_ value: Graph.Value) throws -> Graph.Value {
    guard forward.mapping.indices.contains(value.index) else {
      throw ModelError(.invalid, "value \(value.index) is none of the graph's \(forward.mapping.count)")
    }
    let loss = forward.mapping[value.index]
    guard types[loss].shape.allSatisfy({ $0 == 1 }), !types[loss].dtype.isInteger else {
      throw ModelError(.mismatch, "a loss is one floating number, not \(types[loss])")
    }
    return loss
  }

  /// Appends the backward pass.
  /// - Parameter known: values with their gradients.
  mutating func run(from known: [(value: Graph.Value, gradient: Graph.Value)]) throws -> TrainingGraph {
    for (value, gradient) in known where needs(value) { try add(gradient, to: value) }
    let nodeCount = forward.graph.nodes.count
    for node in graph.nodes[..<nodeCount].reversed() {
      let incoming = node.results.map { gradients[$0.index] }
      guard incoming.contains(where: { $0 != nil }) else { continue }
      scope = node.scope
      do {
        let outgoing = try self.gradients(of: node, incoming)
        for (operand, gradient) in zip(node.operands, outgoing) {
          if let gradient, needs(operand) { try add(gradient, to: operand) }
        }
      } catch let error as ModelError {
        throw error.about(graph.scopes[scope].path)
      }
    }
    return finished(forwardNodeCount: nodeCount)
  }

  private func finished(forwardNodeCount: Int) -> TrainingGraph {
    var graph = graph
    var found: OrderedDictionary<String, Graph.Value> = [:]
    var values: [String: Int] = [:]
    for (index, definition) in graph.definitions.enumerated() {
      if case .weight(let path) = definition { values[path] = index }
    }
    for path in parameters {
      if let gradient = values[path].flatMap({ gradients[$0] }) { found[path] = gradient }
    }
    let ofInputs = wantedInputs.map { gradients[$0.index] }
    graph.outputs += ofInputs.compactMap(\.self) + found.values
    return TrainingGraph(
      graph: graph, gradients: found, inputGradients: ofInputs, outputGradients: cuts.map(\.gradient),
      seed: forward.seed, forwardNodeCount: forwardNodeCount, mapping: forward.mapping)
  }

  /// Adds what flows into a value from one of its uses.
  private mutating func add(_ gradient: Graph.Value, to value: Graph.Value) throws {
    gradients[value.index] = try gradients[value.index].map { try emit(.binary(.add), $0, gradient) } ?? gradient
  }
}
