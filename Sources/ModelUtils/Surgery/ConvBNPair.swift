import ModelCore

/// A convolution (or fully connected layer) and the batch normalisation behind it.
enum ConvBNPair {
  /// Why the two cannot be fused whatever stands between them, or nil where they can.
  static func misfit(_ conv: Module, _ bn: Module) -> String? {
    guard case .batchNorm(let norm) = bn.layer else { return "\(bn.className.name) is no batch norm" }
    guard norm.tracksRunningStatistics, let mean = bn.buffers["running_mean"], let variance = bn.buffers["running_var"]
    else {
      return "the batch norm has no running statistics"
    }
    let rank: Int
    let outputs: Int
    let expected: [Int]?
    switch conv.layer {
    case .convolution(let convolution):
      (rank, outputs, expected) = (convolution.rank, convolution.outChannels, convolution.weightShape)
    case .linear(let linear):
      (rank, outputs, expected) = (1, linear.outFeatures, [linear.outFeatures, linear.inFeatures])
    default: return "\(conv.className.name) is no convolution"
    }
    if let computed = conv.computedWeights().first {
      return "the \(computed.name) of the convolution is computed by \(computed.cause) when it runs; \(computed.advice)"
    }
    guard let weight = conv.parameters["weight"]?.tensor else { return "the convolution has no weight" }
    for layer in [conv, bn] {
      if let intervention = layer.intervention { return "\(layer.className.name) has \(intervention)" }
    }
    guard norm.features == outputs else {
      return "channel counts differ: the convolution gives \(outputs), the batch norm takes \(norm.features)"
    }
    guard norm.eps.isFinite, norm.eps >= 0 else { return "the eps of the batch norm is \(norm.eps)" }
    if let normRank = norm.rank, normRank != rank {
      return "a \(bn.className.name) does not fit a \(conv.className.name)"
    }
    let small = [
      mean, variance, bn.affineTensor("weight"), bn.affineTensor("bias"), conv.parameters["bias"]?.tensor,
    ]
    .compactMap { $0 }
    guard let expected, weight.shape == expected, small.allSatisfy({ $0.shape == [outputs] }),
      !norm.isAffine || (bn.affineTensor("weight") != nil && bn.affineTensor("bias") != nil)
    else { return "the tensors do not have the shapes that the layers' attributes give" }
    if let other = (small + [weight]).first(where: { $0.dtype.kernelFormat == nil }) {
      return "\(other.dtype.rawValue) tensors cannot be fused"
    }
    guard conv.children.isEmpty else { return "the convolution is parametrised" }
    if conv.className.inTimm.module == "timm.layers.std_conv" {
      return "the weights of a \(conv.className.name) are normalised when it runs, so a factor would be lost"
    }
    return nil
  }

  /// Prepares the fusion of a fitting pair, for which it reads the small tensors. Whoever takes the weight out of `conv`
  /// then has it scaled in place; `finish` puts it back.
  static func folding(_ conv: Module, _ bn: Module) throws -> BatchNormFolding {
    guard case .batchNorm(let norm) = bn.layer, let weight = conv.parameters["weight"]?.tensor,
      let mean = bn.buffers["running_mean"], let variance = bn.buffers["running_var"]
    else { throw ModelError(.mismatch, "is no convolution with a batch norm") }
    var (isTransposed, groups) = (false, 1)
    if case .convolution(let convolution) = conv.layer, convolution.isTransposed {
      (isTransposed, groups) = (true, convolution.groups)
    }
    let tensors = BatchNormTensors(
      weight: norm.isAffine ? bn.affineTensor("weight") : nil, bias: norm.isAffine ? bn.affineTensor("bias") : nil,
      runningMean: mean, runningVar: variance, eps: norm.eps)
    return try BatchNormFolding(
      weight: weight, bias: conv.parameters["bias"]?.tensor, isTransposed: isTransposed, groups: groups,
      normalization: tensors)
  }
}

extension Module {
  /// A batch norm's weight or bias, which a frozen one has among its buffers.
  fileprivate func affineTensor(_ name: String) -> Tensor? { parameters[name]?.tensor ?? buffers[name] }
}

extension BatchNormFolding {
  /// Gives the fused tensors to the convolution they came from.
  func finish(_ conv: inout Module) {
    conv.parameters.updateValue(Parameter(weight, requiresGrad: false), forKey: "weight", insertingAt: 0)
    conv.parameters["bias"] = Parameter(bias, requiresGrad: false)
  }
}
