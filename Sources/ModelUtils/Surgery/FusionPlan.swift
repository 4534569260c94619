import ModelArchitectures
import ModelCore
import ModelGraph

/// Finds the pairs of a model that are proved to be fusable, and a reason for every batch norm that is not.
struct FusionPlan {
  struct Step {
    let conv: Identity
    let bn: Identity
    /// The module that holds the batch norm, and the batch norm's name in it.
    let parent: Identity
    let name: String
    let replacement: FusionReplacement
  }

  private(set) var steps: [Step] = []
  private(set) var report = FusionReport()

  /// In how many places each module stands as a child, counted over distinct parents.
  private var uses: [Identity: Int] = [:]
  private var parameterUses: [Tensor.Identity: Int] = [:]
  /// In how many graphs each module runs.
  private var appearances: [Identity: Int] = [:]
  private var planned: Set<Identity> = []
  private var reasons: [Identity: String] = [:]

  private typealias Places = [Identity: (parent: Module, path: String, name: String)]

  init(_ root: Module) {
    let places = takePlaces(in: root)
    root.visitModules { exempt($0) }
    let known = Graph.known(in: root)
    for graph in known.graphs {
      for module in Set(graph.scopes.compactMap(\.module)) { appearances[module, default: 0] += 1 }
    }
    let fusedForward = FusionRules.fusedForward(of: root)
    for graph in known.graphs { plan(graph, fusedForward, places, known) }
    root.forEachModule { path, module in
      var caller = module
      if case .container = module.layer { caller = Self.caller(of: module.identity, places) ?? module }
      explain(module, path, caller)
    }
    if case .batchNorm = root.layer {
      report.refused.append(.init(conv: "", bn: "", reason: "the model is a single batch norm"))
    }
  }

  /// The pairs that a caller vouches for.
  /// - Throws: `ModelError` for a pattern that names nothing, a layer in two pairs, and a pair that cannot be fused.
  init(_ root: Module, patterns: [PairPattern]) throws {
    let places = takePlaces(in: root)
    var modules: OrderedDictionary<String, Module> = [:]
    root.forEachModule { path, module in modules[path] = module }
    let norms = modules.filter { if case .batchNorm = $0.value.layer { true } else { false } }.keys
    let convs = modules.filter { Self.features($0.value) != nil }.keys
    report.fused = try PairPattern.pairs(patterns, convs: Array(convs), norms: Array(norms))
    report.isOrderGiven = true
    for pair in report.fused {
      guard let conv = modules[pair.conv], let bn = modules[pair.bn], let place = places[bn.identity],
        places[conv.identity] != nil
      else { throw ModelError(.mismatch, "is the whole model", subject: pair.bn) }
      if let reason = refusal(conv, bn) {
        throw ModelError(.mismatch, "cannot be fused: \(reason)", subject: "\(pair.conv) and \(pair.bn)")
      }
      planned.insert(bn.identity)
      steps.append(
        Step(
          conv: conv.identity, bn: bn.identity, parent: place.parent.identity, name: place.name, replacement: .identity)
      )
    }
    for path in norms { if let norm = modules[path] { reasons[norm.identity] = "no --pair names it" } }
    root.forEachModule { path, module in explain(module, path, module) }
  }

  private mutating func takePlaces(in root: Module) -> Places {
    var places: Places = [:]
    root.forEachModule { path, module in
      for (name, child) in module.children {
        uses[child.identity, default: 0] += 1
        if places[child.identity] == nil { places[child.identity] = (module, path, name) }
      }
      for parameter in module.parameters.values where parameter.tensor.count > 0 {
        parameterUses[parameter.tensor.identity, default: 0] += 1
      }
    }
    return places
  }

  // MARK: Proof

  private mutating func exempt(_ module: Module) {
    guard let reason = reasons[module.identity] ?? FusionRules.exemption(of: module) else { return }
    for child in module.children.values { reasons[child.identity] = reason }
  }

