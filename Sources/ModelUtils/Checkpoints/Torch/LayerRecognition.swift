import ModelCore

/// Which `Layer` a pickled module is, from its class and attributes.
enum LayerRecognition {
  static func layer(of module: Module) -> Layer {
    let name = module.className
    // Whatever the class, only PyTorch's own convolutions have these ten attributes: a subclass computes a convolution too,
    // though perhaps not that alone.
    if let convolution = convolution(module) { return .convolution(convolution) }
    guard name.isTorchModule else { return .opaque }
    switch name.name {
    case "Sequential": return .sequential
    case "ModuleList", "ModuleDict": return .container
    case "Identity": return .identity
    case "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm":
      return batchNorm(module).map { .batchNorm($0) } ?? .opaque
    case "Linear":
      guard let inputs = module.attributes["in_features"]?.intValue,
        let outputs = module.attributes["out_features"]?.intValue
      else { return .opaque }
      return .linear(Linear(inFeatures: inputs, outFeatures: outputs))
    default: break
    }
    switch name.module {
    case "torch.nn.modules.activation" where module.parameters.isEmpty && module.children.isEmpty,
      "torch.nn.modules.dropout":
      return .activation
    case "torch.nn.modules.pooling", "torch.nn.modules.padding", "torch.nn.modules.upsampling",
      "torch.nn.modules.pixelshuffle", "torch.nn.modules.flatten", "torch.nn.modules.fold":
      return .spatial
    default: return .opaque
    }
  }

  private static func convolution(_ module: Module) -> Convolution? {
    let attributes = module.attributes
    guard let inputs = attributes["in_channels"]?.intValue, let outputs = attributes["out_channels"]?.intValue,
      let kernel = attributes["kernel_size"]?.intsValue, (1...3).contains(kernel.count),
      let stride = attributes["stride"]?.intsValue, let dilation = attributes["dilation"]?.intsValue,
      let isTransposed = attributes["transposed"]?.boolValue, let groups = attributes["groups"]?.intValue,
      attributes["output_padding"] != nil
    else { return nil }
    // Before 1.1 there was no padding_mode: zeros was the only one.
    var convolution = Convolution(
      isTransposed: isTransposed, inChannels: inputs, outChannels: outputs, kernelSize: kernel, stride: stride,
      dilation: dilation, groups: groups, paddingMode: attributes["padding_mode"]?.stringValue ?? "zeros")
    convolution.padding = attributes["padding"]?.intsValue
    return convolution
  }

  private static func batchNorm(_ module: Module) -> BatchNorm? {
    let attributes = module.attributes
    guard let features = attributes["num_features"]?.intValue, let eps = attributes["eps"]?.doubleValue else {
      return nil
    }
    let ranks = ["BatchNorm1d": 1, "BatchNorm2d": 2, "BatchNorm3d": 3]
    return BatchNorm(
      rank: ranks[module.className.name], features: features, eps: eps,
      momentum: attributes["momentum"]?.doubleValue, isAffine: attributes["affine"]?.boolValue ?? true,
      tracksRunningStatistics: attributes["track_running_stats"]?.boolValue ?? true)
  }
}
