import ModelArchitectures
import ModelCore

extension Module {
  /// Fuses every batch norm that provably follows a convolution and nothing else does: by the known forward of its
  /// class, or by the order inside a Sequential. The rest stays, with a reason each in the report.
  ///
  /// Where the class has a method for its fused state (YOLO's `forward_fuse`) the batch norm goes and the method
  /// becomes the forward, as the original's `fuse()` leaves it; anywhere else `torch.nn.Identity` takes its place, so
  /// that unmodified code still runs, or the activation that timm's batch norms hold.
  ///
  /// When a tensor cannot be read the module stays as it was.
  /// - Returns: what was fused and what was not.
  @discardableResult
  public mutating func fuse() throws -> FusionReport { try fuse(FusionPlan(self)) }

  /// Fuses the pairs that the caller vouches for, in modules of classes whose forward is not known: that the batch norm
  /// takes the convolution's output, and nothing else does, is the caller's word, and the report says so.
  ///
  /// The rest is checked as in `fuse()`: shapes, statistics, hooks, what is shared; eps is the module's.
  /// `torch.nn.Identity` takes the batch norm's place.
  /// - Parameter patterns: of the modules' dotted paths; each must name at least one pair.
  /// - Throws: `ModelError` for a pattern that names nothing, a layer in two pairs, a pair that cannot be fused, or a
  ///   tensor that cannot be read; the module is then as it was.
  @discardableResult
  public mutating func fuse(_ patterns: [PairPattern]) throws -> FusionReport {
    try fuse(FusionPlan(self, patterns: patterns))
  }

  private mutating func fuse(_ plan: FusionPlan) throws -> FusionReport {
    var report = plan.report
    report.parametersBefore = parameterCount
    // All that can fail, reading the small tensors, comes before anything is changed.
    var foldings = try self.foldings(plan)
    let positions = Dictionary(plan.steps.enumerated().map { ($1.conv, $0) }, uniquingKeysWith: { first, _ in first })
    func forEachConvolution(_ body: (inout Module, Int) -> Void) {
      updateModules { _, module in
        if let position = positions[module.identity] { body(&module, position) }
      }
    }
    // The weights leave the tree while they are scaled, so that memory of our own is changed in place, and in parallel.
    let placeholder = try Tensor(.float32, [0])
    forEachConvolution { conv, _ in conv.parameters["weight"]?.tensor = placeholder }
    do { try Parallel.update(&foldings) { try $0.run() } } catch {
      forEachConvolution { conv, position in conv.parameters["weight"]?.tensor = foldings[position].weight }
      throw error
    }
    let norms = Dictionary(grouping: plan.steps) { $0.parent }
    updateModules { _, module in
      if let position = positions[module.identity] { foldings[position].finish(&module) }
      guard let steps = norms[module.identity] else { return }
      let takesMethod = FusionRules.isWhole(module, fusing: Set(steps.map(\.name)))
      for step in steps { module.replaceBatchNorm(step, takesMethod: takesMethod) }
    }
    report.parametersAfter = parameterCount
    return report
  }

  /// A fused copy.
  public func fused() throws -> Module {
    var copy = self
    try copy.fuse()
    return copy
  }

  private func foldings(_ plan: FusionPlan) throws -> [BatchNormFolding] {
    let wanted = Set(plan.steps.flatMap { [$0.conv, $0.bn] })
    var modules: [Identity: Module] = [:]
    visitModules { module in
      if wanted.contains(module.identity) { modules[module.identity] = module }
    }
    return try plan.steps.map { step in
      guard let conv = modules[step.conv], let bn = modules[step.bn] else {
        throw ModelError(.missing, "is gone", subject: step.name)
      }
      return try ConvBNPair.folding(conv, bn)
    }
  }

  private mutating func replaceBatchNorm(_ step: FusionPlan.Step, takesMethod: Bool) {
    switch step.replacement {
    case .method(let name) where takesMethod:
      children[step.name] = nil
      attributes["forward"] = .boundMethod(name)
    case .identity, .method:
      children[step.name] = children[step.name].map { Self.remainder(of: $0) }
    }
  }

  /// What is left of a batch norm that was fused: the activation that it holds, or nothing to do.
  private static func remainder(of norm: Module) -> Module {
    let rest = FusionRules.childrenBehindNorm(norm).filter { $0.value.layer != .identity }
    if rest.count == 1 { return rest.values[0] }
    return Module(
      ClassName("torch.nn.modules.\(rest.isEmpty ? "linear" : "container")", rest.isEmpty ? "Identity" : "Sequential"),
      layer: rest.isEmpty ? .identity : .sequential, isTraining: norm.isTraining, children: rest)
  }

  /// The elements of all distinct parameters.
  public var parameterCount: Int {
    var count = 0
    visitParameters { count += $0.tensor.count }
    return count
  }
}

extension StateDict {
  /// Fuses a bare state dict whose names and shapes are exactly those of a built-in architecture (any number of
  /// classes, any prefix), as that architecture.
  /// - Throws: `ModelError` for any other state dict, whose pairs `fuse(_:eps:)` takes by name, and when a tensor
  ///   cannot be read; the state dict is then as it was.
  @discardableResult
  public mutating func fuse() throws -> FusionReport {
    guard var known = recognized() else {
      if hasMasks { throw ModelError.masked }
      throw ModelError(
        .unsupported, "is a bare state dict of no known architecture, which does not say what follows what",
        advice: "name the pairs and give the eps of their batch norms")
    }
    let report = try known.module.fuse()
    self = known.stateDict(like: self)
    return report
  }
}

extension ModelError {
  /// Tensors under a mask have other names.
  package static var masked: ModelError {
    ModelError(
      .unsupported, "holds the masks of an earlier pruning", advice: "apply them first: mutils prune --amount 0")
  }
}

extension Model {
  /// Fuses a whole module by what its forward proves, or a bare state dict as the built-in architecture that it is.
  /// - Throws: as `Module.fuse` and `StateDict.fuse`.
  @discardableResult
  public mutating func fuse() throws -> FusionReport {
    try update(module: { try $0.fuse() }, stateDict: { try $0.fuse() })
  }
}
