import ModelCore

extension Forward {
  /// timm's ResNet with its relatives (ResNeXt, SE-, ECA-, GC-, SK-, Res2- and ResNeSt), and ResNetV2 with BiT.
  static let timmResNet: [String: Forward] = [
    "timm.models.resnet.ResNet": Forward { net, x in
      let y = try net(x, "conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4", "global_pool")
      return try net(net.dropped(y), "fc")
    },
    "timm.models.resnet.BasicBlock": Forward { block, x in
      try block.shortcut(
        x, block(x, "conv1", "bn1", "drop_block", "act1", "aa", "conv2", "bn2"), activation: "act2")
    },
    "timm.models.resnet.Bottleneck": Forward { block, x in
      try block.shortcut(
        x, block(x, "conv1", "bn1", "act1", "conv2", "bn2", "drop_block", "act2", "aa", "conv3", "bn3"),
        activation: "act3")
    },
    "timm.models.res2net.Bottle2neck": Forward { try $0.res2net($1) },
    "timm.models.resnest.ResNestBottleneck": Forward { block, x in
      let y = try block.run(
        x, "conv1", "bn1", "act1", "avd_first?", "conv2", "bn2", "drop_block", "act2", "avd_last?", "conv3", "bn3")
      // Stochastic depth stands before the shortcut's convolution alone.
      guard block.has("downsample") else { return try block(block.add(y, x), "act3") }
      return try block(block.add(y, block.run(x, "drop_path?", "downsample")), "act3")
    },
    "timm.models.sknet.SelectiveKernelBasic": Forward { block, x in
      try block.shortcut(x, block(x, "conv1", "conv2"), activation: "act")
    },
    "timm.models.sknet.SelectiveKernelBottleneck": Forward { block, x in
      try block.shortcut(x, block(x, "conv1", "conv2", "conv3"), activation: "act")
    },

    "timm.models.resnetv2.ResNetV2": .chain("stem", "stages", "norm", "head"),
    "timm.models.resnetv2.ResNetStage": .chain("blocks"),
    "timm.models.resnetv2.PreActBasic": Forward { block, x in
      let normalized = try block(x, "norm1")
      let y = try block(normalized, "conv1", "norm2", "conv2", "drop_path")
      return try block.add(y, block.has("downsample") ? block(normalized, "downsample") : x)
    },
    "timm.models.resnetv2.PreActBottleneck": Forward { block, x in
      let normalized = try block(x, "norm1")
      let y = try block(normalized, "conv1", "norm2", "conv2", "norm3", "conv3", "drop_path")
      return try block.add(y, block.has("downsample") ? block(normalized, "downsample") : x)
    },
    "timm.models.resnetv2.Bottleneck": Forward { block, x in
      let y = try block(x, "conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "drop_path")
      return try block(block.add(y, block.has("downsample") ? block(x, "downsample") : x), "act3")
    },
    "timm.models.resnetv2.DownsampleConv": .chain("conv", "norm"),
    "timm.models.resnetv2.DownsampleAvg": .chain("pool", "conv", "norm"),
  ]
}

extension ForwardCall {
  /// Attention and stochastic depth where there are any, the shortcut, and the activation.
  fileprivate func shortcut(_ x: Value, _ y: Value, activation: String) throws -> Value {
    let y = try run(y, "se?", "drop_path?")
    return try self(add(y, has("downsample") ? self(x, "downsample") : x), activation)
  }

  /// Parts of the channels, each convolved after what was made of the part before it was added.
  fileprivate func res2net(_ x: Value) throws -> Value {
    let y = try self(x, "conv1", "bn1", "relu")
    let (scale, isFirst) = try (int("scale"), bool("is_first"))
    let convolutions = list("convs")
    guard (1...1024).contains(scale), convolutions.count == Swift.max(1, scale - 1),
      list("bns").count == convolutions.count
    else { throw missing("scale") }
    let parts = try split(y, [Int](repeating: int("width"), count: scale))
    var results: [Value] = []
    for (place, convolution) in convolutions.enumerated() {
      let part = try isFirst || results.isEmpty ? parts[place] : add(results[place - 1], parts[place])
      results.append(try self(part, convolution, "bns.\(place)", "relu"))
    }
    if scale > 1 { results.append(try has("pool") ? self(parts[scale - 1], "pool") : parts[scale - 1]) }
    return try shortcut(x, run(concatenate(results), "drop_block?", "conv3", "bn3"), activation: "relu")
  }
}
