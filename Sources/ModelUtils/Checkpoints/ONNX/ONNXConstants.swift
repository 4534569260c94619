import ModelCore

/// A constant of a model with the name that tells it from all others of the file.
public struct ONNXConstant: Sendable {
  /// The name that nodes use, with the node and attribute of its graph before it where another graph of the file has the
  /// same name: `If_3/else_branch/weight`.
  public let name: String
  /// The constant.
  public let tensor: ONNXTensor
  /// The name that nodes use, which another graph of the file may have as well.
  public let valueName: String
}

extension ONNXModel {
  /// Every constant: initializers and the tensors of Constant nodes, those of branches and bodies included.
  public var constants: [ONNXConstant] {
    var walk = ConstantWalk()
    walk.visit(graph, prefix: "")
    return walk.found
  }

  /// Replaces constants by the names that `constants` gives them; those that are not named stay as they are.
  /// - Throws: `ModelError` for a type that ONNX does not have.
  public mutating func setConstants(_ new: [String: Tensor]) throws {
    try updateConstants { name, tensor in try new[name].map { try tensor.replaced(by: $0) } }
  }

  /// Says of constants that their elements are in another file.
  mutating func moveConstants(_ places: [String: ONNXExternalData]) throws {
    try updateConstants { name, tensor in places[name].map { tensor.moved(to: $0) } }
  }

  private mutating func updateConstants(_ change: @escaping (String, ONNXTensor) throws -> ONNXTensor?) throws {
    var walk = ConstantWalk()
    if let changed = try walk.update(graph, prefix: "", change) { graph = changed }
  }
}

/// Goes through a model's graphs, always in the same order, and tells constants of the same name apart.
private struct ConstantWalk {
  private var seen: Set<String> = []
  private(set) var found: [ONNXConstant] = []

  private mutating func unique(_ name: String, _ prefix: String) -> String {
    if seen.insert(name).inserted { return name }
    var full = prefix + name
    while !seen.insert(full).inserted { full += "'" }
    return full
  }

  private func prefix(_ node: ONNXNode, _ attribute: ONNXAttribute, _ prefix: String) -> String {
    "\(prefix)\(node.label)/\(attribute.name)/"
  }

  mutating func visit(_ graph: ONNXGraph, prefix: String) {
    for tensor in graph.initializers {
      found.append(ONNXConstant(name: unique(tensor.name, prefix), tensor: tensor, valueName: tensor.name))
    }
    for node in graph.nodes {
      if let tensor = node.constant {
        let name = node.outputs.first ?? ""
        found.append(ONNXConstant(name: unique(name, prefix), tensor: tensor, valueName: name))
      }
      for attribute in node.attributes {
        for inner in attribute.value.allGraphs { visit(inner, prefix: self.prefix(node, attribute, prefix)) }
      }
    }
  }

  /// - Returns: nil where nothing in the graph changes.
  mutating func update(
    _ graph: ONNXGraph, prefix: String, _ change: (String, ONNXTensor) throws -> ONNXTensor?
  ) throws -> ONNXGraph? {
    var initializers: [ONNXTensor]?
    for (index, tensor) in graph.initializers.enumerated() {
      guard let new = try change(unique(tensor.name, prefix), tensor) else { continue }
      initializers = initializers ?? graph.initializers
      initializers?[index] = new
    }
    var nodes: [ONNXNode]?
    for (index, node) in graph.nodes.enumerated() {
      guard let changed = try update(node, prefix: prefix, change) else { continue }
      nodes = nodes ?? graph.nodes
      nodes?[index] = changed
    }
    guard initializers != nil || nodes != nil else { return nil }
    var graph = graph
    if let initializers { graph.initializers = initializers }
    if let nodes { graph.nodes = nodes }
    return graph
  }

  private mutating func update(
    _ node: ONNXNode, prefix: String, _ change: (String, ONNXTensor) throws -> ONNXTensor?
  ) throws -> ONNXNode? {
    var changes: [(place: Int, value: ONNXAttribute.Value)] = []
    if let tensor = node.constant, let new = try change(unique(node.outputs.first ?? "", prefix), tensor),
      let place = node.attributes.firstIndex(where: { $0.name == "value" })
    {
      changes.append((place, .tensor(new)))
    }
    for (place, attribute) in node.attributes.enumerated() {
      let graphs = attribute.value.allGraphs
      let inner = self.prefix(node, attribute, prefix)
      let changed = try graphs.map { try update($0, prefix: inner, change) }
      guard changed.contains(where: { $0 != nil }) else { continue }
      changes.append((place, attribute.value.replacingGraphs(zip(graphs, changed).map { $1 ?? $0 })))
    }
    if changes.isEmpty { return nil }
    var node = node
    for change in changes { node.attributes[change.place].value = change.value }
    return node
  }
}

extension ONNXNode {
  /// The tensor that a Constant node gives.
  public var constant: ONNXTensor? {
    operation == "Constant" && isStandard ? attribute("value")?.tensor : nil
  }

  /// The branches or bodies in its attributes.
  public var subgraphs: [ONNXGraph] { attributes.flatMap(\.value.allGraphs) }
}

extension ONNXAttribute.Value {
  /// One graph or several; none for anything else.
  public var allGraphs: [ONNXGraph] {
    switch self {
    case .graph(let graph): [graph]
    case .graphs(let graphs): graphs
    default: []
    }
  }
}

extension ONNXAttribute.Value {
  /// The same with as many other graphs in their places.
  package func replacingGraphs(_ graphs: [ONNXGraph]) -> Self {
    if case .graph = self, let graph = graphs.first { .graph(graph) } else { .graphs(graphs) }
  }
}

extension ONNXGraph {
  /// Every node of the graph and of the graphs within, outer ones first.
  public var allNodes: [ONNXNode] { nodes.flatMap { [$0] + $0.subgraphs.flatMap(\.allNodes) } }
}