  private mutating func plan(
    _ graph: Graph, _ fusedForward: String, _ places: Places, _ known: KnownGraphs
  ) {
    var pairs: [Int: Int] = [:]
    for pair in graph.normalizedLayers() { pairs[pair.batchNorm] = pair.layer }
    let users = graph.users()
    for (index, node) in graph.nodes.enumerated() {
      guard node.operation.isBatchNorm, let module = graph.ownModule(of: node), reasons[module] == nil,
        !planned.contains(module), let bnPlace = places[module], let bn = bnPlace.parent.children[bnPlace.name]
      else { continue }
      guard let layer = pairs[index].flatMap({ graph.ownModule(of: graph.nodes[$0]) }), let convPlace = places[layer],
        let conv = convPlace.parent.children[convPlace.name]
      else {
        let unknown = graph.unknownModule(before: index).flatMap { places[$0] }
        reasons[module] =
          unknown.flatMap { $0.parent.children[$0.name] }.flatMap { Self.reason($0, bn) }
          ?? graph.reasonAgainst(batchNorm: index, users: users)
          ?? Self.reason(known, caller: graph.scopes.first?.module.flatMap { Self.caller(of: $0, places) })
        continue
      }
      let isBlock = convPlace.parent.identity == bnPlace.parent.identity
      if let reason = reasons[layer] ?? refusal(conv, bn) {
        reasons[module] = reason
      } else if !isBlock, [layer, module].contains(where: { appearances[$0, default: 0] > 1 }) {
        // What one graph says of two modules does not hold where one of them runs in another graph too.
        reasons[module] = "the convolution stands in another module, which is used in several places"
      } else {
        planned.insert(module)
        steps.append(
          Step(
            conv: layer, bn: module, parent: bnPlace.parent.identity, name: bnPlace.name,
            replacement: isBlock
              ? FusionRules.replacement(
                in: convPlace.parent, conv: convPlace.name, bn: bnPlace.name, fusedForward: fusedForward)
              : .identity))
        report.fused.append(
          .init(conv: dotted(convPlace.path, convPlace.name), bn: dotted(bnPlace.path, bnPlace.name)))
      }
    }
  }

  /// The module whose forward decides when a module runs: its parent, or who owns the list that it stands in.
  private static func caller(
    of module: Identity, _ places: Places
  ) -> Module? {
    var caller = places[module]?.parent
    while let list = caller, case .container = list.layer, let owner = places[list.identity]?.parent { caller = owner }
    return caller
  }

  /// Why it is not known what comes to a module that was taken alone.
  private static func reason(_ known: KnownGraphs, caller: Module?) -> String {
    guard let caller else { return "nothing comes before it" }
    if let failure = known.failures[caller.identity] {
      return "the forward of \(caller.className) could not be followed: \(failure.reason)"
    }
    if let intervention = caller.intervention {
      return "\(caller.className) has \(intervention), and what that does is not known"
    }
    return known.unknown.contains(caller.identity)
      ? "what the forward of \(caller.className) does with it is not known"
      : "the forward of \(caller.className) does not run it"
  }

  /// Why a batch norm cannot be fused into a module that nobody knows what it computes, where it is a convolution all the
  /// same or has hooks.
  private static func reason(_ unknown: Module, _ bn: Module) -> String? {
    if features(unknown) != nil, let reason = ConvBNPair.misfit(unknown, bn) { return reason }
    return unknown.intervention.map { "\(unknown.className.name) has \($0), and what that does is not known" }
  }

  private func refusal(_ conv: Module, _ bn: Module) -> String? {
    if uses[conv.identity, default: 0] > 1 { return "the convolution is used in \(uses[conv.identity] ?? 0) places" }
    if uses[bn.identity, default: 0] > 1 { return "the batch norm is used in \(uses[bn.identity] ?? 0) places" }
    if let weight = conv.parameters["weight"]?.tensor, parameterUses[weight.identity, default: 0] > 1 {
      return "the weight of the convolution is shared with another layer"
    }
    return ConvBNPair.misfit(conv, bn)
  }

  // MARK: Reasons

