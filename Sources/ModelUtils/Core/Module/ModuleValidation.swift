extension Module {
  /// Checks that every layer's configuration is one that PyTorch's constructor accepts and that its parameters and
  /// buffers have the shapes which that gives: what a tree built or changed by hand may get wrong.
  ///
  /// What a class of its own does is not looked at; tracing a `Graph` and `types(of:)` do.
  /// - Throws: `ModelError` that names the module.
  public func validate() throws(ModelError) {
    var failure: ModelError?
    forEachModule { path, module in
      guard failure == nil else { return }
      do throws(ModelError) { try module.validateLayer() } catch { failure = error.about(path) }
    }
    if let failure { throw failure }
  }

  private func validateLayer() throws(ModelError) {
    switch layer {
    case .convolution(let convolution):
      guard convolution.inChannels > 0, convolution.outChannels > 0, let weight = convolution.weightShape,
        (1...3).contains(convolution.rank), convolution.kernelSize.allSatisfy({ $0 > 0 }),
        [convolution.stride, convolution.dilation].allSatisfy({ numbers in
          numbers.count == convolution.rank && numbers.allSatisfy { $0 > 0 }
        }),
        [convolution.padding ?? convolution.outputPadding, convolution.outputPadding].allSatisfy({ numbers in
          numbers.count == convolution.rank && numbers.allSatisfy { $0 >= 0 }
        })
      else { throw ModelError(.invalid, "its configuration is none of a convolution") }
      try check("weight", weight)
      try check("bias", [convolution.outChannels], isOptional: true)
    case .linear(let linear):
      try check("weight", [linear.outFeatures, linear.inFeatures])
      try check("bias", [linear.outFeatures], isOptional: true)
    case .batchNorm(let norm):
      guard norm.eps >= 0, norm.eps.isFinite else { throw ModelError(.invalid, "its eps is \(norm.eps)") }
      try check("weight", [norm.features], isOptional: !norm.isAffine)
      try check("bias", [norm.features], isOptional: !norm.isAffine)
      try check("running_mean", [norm.features], isOptional: !norm.tracksRunningStatistics)
      try check("running_var", [norm.features], isOptional: !norm.tracksRunningStatistics)
    case .layerNorm(let norm):
      try check("weight", norm.normalizedShape, isOptional: !norm.isAffine)
      try check("bias", norm.normalizedShape, isOptional: true)
    case .groupNorm(let norm):
      guard norm.groups > 0, norm.channels % norm.groups == 0 else {
        throw ModelError(.invalid, "\(norm.channels) channels cannot be divided into \(norm.groups) groups")
      }
      try check("weight", [norm.channels], isOptional: !norm.isAffine)
      try check("bias", [norm.channels], isOptional: !norm.isAffine)
    default: break
    }
  }

  private func check(_ name: String, _ shape: [Int], isOptional: Bool = false) throws(ModelError) {
    // A parametrised weight is computed from parameters of other names.
    guard let tensor = parameters[name]?.tensor ?? buffers[name] else {
      if isOptional || !children.isEmpty || attributes["_forward_pre_hooks"].map({ !$0.isEmpty }) == true { return }
      throw ModelError(.missing, "has no \(name)")
    }
    guard tensor.shape == shape else {
      throw ModelError(.mismatch, "its \(name) has shape \(tensor.shape), its configuration gives \(shape)")
    }
  }
}
