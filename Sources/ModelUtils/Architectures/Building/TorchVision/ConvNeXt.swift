import ModelCore

/// ConvNeXt, tiny to large.
struct ConvNeXt: Sendable {
  let widths: [Int]
  let depths: [Int]
  let drop: Double

  static let architectures = [
    ("convnext_tiny", ConvNeXt(widths: [96, 192, 384, 768], depths: [3, 3, 9, 3], drop: 0.1)),
    ("convnext_small", ConvNeXt(widths: [96, 192, 384, 768], depths: [3, 3, 27, 3], drop: 0.4)),
    ("convnext_base", ConvNeXt(widths: [128, 256, 512, 1024], depths: [3, 3, 27, 3], drop: 0.5)),
    ("convnext_large", ConvNeXt(widths: [192, 384, 768, 1536], depths: [3, 3, 27, 3], drop: 0.5)),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let norm: ModuleBuilder.Norm = {
      make.layerNorm($0, eps: 1e-6, TorchVision.className("convnext", "LayerNorm2d"), isChannelsFirst: true)
    }
    let last = depths.reduce(0, +) - 1
    var features = [
      make.conv2dNormActivation(
        3, widths[0], kernel: 4, stride: 4, padding: 0, norm: norm, activation: nil, bias: true)
    ]
    var built = 0
    for (index, depth) in depths.enumerated() {
      let blocks = (0..<depth).map { _ in
        defer { built += 1 }
        return block(make, widths[index], drop: drop * Double(built) / Double(last))
      }
      features.append(make.sequential(blocks))
      if index < widths.count - 1 {
        features.append(
          make.sequential([norm(widths[index]), make.conv2d(widths[index], widths[index + 1], 2, stride: 2)]))
      }
    }
    let width = widths[widths.count - 1]
    let root = make.module(
      TorchVision.className("convnext", "ConvNeXt"),
      [
        "features": make.sequential(features), "avgpool": make.adaptiveAvgPool2d(1),
        "classifier": make.sequential([norm(width), make.flatten(), make.linear(width, classes)]),
      ])
    // Truncated at 100 deviations, where nothing is drawn.
    make.initialize(root, standardDeviation: 0.02)
    return root
  }

  private func block(_ make: ModuleBuilder, _ width: Int, drop: Double) -> Module {
    make.module(
      TorchVision.className("convnext", "CNBlock"),
      [
        "block": make.sequential([
          make.conv2d(width, width, 7, padding: 3, groups: width), make.permute([0, 2, 3, 1]),
          make.layerNorm(width, eps: 1e-6), make.linear(width, 4 * width), make.activation(.gelu),
          make.linear(4 * width, width), make.permute([0, 3, 1, 2]),
        ]),
        "stochastic_depth": make.stochasticDepth(drop),
      ], parameters: ["layer_scale": make.parameter([width, 1, 1], .constant(1e-6))])
  }
}
