import ModelCore

/// EfficientNet B0 to B7 and V2.
struct EfficientNet: Sendable {
  private struct Stage {
    var isFused = false
    let expansion: Int
    let kernel: Int
    let stride: Int
    let inputs: Int
    let outputs: Int
    let depth: Int
  }

  private let stages: [Stage]
  private let dropout: Double
  private var eps = 1e-5
  private var momentum = 0.1
  private var lastChannels: Int?

  static let architectures = first + second

  /// Width and depth of each, beside those of B0.
  private static let first = [
    ("efficientnet_b0", EfficientNet(width: 1.0, depth: 1.0, dropout: 0.2)),
    ("efficientnet_b1", EfficientNet(width: 1.0, depth: 1.1, dropout: 0.2)),
    ("efficientnet_b2", EfficientNet(width: 1.1, depth: 1.2, dropout: 0.3)),
    ("efficientnet_b3", EfficientNet(width: 1.2, depth: 1.4, dropout: 0.3)),
    ("efficientnet_b4", EfficientNet(width: 1.4, depth: 1.8, dropout: 0.4)),
    ("efficientnet_b5", EfficientNet(width: 1.6, depth: 2.2, dropout: 0.4, eps: 0.001, momentum: 0.01)),
    ("efficientnet_b6", EfficientNet(width: 1.8, depth: 2.6, dropout: 0.5, eps: 0.001, momentum: 0.01)),
    ("efficientnet_b7", EfficientNet(width: 2.0, depth: 3.1, dropout: 0.5, eps: 0.001, momentum: 0.01)),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  /// Channels and depths of each stage; those of expansion 1 or 4 and no squeeze are fused.
  private static let second = [
    (
      "efficientnet_v2_s",
      EfficientNet(widths: [24, 24, 48, 64, 128, 160, 256], depths: [2, 4, 4, 6, 9, 15], dropout: 0.2)
    ),
    (
      "efficientnet_v2_m",
      EfficientNet(widths: [24, 24, 48, 80, 160, 176, 304, 512], depths: [3, 5, 5, 7, 14, 18, 5], dropout: 0.3)
    ),
    (
      "efficientnet_v2_l",
      EfficientNet(widths: [32, 32, 64, 96, 192, 224, 384, 640], depths: [4, 7, 7, 10, 19, 25, 7], dropout: 0.4)
    ),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  /// One of the first generation: B0 with its channels and repeats multiplied.
  private init(width: Double, depth: Double, dropout: Double, eps: Double = 1e-5, momentum: Double = 0.1) {
    let table = [
      (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3),
      (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
    ]
    stages = table.map { expansion, kernel, stride, inputs, outputs, repeats in
      Stage(
        expansion: expansion, kernel: kernel, stride: stride,
        inputs: TorchVision.makeDivisible(Double(inputs) * width),
        outputs: TorchVision.makeDivisible(Double(outputs) * width),
        depth: Int((Double(repeats) * depth).rounded(.up)))
    }
    (self.dropout, self.eps, self.momentum) = (dropout, eps, momentum)
  }

  /// One of the second generation: `widths` begins with the stem's.
  private init(widths: [Int], depths: [Int], dropout: Double) {
    let strides = [1, 2, 2, 2, 1, 2, 1]
    stages = depths.indices.map { index in
      Stage(
        isFused: index < 3, expansion: [1, 4, 4, 4, 6, 6, 6][index], kernel: 3, stride: strides[index],
        inputs: widths[index], outputs: widths[index + 1], depth: depths[index])
    }
    (self.dropout, eps, lastChannels) = (dropout, 1e-3, 1280)
  }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let norm: ModuleBuilder.Norm = { make.batchNorm2d($0, eps: eps, momentum: momentum) }
    let total = stages.reduce(0) { $0 + $1.depth }
    var features = [make.conv2dNormActivation(3, stages[0].inputs, stride: 2, norm: norm, activation: .silu)]
    var built = 0
    for stage in stages {
      let blocks = (0..<stage.depth).map { number in
        defer { built += 1 }
        return block(make, stage, isFirst: number == 0, drop: 0.2 * Double(built) / Double(total), norm)
      }
      features.append(make.sequential(blocks))
    }
    let outputs = stages[stages.count - 1].outputs
    let last = lastChannels ?? 4 * outputs
    features.append(make.conv2dNormActivation(outputs, last, kernel: 1, norm: norm, activation: .silu))
    let root = make.module(
      TorchVision.className("efficientnet", "EfficientNet"),
      [
        "features": make.sequential(features), "avgpool": make.adaptiveAvgPool2d(1),
        "classifier": make.sequential([make.dropout(dropout, inplace: true), make.linear(last, classes)]),
      ])
    make.initialize(root) { .uniform(bound: 1 / Double($0.output).squareRoot()) }
    return root
  }

  private func block(
    _ make: ModuleBuilder, _ stage: Stage, isFirst: Bool, drop: Double, _ norm: @escaping ModuleBuilder.Norm
  ) -> Module {
    let inputs = isFirst ? stage.inputs : stage.outputs
    let stride = isFirst ? stage.stride : 1
    let expanded = TorchVision.makeDivisible(Double(inputs * stage.expansion))
    func conv(_ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, groups: Int = 1, _ kind: Activation.Kind?)
      -> Module
    {
      make.conv2dNormActivation(
        inputs, outputs, kernel: kernel, stride: stride, groups: groups, norm: norm, activation: kind)
    }
    var layers: [Module] = []
    if stage.isFused {
      if expanded == inputs {
        layers.append(conv(inputs, stage.outputs, stage.kernel, stride: stride, .silu))
      } else {
        layers.append(conv(inputs, expanded, stage.kernel, stride: stride, .silu))
        layers.append(conv(expanded, stage.outputs, 1, nil))
      }
    } else {
      if expanded != inputs { layers.append(conv(inputs, expanded, 1, .silu)) }
      layers.append(conv(expanded, expanded, stage.kernel, stride: stride, groups: expanded, .silu))
      layers.append(
        make.squeezeExcitation(
          expanded, max(1, inputs / 4), activation: make.activation(.silu, inplace: true)))
      layers.append(conv(expanded, stage.outputs, 1, nil))
    }
    return make.module(
      TorchVision.className("efficientnet", stage.isFused ? "FusedMBConv" : "MBConv"),
      attributes: [
        "use_res_connect": .bool(stride == 1 && inputs == stage.outputs), "out_channels": .int(stage.outputs),
      ], ["block": make.sequential(layers), "stochastic_depth": make.stochasticDepth(drop)])
  }
}
