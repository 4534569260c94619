import ModelCore

/// ShuffleNet V2, with PyTorch's default initialisation.
struct ShuffleNetV2: Sendable {
  /// Channels of the stem, of the three stages and of the last convolution.
  let widths: [Int]

  static let architectures = [
    ("shufflenet_v2_x0_5", ShuffleNetV2(widths: [24, 48, 96, 192, 1024])),
    ("shufflenet_v2_x1_0", ShuffleNetV2(widths: [24, 116, 232, 464, 1024])),
    ("shufflenet_v2_x1_5", ShuffleNetV2(widths: [24, 176, 352, 704, 1024])),
    ("shufflenet_v2_x2_0", ShuffleNetV2(widths: [24, 244, 488, 976, 2048])),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var channels = widths[0]
    var children: OrderedDictionary<String, Module> = [
      "conv1": make.sequential([
        make.conv2d(3, channels, 3, stride: 2, padding: 1, bias: false), make.batchNorm2d(channels), make.relu(),
      ]),
      "maxpool": make.maxPool2d(3, stride: 2, padding: 1),
    ]
    for (index, depth) in [4, 8, 4].enumerated() {
      let width = widths[index + 1]
      let blocks = (0..<depth).map { number in
        defer { channels = width }
        return block(make, channels, width, stride: number == 0 ? 2 : 1)
      }
      children["stage\(index + 2)"] = make.sequential(blocks)
    }
    children["conv5"] = make.sequential([
      make.conv2d(channels, widths[4], 1, bias: false), make.batchNorm2d(widths[4]), make.relu(),
    ])
    children["fc"] = make.linear(widths[4], classes)
    return make.module(
      TorchVision.className("shufflenetv2", "ShuffleNetV2"),
      attributes: ["_stage_out_channels": .list(widths.map { .int($0) })], children)
  }

  private func block(_ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, stride: Int) -> Module {
    let branch = outputs / 2
    func pointwise(_ inputs: Int) -> [Module] {
      [make.conv2d(inputs, branch, 1, bias: false), make.batchNorm2d(branch), make.relu()]
    }
    func depthwise(_ channels: Int) -> [Module] {
      [
        make.conv2d(channels, channels, 3, stride: stride, padding: 1, groups: channels, bias: false),
        make.batchNorm2d(channels),
      ]
    }
    return make.module(
      TorchVision.className("shufflenetv2", "InvertedResidual"), attributes: ["stride": .int(stride)],
      [
        "branch1": make.sequential(stride > 1 ? depthwise(inputs) + pointwise(inputs) : []),
        "branch2": make.sequential(
          pointwise(stride > 1 ? inputs : branch) + depthwise(branch) + pointwise(branch)),
      ])
  }
}
