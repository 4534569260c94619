import ModelCheckpoints
import ModelCore

extension ONNXModel {
  /// Folds batch norms, and additions and multiplications by a constant of each channel, into the convolution, its
  /// transpose, Gemm or MatMul before them, in branches and bodies too.
  ///
  /// Every value between has one use and is no output. Constants are looked up through Identity, Reshape, Cast, Squeeze,
  /// Unsqueeze and Transpose; initializers that callers may set (from version 4 of the format those that are inputs) are
  /// none. A weight with other users is copied. The names of inputs, outputs and untouched nodes stay, and the name of a
  /// weight that is one node's own.
  /// - Returns: what was fused, and every batch norm that stays with its reason.
  /// - Throws: `ModelError` for weights that cannot be read.
  public mutating func fuse() throws -> FusionReport {
    var report = FusionReport()
    report.parametersBefore = weightCounts.parameters
    let scope = ONNXScope(graph, of: self)
    var fusion = ONNXFusion(graph, scope: scope, initializersAreInputs: irVersion < 4)
    try fusion.run()
    if fusion.isChanged { graph = fusion.graph }
    (report.fused, report.absorbed, report.refused) = (fusion.fused, fusion.absorbed, fusion.refused)
    report.parametersAfter = weightCounts.parameters
    return report
  }
}

/// The fusion of one graph.
private struct ONNXFusion {
  private(set) var graph: ONNXGraph
  private(set) var fused: [FusionReport.Pair] = []
  private(set) var absorbed: [FusionReport.Absorption] = []
  private(set) var refused: [FusionReport.Refusal] = []
  private(set) var isChanged = false

  private let scope: ONNXScope
  private let initializersAreInputs: Bool
  /// A node that was taken up is nil.
  private var nodes: [ONNXNode?]
  /// The nodes that take a value, once for each time.
  private var users: [String: [Int]] = [:]
  /// Values that are used in branches and bodies.
  private var captured: Set<String> = []
  private let outputs: Set<String>
  private var initializers: OrderedDictionary<String, ONNXTensor> = [:]
  private var taken: Set<String>
  private var ranks: [String: Int] = [:]
  /// Why a batch norm stays, by its place, with the node before it.
  private var reasons: [Int: (conv: String, reason: String)] = [:]
  /// What may have lost its last user.
  private var released: [String] = []

