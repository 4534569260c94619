import ModelCore
import ModelGraph

extension TrainingGraph {
  /// The same with less kept from the forward for the backward pass, which computes the rest again: torch's
  /// `torch.utils.checkpoint`, with segments that are chosen for the least memory.
  ///
  /// Kept are what goes from one segment to a later one, outputs, and small values such as a norm's statistics. The rest
  /// is computed anew by the same operations on the same values right before the first gradient that reads it, so that
  /// all results are the same to the last bit: dropouts draw again by their seed, and running statistics are the first
  /// pass's. The last segment, whose gradients follow at once, is kept. `Graph.recomputations` tells what is computed
  /// anew; a graph of which nothing is worth that is given as it is.
  /// - Parameter inputs: the types of the inputs of `graph`.
  /// - Throws: `ModelError` for types that the graph cannot take, and where it becomes larger than any model's.
  public func recomputingActivations(for inputs: [TensorType]) throws -> TrainingGraph {
    guard graph.recomputations.isEmpty, forwardNodeCount < graph.nodes.count else { return self }
    let segments = Segments(self, try graph.types(of: inputs))
    guard segments.starts.count > 1 else { return self }
    var rewriting = Recomputation(self, segments)
    return try rewriting.run()
  }
}

/// Puts copies of the forward's nodes before the gradients that read them.
private struct Recomputation {
  private let source: TrainingGraph
  private let segments: Segments
  private var graph: Graph
  /// Where values of the backward pass stand.
  private var moved: [Graph.Value: Graph.Value] = [:]
  /// Where values of the forward are computed again.
  private var copies: [Graph.Value: Graph.Value] = [:]
  /// By segments, the nodes that are computed again.
  private var pending: [Int: [Int]] = [:]

  init(_ source: TrainingGraph, _ segments: Segments) {
    (self.source, self.segments) = (source, segments)
    graph = source.graph.beforeNode(source.forwardNodeCount)
    findPending()
  }

  /// What gradients read, and what that is made of.
  private mutating func findPending() {
    let (nodes, count) = (source.graph.nodes, source.forwardNodeCount)
    var isWanted = [Bool](repeating: false, count: count)
    func want(_ operands: [Graph.Value]) {
      for value in operands where segments.segmentOfRecomputed(value) != nil {
        if let producer = graph.producer(of: value) { isWanted[producer] = true }
      }
    }
    for node in nodes[count...] { want(node.operands.filter { $0.index < graph.definitions.count }) }
    for index in (0..<count).reversed() where isWanted[index] { want(nodes[index].operands) }
    for index in 0..<count where isWanted[index] { pending[segments.segment(of: index), default: []].append(index) }
  }

  mutating func run() throws -> TrainingGraph {
    let old = source.graph
    for (index, definition) in old.definitions.enumerated().dropFirst(graph.definitions.count) {
      let value = Graph.Value(index: index)
      switch definition {
      case .constant(let tensor): moved[value] = graph.addConstant(tensor)
      case .weight(let path):
        guard let weight = old.weights[path] else { throw ModelError(.missing, "is missing", subject: path) }
        moved[value] = graph.addWeight(path, weight)
      case .input(let name): moved[value] = graph.addInput(name)
      case .result(let node, 0): try add(old.nodes[node])
      case .result: break
      }
    }
    graph.outputs = old.outputs.map(place)
    return TrainingGraph(
      graph: graph, gradients: source.gradients.mapValues(place),
      inputGradients: source.inputGradients.map { $0.map(place) },
      outputGradients: source.outputGradients.map(place), seed: source.seed, forwardNodeCount: source.forwardNodeCount,
      mapping: source.mapping)
  }

  private func place(_ value: Graph.Value) -> Graph.Value { moved[value] ?? value }

  /// Appends a node of the backward pass, and before it the segments that it is the first to read.
  private mutating func add(_ node: Graph.Node) throws {
    for operand in node.operands where moved[operand] == nil {
      guard let segment = segments.segmentOfRecomputed(operand), let nodes = pending.removeValue(forKey: segment)
      else { continue }
      for place in nodes {
        let again = source.graph.nodes[place]
        let results = try graph.appendAgain(place, again.operands.map { copies[$0] ?? $0 })
        for (value, copy) in zip(again.results, results) where segments.segmentOfRecomputed(value) != nil {
          copies[value] = copy
        }
      }
    }
    let operands = node.operands.map { moved[$0] ?? copies[$0] ?? $0 }
    for (value, result) in zip(node.results, try graph.append(node.operation, operands, scope: node.scope)) {
      moved[value] = result
    }
  }
}
