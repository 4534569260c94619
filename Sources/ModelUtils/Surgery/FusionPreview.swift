import ModelArchitectures
import ModelCheckpoints
import ModelCore

extension Module {
  /// What `fuse()` would do. Nothing is changed, and no values are read.
  public func fusionPreview() -> FusionReport {
    let plan = FusionPlan(self)
    var report = plan.report
    report.parametersBefore = parameterCount
    var modules: [Identity: Module] = [:]
    visitModules { modules[$0.identity] = $0 }
    var change = 0
    for step in plan.steps {
      guard let conv = modules[step.conv], let bn = modules[step.bn] else { continue }
      change -= bn.parameters.values.reduce(0) { $0 + $1.tensor.count }
      if conv.parameters["bias"] == nil { change += bn.buffers["running_mean"]?.count ?? 0 }
    }
    report.parametersAfter = report.parametersBefore + change
    return report
  }
}

extension StateDict {
  /// The same of a bare state dict that is recognised.
  /// - Throws: `ModelError` for any other, as `fuse()`.
  public func fusionPreview() throws -> FusionReport {
    if let known = recognized() { return known.module.fusionPreview() }
    // Says why not.
    var copy = self
    return try copy.fuse()
  }
}

extension Checkpoint {
  /// What fusing the preferred model would do. Nothing is changed.
  /// - Throws: `ModelError` for a bare state dict of no known architecture, and when a tensor of an ONNX model cannot be
  ///   read.
  public func fusionPreview() throws -> FusionReport {
    if var onnx { return try onnx.fuse() }
    switch preferred {
    case .module(let module): return module.fusionPreview()
    case .stateDict(let state): return try state.fusionPreview()
    }
  }
}
