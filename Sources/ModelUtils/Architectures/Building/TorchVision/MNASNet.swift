import ModelCore

/// MNASNet B1 at several widths.
struct MNASNet: Sendable {
  let width: Double

  static let architectures = [("mnasnet0_5", 0.5), ("mnasnet0_75", 0.75), ("mnasnet1_0", 1.0), ("mnasnet1_3", 1.3)]
    .map { name, width in Architecture(torchVision: name) { MNASNet(width: width).build($0, classes: $1) } }

  private static let momentum = 1 - 0.9997

  /// Channels, kernel, first stride, expansion and repeats of each stage after the two first convolutions.
  private static let stages = [
    (24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1),
  ]

  private func scaled(_ channels: Int) -> Int { TorchVision.makeDivisible(Double(channels) * width) }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let (stem, first) = (scaled(32), scaled(16))
    var layers = [
      make.conv2d(3, stem, 3, stride: 2, padding: 1, bias: false), norm(make, stem), make.relu(),
      make.conv2d(stem, stem, 3, padding: 1, groups: stem, bias: false), norm(make, stem), make.relu(),
      make.conv2d(stem, first, 1, bias: false), norm(make, first),
    ]
    var channels = first
    for (width, kernel, stride, expansion, repeats) in Self.stages {
      let outputs = scaled(width)
      let blocks = (0..<repeats).map { number in
        defer { channels = outputs }
        return block(make, channels, outputs, kernel, stride: number == 0 ? stride : 1, expansion: expansion)
      }
      layers.append(make.sequential(blocks))
    }
    layers += [make.conv2d(channels, 1280, 1, bias: false), norm(make, 1280), make.relu()]
    let root = make.module(
      TorchVision.className("mnasnet", "MNASNet"), attributes: ["alpha": .double(width), "num_classes": .int(classes)],
      [
        "layers": make.sequential(layers),
        "classifier": make.sequential([make.dropout(0.2, inplace: true), make.linear(1280, classes)]),
      ])
    // The gain of a sigmoid is 1.
    make.initialize(root) { .uniform(bound: 3.0.squareRoot() * (1 / Double($0.output).squareRoot())) }
    return root
  }

  private func norm(_ make: ModuleBuilder, _ channels: Int) -> Module {
    make.batchNorm2d(channels, momentum: Self.momentum)
  }

  private func block(
    _ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int, expansion: Int
  ) -> Module {
    let hidden = inputs * expansion
    return make.module(
      TorchVision.className("mnasnet", "_InvertedResidual"),
      attributes: ["apply_residual": .bool(inputs == outputs && stride == 1)],
      [
        "layers": make.sequential([
          make.conv2d(inputs, hidden, 1, bias: false), norm(make, hidden), make.relu(),
          make.conv2d(hidden, hidden, kernel, stride: stride, padding: kernel / 2, groups: hidden, bias: false),
          norm(make, hidden), make.relu(), make.conv2d(hidden, outputs, 1, bias: false), norm(make, outputs),
        ])
      ])
  }
}