  init(_ graph: ONNXGraph, scope: ONNXScope, initializersAreInputs: Bool) {
    self.graph = graph
    self.scope = scope
    self.initializersAreInputs = initializersAreInputs
    nodes = graph.nodes
    outputs = Set(graph.outputs.map(\.name))
    for tensor in graph.initializers { initializers[tensor.name] = tensor }
    taken = Set(graph.allNodes.flatMap(\.outputs)).union(graph.inputs.map(\.name)).union(initializers.keys)
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs where !input.isEmpty { users[input, default: []].append(index) }
      for inner in node.subgraphs {
        for node in inner.allNodes { captured.formUnion(node.inputs) }
        for inner in [inner] + inner.allNodes.flatMap(\.subgraphs) { captured.formUnion(inner.outputs.map(\.name)) }
        taken.formUnion(inner.initializers.map(\.name))
      }
    }
    for value in graph.inputs + graph.valueInfo + graph.outputs {
      if case .tensor(_, let shape?) = value.kind { ranks[value.name] = shape.count }
    }
  }

  mutating func run() throws {
    for index in nodes.indices {
      try runInside(index)
      guard let node = nodes[index], node.isStandard, ONNXAbsorber.operations.contains(node.operation) else { continue }
      try absorb(into: index)
    }
    for (index, node) in nodes.enumerated() {
      guard let node, node.operation == "BatchNormalization", node.isStandard else { continue }
      let reason = reasons[index] ?? ("", self.reason(node))
      refused.append(FusionReport.Refusal(conv: reason.conv, bn: node.label, reason: reason.reason))
    }
    if isChanged { finish() }
  }

  /// Fuses in the branches and bodies of a node.
  private mutating func runInside(_ index: Int) throws {
    guard let node = nodes[index] else { return }
    for (place, attribute) in node.attributes.enumerated() {
      let graphs = attribute.value.allGraphs
      if graphs.isEmpty { continue }
      var isChanged = false
      let new = try graphs.map { graph in
        var inner = ONNXFusion(graph, scope: scope.inner(graph), initializersAreInputs: false)
        try inner.run()
        fused += inner.fused
        absorbed += inner.absorbed
        refused += inner.refused
        isChanged = isChanged || inner.isChanged
        return inner.graph
      }
      guard isChanged else { continue }
      self.isChanged = true
      nodes[index]?.attributes[place].value = attribute.value.replacingGraphs(new)
    }
  }

  /// Why a batch norm stays that follows nothing which could take it up.
  private func reason(_ node: ONNXNode) -> String {
    guard let input = node.inputs.first, let before = scope.producer(of: input) else {
      return "normalises an input of the graph"
    }
    return "follows \(before.qualifiedOperation), which cannot take it up"
  }

  // MARK: One node and what follows it

  private mutating func absorb(into index: Int) throws {
    guard let original = nodes[index], let first = original.outputs.first,
      let follower = follower(of: first, index), nodes[follower]?.scales == true
    else { return }
    let absorber: ONNXAbsorber
    do {
      absorber = try ONNXAbsorber(original, inputRank: original.inputs.first.flatMap { ranks[$0] }, scope)
    } catch let refusal as ONNXScaling.Refusal {
      return refuse(follower, original, refusal.reason)
    }
    var scaling = ONNXScaling()
    var tensors: (weight: Tensor, bias: Tensor?) = (absorber.weight, absorber.bias)
    var output = first
    var followers: [Int] = []
    while let next = self.follower(of: output, index), let node = nodes[next] {
      do {
        guard
          let more = try ONNXScaling(
            node, of: output, channels: absorber.channels, rank: absorber.rank, axis: absorber.axis, scope)
        else { break }
        if more.adds, !absorber.takesBias, absorber.rank != 2 {
          // A product of more axes has no bias, and arithmetic nodes stay without a word.
          guard node.operation == "BatchNormalization" else { break }
          throw ONNXScaling.Refusal(
            reason: absorber.rank == nil
              ? "the product's number of axes is not known"
              : "the product has \(absorber.rank ?? 0) axes and takes no bias")
        }
        let both = scaling.followed(by: more)
        tensors = try absorber.scaled(both)
        scaling = both
      } catch let refusal as ONNXScaling.Refusal {
        refuse(next, original, refusal.reason)
        break
      }
      followers.append(next)
      output = node.outputs[0]
    }
    if !followers.isEmpty { try replace(index, tensors, taking: followers) }
  }

  private mutating func refuse(_ index: Int, _ node: ONNXNode, _ reason: String) {
    reasons[index] = (node.label, reason)
  }

  /// The one node that takes a value which nothing else needs.
  private mutating func follower(of value: String, _ index: Int) -> Int? {
    let all = users[value] ?? []
    let reason: String
    if outputs.contains(value) {
      reason = "what it would be fused with is an output of the graph as well"
    } else if captured.contains(value) {
      reason = "what it would be fused with is used in a branch or body as well"
    } else if all.count > 1 {
      reason = "what it would be fused with has \(all.count) users"
    } else {
      return all.first
    }
    if let node = nodes[index] {
      for user in all where nodes[user]?.operation == "BatchNormalization" { refuse(user, node, reason) }
    }
    return nil
  }

  private mutating func replace(_ index: Int, _ tensors: (weight: Tensor, bias: Tensor?), taking followers: [Int])
    throws
  {
    guard var node = nodes[index] else { return }
    for place in followers {
      guard let follower = nodes[place] else { continue }
      if follower.operation == "BatchNormalization" {
        fused.append(FusionReport.Pair(conv: node.label, bn: follower.label))
      } else {
        absorbed.append(
          FusionReport.Absorption(conv: node.label, node: follower.label, operation: follower.operation))
      }
      for input in follower.inputs where input != node.outputs[0] { release(input, place) }
      node.outputs = [follower.outputs[0]]
      nodes[place] = nil
    }
    isChanged = true
    let weight = node.inputs[1]
    node.inputs[1] = try put(tensors.weight, for: weight, of: index, named: "\(weight).fused")
    if let bias = tensors.bias {
      let old = node.inputs.count > 2 ? node.inputs[2] : ""
      let stem = weight.hasSuffix(".weight") ? String(weight.dropLast(7)) : weight
      let name = try put(bias, for: old, of: index, named: old.isEmpty ? "\(stem).bias" : "\(old).fused")
      node.inputs = Array(node.inputs.prefix(2)) + [name]
      if node.operation == "MatMul" { node.operation = "Gemm" }
      for place in node.attributes.indices where node.operation == "Gemm" && node.attributes[place].name == "beta" {
        if node.attributes[place].value.float == 0 { node.attributes[place].value = .float(1) }
      }
    }
    nodes[index] = node
  }

  /// Puts a new weight in the place of an initializer that is this node's alone, or beside it.
  private mutating func put(_ tensor: Tensor, for name: String, of index: Int, named new: String) throws -> String {
    if let old = initializers[name], users[name] == [index], !captured.contains(name), !outputs.contains(name) {
      initializers[name] = try old.replaced(by: tensor)
      return name
    }
    var unique = new
    var number = 2
    while !taken.insert(unique).inserted {
      unique = "\(new).\(number)"
      number += 1
    }
    initializers[unique] = try ONNXTensor(unique, tensor)
    users[unique] = [index]
    release(name, index)
    return unique
  }

  private mutating func release(_ name: String, _ index: Int) {
    if name.isEmpty { return }
    if let place = users[name]?.firstIndex(of: index) { users[name]?.remove(at: place) }
    released.append(name)
  }

  // MARK: Afterwards

  private mutating func finish() {
    removeUnused()
    let left = nodes.compactMap { $0 }
    let made = Set(left.flatMap(\.outputs)).union(graph.inputs.map(\.name)).union(initializers.keys)
    graph.nodes = left
    if initializersAreInputs {
      let names = Set(graph.initializers.map(\.name))
      graph.inputs.removeAll { names.contains($0.name) && initializers[$0.name] == nil }
      for (name, tensor) in initializers where !names.contains(name) {
        graph.inputs.append(ONNXValueInfo(name, tensor.elementType, shape: tensor.shape.map { .fixed($0) }))
      }
    }
    graph.initializers = Array(initializers.values)
    if graph.valueInfo.contains(where: { !made.contains($0.name) }) {
      graph.valueInfo.removeAll { !made.contains($0.name) }
    }
    if graph.quantization.contains(where: { !made.contains($0.tensorName) }) {
      graph.quantization.removeAll { !made.contains($0.tensorName) }
    }
  }

  /// Constants that lost their last user, and the nodes that only handed them on.
  private mutating func removeUnused() {
    let passing: Set = ["Constant", "Identity", "Reshape", "Cast", "Transpose", "Squeeze", "Unsqueeze"]
    var makers: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for output in node?.outputs ?? [] { makers[output] = index }
    }
    while let name = released.popLast() {
      guard users[name]?.isEmpty ?? true, !captured.contains(name), !outputs.contains(name) else { continue }
      if initializers.removeValue(forKey: name) != nil { continue }
      guard let index = makers[name], let node = nodes[index], node.isStandard, passing.contains(node.operation),
        node.outputs.allSatisfy({ users[$0]?.isEmpty ?? true })
      else { continue }
      nodes[index] = nil
      for input in node.inputs { release(input, index) }
    }
  }
}

extension ONNXNode {
  /// Whether it may scale channels.
  fileprivate var scales: Bool {
    isStandard && ["BatchNormalization", "Mul", "Add", "Sub", "Div"].contains(operation)
  }
}
