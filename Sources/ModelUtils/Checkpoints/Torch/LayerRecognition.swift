import ModelCore

/// Which `Layer` a pickled module is, from its class and attributes.
enum LayerRecognition {
  static func layer(of module: Module) -> Layer {
    let name = module.className
    // Whatever the class, only PyTorch's own convolutions have these ten attributes: a subclass computes a convolution
    // too, though perhaps not that alone.
    if let convolution = convolution(module) { return .convolution(convolution) }
    if name.isTorchModule { return torchLayer(module) ?? FurtherLayers.layer(of: module) ?? .opaque }
    if let norm = FurtherLayers.frozenBatchNorm(module) { return norm }
    if name.description == "torchvision.models.convnext.LayerNorm2d" {
      return layerNorm(module, isChannelsFirst: true) ?? .opaque
    }
    return TimmClasses.kind(of: name).flatMap { timmLayer(module, $0) } ?? .opaque
  }

  private static func timmLayer(_ module: Module, _ kind: TimmClasses.Kind) -> Layer? {
    switch kind {
    case .batchNorm(let rank): batchNorm(module, rank: rank).map { .batchNorm($0) }
    case .groupNorm: groupNorm(module)
    case .layerNorm(let isChannelsFirst): layerNorm(module, isChannelsFirst: isChannelsFirst)
    case .linear: linear(module)
    case .prelu: .activation(Activation(.prelu))
    }
  }

  private static func torchLayer(_ module: Module) -> Layer? {
    let name = module.className.name
    switch name {
    case "Sequential": return .sequential
    case "ModuleList", "ModuleDict": return .container
    case "Identity": return .identity
    case "BatchNorm1d": return batchNorm(module, rank: 1).map { .batchNorm($0) }
    case "BatchNorm2d": return batchNorm(module, rank: 2).map { .batchNorm($0) }
    case "BatchNorm3d": return batchNorm(module, rank: 3).map { .batchNorm($0) }
    case "SyncBatchNorm": return batchNorm(module, rank: nil).map { .batchNorm($0) }
    case "Linear": return linear(module)
    case "LayerNorm": return layerNorm(module, isChannelsFirst: false)
    case "GroupNorm": return groupNorm(module)
    case "Flatten":
      guard let start = module.attributes["start_dim"]?.intValue, let end = module.attributes["end_dim"]?.intValue
      else { return nil }
      return .flatten(Flatten(start: start, end: end))
    case "PixelShuffle":
      return module.attributes["upscale_factor"]?.intValue.map { .pixelShuffle(PixelShuffle(factor: $0)) }
    case "PixelUnshuffle":
      return module.attributes["downscale_factor"]?.intValue.map {
        .pixelShuffle(PixelShuffle(factor: $0, isInverse: true))
      }
    case "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d": return upsample(module).map { .upsample($0) }
    default: break
    }
    switch module.className.module {
    case "torch.nn.modules.activation" where name == "MultiheadAttention": return attention(module)
    case "torch.nn.modules.activation":
      if let kind = Activation.Kind(rawValue: name) {
        return .activation(Activation(kind, isInPlace: module.attributes["inplace"]?.boolValue ?? false))
      }
      return Softmax.Kind(rawValue: name).map { kind in
        .softmax(Softmax(kind, axis: kind == .softmax2d ? -3 : module.attributes["dim"]?.intValue))
      }
    case "torch.nn.modules.dropout": return .dropout
    case "torch.nn.modules.pooling": return pooling(module)
    case "torch.nn.modules.padding": return padding(module).map { .pad($0) }
    default: return nil
    }
  }

  private static func convolution(_ module: Module) -> Convolution? {
    let attributes = module.attributes
    guard let inputs = attributes["in_channels"]?.intValue, let outputs = attributes["out_channels"]?.intValue,
      let kernel = attributes["kernel_size"]?.intsValue, (1...3).contains(kernel.count),
      let stride = attributes["stride"]?.intsValue, let dilation = attributes["dilation"]?.intsValue,
      let isTransposed = attributes["transposed"]?.boolValue, let groups = attributes["groups"]?.intValue,
      let outputPadding = attributes["output_padding"]
    else { return nil }
    // Before 1.1 there was no padding_mode: zeros was the only one.
    var convolution = Convolution(
      isTransposed: isTransposed, inChannels: inputs, outChannels: outputs, kernelSize: kernel, stride: stride,
      dilation: dilation, groups: groups, paddingMode: attributes["padding_mode"]?.stringValue ?? "zeros",
      outputPadding: outputPadding.intsValue)
    convolution.padding =
      attributes["padding"]?.stringValue == "valid" ? kernel.map { _ in 0 } : attributes["padding"]?.intsValue
    return convolution
  }

  private static func linear(_ module: Module) -> Layer? {
    guard let inputs = module.attributes["in_features"]?.intValue,
      let outputs = module.attributes["out_features"]?.intValue
    else { return nil }
    return .linear(Linear(inFeatures: inputs, outFeatures: outputs))
  }

  // MARK: Normalisation