  /// Gives a reason for every batch norm among the children that was not planned, and the convolution that one would
  /// think of.
  private mutating func explain(_ parent: Module, _ path: String, _ caller: Module) {
    guard parent.children.values.contains(where: isUnplanned) else { return }
    let siblings = parent.children.elements
    // For each child the next convolution behind it.
    let next = siblings.reversed().reduce(into: [String?]([nil])) { next, sibling in
      next.append(Self.features(sibling.value) == nil ? next[next.count - 1] : sibling.key)
    }
    var last: String?
    var lastOfFeatures: [Int: String] = [:]
    for (index, (name, child)) in siblings.enumerated() {
      if let features = Self.features(child) { (last, lastOfFeatures[features]) = (name, name) }
      guard case .batchNorm(let norm) = child.layer, isUnplanned(child) else { continue }
      let nearest = lastOfFeatures[norm.features] ?? last ?? next[siblings.count - 1 - index]
      let reason = reasons[child.identity] ?? "what the forward of \(caller.className) does with it is not known"
      report.refused.append(
        .init(conv: nearest.map { dotted(path, $0) } ?? "", bn: dotted(path, name), reason: reason))
    }
  }

  private func isUnplanned(_ module: Module) -> Bool {
    if case .batchNorm = module.layer { !planned.contains(module.identity) } else { false }
  }

  /// The output channels of a convolution or linear layer.
  private static func features(_ module: Module) -> Int? {
    switch module.layer {
    case .convolution(let convolution): convolution.outChannels
    case .linear(let linear): linear.outFeatures
    default: nil
    }
  }

}

extension Graph {
  /// Why a batch norm has no convolution of its own.
  /// - Returns: nil where it depends on what comes to the graph.
  fileprivate func reasonAgainst(batchNorm index: Int, users: [[Int]]) -> String? {
    let normalized = nodes[index].results[0]
    let isBeforeConvolution = users[normalized.index].contains { nodes[$0].operation.isLinear }
    guard let source = nodes[index].operands.first, let place = producer(of: source) else {
      return isBeforeConvolution ? "the batch norm comes before the convolution" : nil
    }
    let previous = nodes[place]
    if previous.operation.isLinear {
      if users[source.index].count > 1 { return "the output of the convolution is used by something else as well" }
      if outputs.contains(source) { return "the output of the convolution is an output of the model" }
      if !hasStoredWeight(previous) {
        return "the weights of a \(describe(previous)) are normalised when it runs, so a factor would be lost"
      }
      let shared = weightsUsedElsewhere()
      if takes(shared, previous) || takes(shared, nodes[index]) {
        return "their weights are used by something else as well"
      }
      return "the convolution or the batch norm runs several times, not always together"
    }
    if case .other = previous.operation { return "what \(describe(previous)) computes is not known" }
    // Farther back there is nothing that one would take for its convolution.
    var last = previous
    for _ in 0..<64 where !last.operation.isLinear {
      let operands = activations(of: last)
      guard operands.count == 1 else {
        return isBeforeConvolution
          ? "the batch norm comes before the convolution"
          : "what comes before it, \(describe(previous)), is no convolution"
      }
      guard let before = producer(of: operands[0]) else { break }
      last = nodes[before]
    }
    return "\(describe(previous)) stands between the convolution and the batch norm"
  }

  /// The module whose output a batch norm takes, where that is a single node because nobody knows what it computes.
  fileprivate func unknownModule(before batchNorm: Int) -> Identity? {
    guard let source = nodes[batchNorm].operands.first, let place = producer(of: source),
      nodes[place].operation.isUnknown
    else { return nil }
    return scopes[nodes[place].scope].module
  }

  /// What a node is, for a person: the class of a module, or the function.
  private func describe(_ node: Node) -> String {
    let scope = scopes[node.scope]
    if let className = scope.className, scope.layer != nil || node.operation.isUnknown { return className.name }
    switch node.operation {
    case .unary(let function): return String("\(function)".prefix { $0 != "(" }).lowercased()
    case .binary(let function): return function.rawValue
    case .concatenate: return "a concatenation"
    default: return "a function of \(scope.className?.name ?? "the model")"
    }
  }
}

extension Operation {
  fileprivate var isUnknown: Bool { if case .other = self { true } else { false } }
}
