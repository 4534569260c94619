import ModelCore

extension Module {
  /// Fuses every batch norm that provably follows a convolution and nothing else does: by the known forward of its
  /// class, or by the order inside a Sequential. The rest stays, with a reason each in the report.
  ///
  /// Where the class has a method for its fused state (YOLO's `forward_fuse`) the batch norm goes and the method
  /// becomes the forward, as the original's `fuse()` leaves it; anywhere else `torch.nn.Identity` takes its place, so
  /// that unmodified code still runs.
  /// - Returns: what was fused and what was not.
  @discardableResult
  public mutating func fuse() throws -> FusionReport {
    let plan = FusionPlan(self)
    var report = plan.report
    report.parametersBefore = parameterCount
    // The weights leave the tree while they are scaled, so that memory of our own is changed in place, and in parallel.
    var foldings: [BatchNormFolding] = []
    var positions: [Identity: [Int]] = [:]
    try updateModules { _, module in
      for step in plan.steps[module.identity] ?? [] {
        guard let bn = module.children[step.bn] else { continue }
        positions[module.identity, default: []].append(foldings.count)
        foldings.append(
          try module.children[step.conv]?.folding(bn) ?? { throw ModelError("is gone", subject: step.conv) }())
      }
    }
    try Parallel.update(&foldings) { try $0.run() }
    updateModules { _, module in
      for (step, position) in zip(plan.steps[module.identity] ?? [], positions[module.identity] ?? []) {
        if module.children[step.conv] != nil { foldings[position].finish(&module.children[step.conv]!) }
        module.replaceBatchNorm(step)
      }
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

  private mutating func folding(_ bn: Module) throws -> BatchNormFolding { try ConvBNPair.folding(&self, bn) }

  private mutating func replaceBatchNorm(_ step: FusionPlan.Step) {
    switch step.replacement {
    case .method(let name):
      children[step.bn] = nil
      attributes["forward"] = .boundMethod(name)
    case .identity:
      let isTraining = children[step.bn]?.isTraining ?? false
      children[step.bn] = Module(
        ClassName("torch.nn.modules.linear", "Identity"), layer: .identity, isTraining: isTraining)
    }
  }

  /// The elements of all distinct parameters.
  public var parameterCount: Int {
    var count = 0
    forEachParameter { count += $1.tensor.count }
    return count
  }
}
