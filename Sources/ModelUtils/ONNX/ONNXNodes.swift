import ModelCheckpoints
import ModelCore

extension ONNXGraph {
  /// Every node of the graph and of the graphs within, outer ones first.
  public var allNodes: [ONNXNode] {
    nodes.flatMap { node in [node] + node.subgraphs.flatMap(\.allNodes) }
  }
}

extension ONNXNode {
  /// The branches or bodies in its attributes.
  public var subgraphs: [ONNXGraph] {
    attributes.flatMap { attribute -> [ONNXGraph] in
      switch attribute.value {
      case .graph(let graph): [graph]
      case .graphs(let graphs): graphs
      default: []
      }
    }
  }
}
