import ModelCore

/// Finds the pairs of a model that are proved to be fusable, and a reason for every batch norm that is not.
struct FusionPlan {
  struct Step {
    let conv: String
    let bn: String
    let replacement: FusionRules.Replacement
  }

  /// What to do, by the module that holds both children.
  private(set) var steps: [Identity: [Step]] = [:]
  private(set) var report = FusionReport()

  private let fusedForward: String
  /// In how many places each module stands as a child, counted over distinct parents.
  private var uses: [Identity: Int] = [:]
  private var parameterUses: [Tensor.Identity: Int] = [:]
  private var planned: Set<Identity> = []
  private var excused: [Identity: String] = [:]

  init(_ root: Module) {
    fusedForward = FusionRules.fusedForward(of: root)
    root.forEachModule { _, module in
      for child in module.children.values { uses[child.identity, default: 0] += 1 }
      for parameter in module.parameters.values where parameter.tensor.count > 0 {
        parameterUses[parameter.tensor.identity, default: 0] += 1
      }
    }
    root.forEachModule { path, module in plan(module, path) }
    root.forEachModule { path, module in excuse(module, path) }
    if case .batchNorm = root.layer {
      report.refused.append(.init(conv: "", bn: "", reason: "the model is a single batch norm"))
    }
  }

  // MARK: Proof

  private mutating func plan(_ parent: Module, _ path: String) {
    if let reason = excused[parent.identity] {
      for child in parent.children.values { excused[child.identity] = reason }
      return
    }
    switch FusionRules.rule(for: parent, fusedForward: fusedForward) {
    case .leave(let reason):
      for child in parent.children.values { excused[child.identity] = reason }
    case .pairs(let pairs, let replacement):
      for pair in pairs { propose(pair.conv, pair.bn, in: parent, path, replacement) }
    case .inOrder:
      guard !Self.isRouted(parent) else { return }
      for (conv, bn) in zip(parent.children.keys, parent.children.keys.dropFirst()) {
        propose(conv, bn, in: parent, path, .identity)
      }
    case nil: break
    }
  }

  private mutating func propose(
    _ conv: String, _ bn: String, in parent: Module, _ path: String, _ replacement: FusionRules.Replacement
  ) {
    guard let first = parent.children[conv], let second = parent.children[bn], case .batchNorm = second.layer,
      isConvolution(first)
    else { return }
    if let reason = refusal(first, second, parent) {
      excused[second.identity] = reason
      return
    }
    planned.insert(second.identity)
    steps[parent.identity, default: []].append(Step(conv: conv, bn: bn, replacement: replacement))
    report.fused.append(.init(conv: Self.join(path, conv), bn: Self.join(path, bn)))
  }

  private func refusal(_ conv: Module, _ bn: Module, _ parent: Module) -> String? {
    if let forward = parent.attributes["forward"], !forward.isEmpty { return "the forward of the block was replaced" }
    if uses[conv.identity, default: 0] > 1 { return "the convolution is used in \(uses[conv.identity] ?? 0) places" }
    if uses[bn.identity, default: 0] > 1 { return "the batch norm is used in \(uses[bn.identity] ?? 0) places" }
    if let weight = conv.parameters["weight"]?.tensor, parameterUses[weight.identity, default: 0] > 1 {
      return "the weight of the convolution is shared with another layer"
    }
    return ConvBNPair.misfit(conv, bn)
  }

  private func isConvolution(_ module: Module) -> Bool {
    switch module.layer {
    case .convolution, .linear: true
    default: false
    }
  }

  // MARK: Reasons

  /// Explains every batch norm among the children that was not planned.
  private mutating func excuse(_ parent: Module, _ path: String) {
    let siblings = parent.children.elements
    var isRouted: Bool?
    var next = siblings.indices.reversed().reduce(into: [String?](repeating: nil, count: siblings.count + 1)) {
      next, index in
      next[index] = isConvolution(siblings[index].value) ? siblings[index].key : next[index + 1]
    }
    next.removeFirst()
    var last: String?
    var lastOfFeatures: [Int: String] = [:]
    for (index, (name, child)) in siblings.enumerated() {
      if isConvolution(child) {
        last = name
        if let features = features(child) { lastOfFeatures[features] = name }
      }
      guard case .batchNorm(let norm) = child.layer, !planned.contains(child.identity) else { continue }
      let before = lastOfFeatures[norm.features] ?? last
      let routed = isRouted ?? Self.isRouted(parent)
      isRouted = routed
      let reason =
        excused[child.identity]
        ?? (routed
          ? "its parent routes its layers by number"
          : reason(parent, previous: index == 0 ? nil : siblings[index - 1].value, before: before, after: next[index]))
      report.refused.append(
        .init(
          conv: (before ?? next[index]).map { Self.join(path, $0) } ?? "", bn: Self.join(path, name), reason: reason))
    }
  }

  private func reason(_ parent: Module, previous: Module?, before: String?, after: String?) -> String {
    switch FusionRules.rule(for: parent, fusedForward: fusedForward) {
    case .inOrder:
      guard let previous else {
        return after == nil ? "nothing comes before it" : "the batch norm comes before the convolution"
      }
      if before != nil {
        return "\(previous.className.name) stands between the convolution and the batch norm"
      }
      return after == nil
        ? "what comes before it, a \(previous.className.name), is no convolution"
        : "the batch norm comes before the convolution"
    case .pairs: return "\(parent.className) does not put it directly behind a convolution"
    case .leave(let reason): return reason
    case nil: return "what the forward of \(parent.className) does with it is not known"
    }
  }

  /// Whether the children's numbers say where their inputs come from, as in YOLO's own top level.
  private static func isRouted(_ parent: Module) -> Bool {
    parent.children.values.contains { $0.attributes["f"] != nil && $0.attributes["i"] != nil }
  }

  private func features(_ module: Module) -> Int? {
    switch module.layer {
    case .convolution(let convolution): convolution.outChannels
    case .linear(let linear): linear.outFeatures
    default: nil
    }
  }

  private static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}
