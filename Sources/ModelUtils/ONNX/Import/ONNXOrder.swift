import ModelCheckpoints
import ModelCore

/// The order in which nodes can be computed: the file's, but for those that take what stands behind them.
enum ONNXOrder {
  /// - Parameter isKnown: whether a name is there already: an input, a weight, or a value of a graph around.
  /// - Throws: `ModelError` for a cycle, a value that two nodes make, and one that nothing makes.
  static func sorted(_ nodes: [ONNXNode], isKnown: (String) -> Bool) throws -> [Int] {
    var producers: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for output in node.outputs where !output.isEmpty {
        guard producers.updateValue(index, forKey: output) == nil, !isKnown(output) else {
          throw ModelError(.malformed, "makes \(output), which is made elsewhere too", subject: node.label)
        }
      }
    }
    var order: [Int] = []
    var state = [UInt8](repeating: 0, count: nodes.count)
    for start in nodes.indices where state[start] == 0 {
      var stack: [(node: Int, sources: ArraySlice<String>)] = [(start, nodes[start].sources[...])]
      state[start] = 1
      while var top = stack.popLast() {
        guard let source = top.sources.popFirst() else {
          state[top.node] = 2
          order.append(top.node)
          continue
        }
        stack.append(top)
        guard let producer = producers[source] else {
          if isKnown(source) { continue }
          throw ModelError(.malformed, "takes \(source), which nothing makes", subject: nodes[top.node].label)
        }
        if state[producer] == 2 { continue }
        guard state[producer] == 0 else {
          throw ModelError(.malformed, "takes \(source), which follows from itself", subject: nodes[top.node].label)
        }
        state[producer] = 1
        stack.append((producer, nodes[producer].sources[...]))
      }
    }
    return order
  }
}

extension ONNXNode {
  /// What it takes, and what graphs in its attributes take from around them.
  fileprivate var sources: [String] {
    inputs.filter { !$0.isEmpty } + subgraphs.flatMap(\.captured)
  }
}

extension ONNXGraph {
  /// The names that its nodes take and it does not have itself.
  var captured: [String] {
    var own = Set(inputs.map(\.name) + initializers.map(\.name) + sparseInitializers.map(\.values.name))
    for node in nodes { own.formUnion(node.outputs) }
    let made = Set(nodes.flatMap(\.outputs))
    return nodes.flatMap(\.sources).filter { !own.contains($0) }
      + outputs.map(\.name).filter { !own.contains($0) && !made.contains($0) }
  }
}
