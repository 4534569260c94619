import ModelCore

/// MobileNet V2 at full width.
enum MobileNetV2 {
  static let architectures = [Architecture(torchVision: "mobilenet_v2", build)]

  /// Expansion, channels, repeats and first stride of each stage.
  private static let stages = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
  ]

  private static let build: @Sendable (ModuleBuilder, Int) -> Module = { make, classes in
    var channels = 32
    var features = [make.conv2dNormActivation(3, channels, stride: 2, activation: .relu6)]
    for (expansion, outputs, repeats, stride) in stages {
      for number in 0..<repeats {
        features.append(block(make, channels, outputs, stride: number == 0 ? stride : 1, expansion: expansion))
        channels = outputs
      }
    }
    features.append(make.conv2dNormActivation(channels, 1280, kernel: 1, activation: .relu6))
    let root = make.module(
      TorchVision.className("mobilenetv2", "MobileNetV2"), attributes: ["last_channel": .int(1280)],
      [
        "features": make.sequential(features),
        "classifier": make.sequential([make.dropout(0.2), make.linear(1280, classes)]),
      ])
    make.initialize(root) { _ in .normal(standardDeviation: 0.01) }
    return root
  }

  private static func block(
    _ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, stride: Int, expansion: Int
  ) -> Module {
    let hidden = inputs * expansion
    var layers: [Module] = []
    if expansion != 1 { layers.append(make.conv2dNormActivation(inputs, hidden, kernel: 1, activation: .relu6)) }
    layers.append(make.conv2dNormActivation(hidden, hidden, stride: stride, groups: hidden, activation: .relu6))
    layers.append(make.conv2d(hidden, outputs, 1, bias: false))
    layers.append(make.batchNorm2d(outputs))
    return make.module(
      TorchVision.className("mobilenetv2", "InvertedResidual"),
      attributes: [
        "stride": .int(stride), "use_res_connect": .bool(stride == 1 && inputs == outputs),
        "out_channels": .int(outputs), "_is_cn": .bool(stride > 1),
      ], ["conv": make.sequential(layers)])
  }
}
