import ModelCore

/// MobileNet V3, large and small.
struct MobileNetV3: Sendable {
  private typealias Block = (kernel: Int, expanded: Int, outputs: Int, squeezes: Bool, isHard: Bool, stride: Int)

  private let blocks: [Block]
  private let hidden: Int

  static let architectures = [
    (
      "mobilenet_v3_large",
      MobileNetV3(
        blocks: [
          (3, 16, 16, false, false, 1), (3, 64, 24, false, false, 2), (3, 72, 24, false, false, 1),
          (5, 72, 40, true, false, 2), (5, 120, 40, true, false, 1), (5, 120, 40, true, false, 1),
          (3, 240, 80, false, true, 2), (3, 200, 80, false, true, 1), (3, 184, 80, false, true, 1),
          (3, 184, 80, false, true, 1), (3, 480, 112, true, true, 1), (3, 672, 112, true, true, 1),
          (5, 672, 160, true, true, 2), (5, 960, 160, true, true, 1), (5, 960, 160, true, true, 1),
        ], hidden: 1280)
    ),
    (
      "mobilenet_v3_small",
      MobileNetV3(
        blocks: [
          (3, 16, 16, true, false, 2), (3, 72, 24, false, false, 2), (3, 88, 24, false, false, 1),
          (5, 96, 40, true, true, 2), (5, 240, 40, true, true, 1), (5, 240, 40, true, true, 1),
          (5, 120, 48, true, true, 1), (5, 144, 48, true, true, 1), (5, 288, 96, true, true, 2),
          (5, 576, 96, true, true, 1), (5, 576, 96, true, true, 1),
        ], hidden: 1024)
    ),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let norm: ModuleBuilder.Norm = { make.batchNorm2d($0, eps: 0.001, momentum: 0.01) }
    var channels = 16
    var features = [make.conv2dNormActivation(3, channels, stride: 2, norm: norm, activation: .hardswish)]
    for block in blocks {
      features.append(residual(make, channels, block, norm))
      channels = block.outputs
    }
    let last = 6 * channels
    features.append(make.conv2dNormActivation(channels, last, kernel: 1, norm: norm, activation: .hardswish))
    let root = make.module(
      TorchVision.className("mobilenetv3", "MobileNetV3"),
      [
        "features": make.sequential(features), "avgpool": make.adaptiveAvgPool2d(1),
        "classifier": make.sequential([
          make.linear(last, hidden), make.activation(.hardswish, inplace: true), make.dropout(0.2, inplace: true),
          make.linear(hidden, classes),
        ]),
      ])
    make.initialize(root) { _ in .normal(standardDeviation: 0.01) }
    return root
  }

  private func residual(_ make: ModuleBuilder, _ inputs: Int, _ block: Block, _ norm: @escaping ModuleBuilder.Norm)
    -> Module
  {
    let activation: Activation.Kind = block.isHard ? .hardswish : .relu
    var layers: [Module] = []
    if block.expanded != inputs {
      layers.append(
        make.conv2dNormActivation(inputs, block.expanded, kernel: 1, norm: norm, activation: activation))
    }
    layers.append(
      make.conv2dNormActivation(
        block.expanded, block.expanded, kernel: block.kernel, stride: block.stride, groups: block.expanded, norm: norm,
        activation: activation))
    if block.squeezes {
      let squeezed = TorchVision.makeDivisible(Double(block.expanded / 4))
      layers.append(make.squeezeExcitation(block.expanded, squeezed, scale: .hardsigmoid))
    }
    layers.append(make.conv2dNormActivation(block.expanded, block.outputs, kernel: 1, norm: norm, activation: nil))
    return make.module(
      TorchVision.className("mobilenetv3", "InvertedResidual"),
      attributes: [
        "use_res_connect": .bool(block.stride == 1 && inputs == block.outputs), "out_channels": .int(block.outputs),
        "_is_cn": .bool(block.stride > 1),
      ], ["block": make.sequential(layers)])
  }
}