  private static func batchNorm(_ module: Module, rank: Int?) -> BatchNorm? {
    let attributes = module.attributes
    guard let features = attributes["num_features"]?.intValue, let eps = attributes["eps"]?.doubleValue else {
      return nil
    }
    return BatchNorm(
      rank: rank, features: features, eps: eps,
      momentum: attributes["momentum"]?.doubleValue, isAffine: attributes["affine"]?.boolValue ?? true,
      tracksRunningStatistics: attributes["track_running_stats"]?.boolValue ?? true)
  }

  private static func groupNorm(_ module: Module) -> Layer? {
    let attributes = module.attributes
    guard let groups = attributes["num_groups"]?.intValue, let channels = attributes["num_channels"]?.intValue,
      let eps = attributes["eps"]?.doubleValue
    else { return nil }
    return .groupNorm(
      GroupNorm(groups: groups, channels: channels, eps: eps, isAffine: attributes["affine"]?.boolValue ?? true))
  }

  private static func layerNorm(_ module: Module, isChannelsFirst: Bool) -> Layer? {
    let attributes = module.attributes
    guard let shape = attributes["normalized_shape"]?.intsValue, let eps = attributes["eps"]?.doubleValue else {
      return nil
    }
    return .layerNorm(
      LayerNorm(
        normalizedShape: shape, eps: eps, isAffine: attributes["elementwise_affine"]?.boolValue ?? true,
        isChannelsFirst: isChannelsFirst))
  }

  /// Appended keys and extra biases, which change the shapes inside, are not understood.
  private static func attention(_ module: Module) -> Layer? {
    let attributes = module.attributes
    guard let size = attributes["embed_dim"]?.intValue, let heads = attributes["num_heads"]?.intValue, heads > 0,
      let keys = attributes["kdim"]?.intValue, let values = attributes["vdim"]?.intValue,
      attributes["add_zero_attn"]?.boolValue == false, module.parameters["bias_k"] == nil
    else { return nil }
    return .multiheadAttention(
      MultiheadAttention(
        embeddingSize: size, heads: heads, keySize: keys, valueSize: values,
        isBatchFirst: attributes["batch_first"]?.boolValue ?? false))
  }

  // MARK: Layers that combine neighbours

  /// The number of spatial axes at the end of a class's name.
  private static func rank(_ module: Module) -> Int? {
    let name = String(module.className.name.suffix(2))
    return ["1d": 1, "2d": 2, "3d": 3][name]
  }

  /// An attribute that is a number for all axes or one for each.
  private static func sizes(_ attribute: Attribute?, _ rank: Int) -> [Int]? {
    if let value = attribute?.intValue { return [Int](repeating: value, count: rank) }
    return attribute?.intsValue.flatMap { $0.count == rank ? $0 : nil }
  }

  private static func pooling(_ module: Module) -> Layer? {
    guard let rank = rank(module) else { return nil }
    let attributes = module.attributes
    let name = module.className.name.dropLast(2)
    switch name {
    case "AdaptiveMaxPool", "AdaptiveAvgPool":
      guard let size = adaptiveSize(attributes["output_size"], rank) else { return nil }
      return .adaptivePool(AdaptivePool(name == "AdaptiveMaxPool" ? .max : .average, outputSize: size))
    case "MaxPool", "AvgPool":
      guard let kernel = sizes(attributes["kernel_size"], rank), let stride = sizes(attributes["stride"], rank),
        let padding = sizes(attributes["padding"], rank)
      else { return nil }
      let isMax = name == "MaxPool"
      return .pool(
        Pool(
          isMax ? .max : .average, kernelSize: kernel, stride: stride, padding: padding,
          dilation: isMax ? sizes(attributes["dilation"], rank) : nil,
          ceilMode: attributes["ceil_mode"]?.boolValue ?? false,
          countsPadding: attributes["count_include_pad"]?.boolValue ?? true))
    default: return nil
    }
  }

  private static func adaptiveSize(_ attribute: Attribute?, _ rank: Int) -> [Int?]? {
    switch attribute {
    case .int(let value): return [Int?](repeating: value, count: rank)
    case .list(let items), .tuple(let items):
      guard items.count == rank, items.allSatisfy({ $0 == .none || $0.intValue != nil }) else { return nil }
      return items.map(\.intValue)
    default: return nil
    }
  }

  private static func upsample(_ module: Module) -> Upsample? {
    let attributes = module.attributes
    guard let mode = attributes["mode"]?.stringValue else { return nil }
    if let size = attributes["size"], size != .none {
      return (size.intValue.map { [$0] } ?? size.intsValue).map { Upsample(.size($0), mode: mode) }
    }
    switch attributes["scale_factor"] {
    case .list(let items), .tuple(let items):
      let factors = items.compactMap(\.doubleValue)
      return factors.count == items.count ? Upsample(.scale(factors), mode: mode) : nil
    case let factor: return factor?.doubleValue.map { Upsample(.scale([$0]), mode: mode) }
    }
  }

  private static func padding(_ module: Module) -> Padding? {
    guard let rank = rank(module), let amounts = sizes(module.attributes["padding"], 2 * rank) else { return nil }
    switch module.className.name.dropLast(2) {
    case "ZeroPad", "ConstantPad": return Padding(amounts)
    case "ReflectionPad": return Padding(amounts, mode: "reflect")
    case "ReplicationPad": return Padding(amounts, mode: "replicate")
    case "CircularPad": return Padding(amounts, mode: "circular")
    default: return nil
    }
  }
}
