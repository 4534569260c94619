import ModelCore

/// VGG with 11 to 19 layers, with and without batch norms.
struct VGG: Sendable {
  /// How many convolutions stand before each of the five pools, with 64, 128, 256, 512 and 512 channels.
  let depths: [Int]
  let hasBatchNorm: Bool

  static let architectures = [
    ("vgg11", [1, 1, 2, 2, 2]), ("vgg13", [2, 2, 2, 2, 2]), ("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4]),
  ].flatMap { name, depths in
    [false, true].map { hasBatchNorm in
      let net = VGG(depths: depths, hasBatchNorm: hasBatchNorm)
      return Architecture(torchVision: hasBatchNorm ? name + "_bn" : name) { net.build($0, classes: $1) }
    }
  }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var features: [Module] = []
    var channels = 3
    for (depth, width) in zip(depths, [64, 128, 256, 512, 512]) {
      for _ in 0..<depth {
        features.append(make.conv2d(channels, width, 3, padding: 1))
        if hasBatchNorm { features.append(make.batchNorm2d(width)) }
        features.append(make.relu())
        channels = width
      }
      features.append(make.maxPool2d(2))
    }
    let root = make.module(
      TorchVision.className("vgg", "VGG"),
      [
        "features": make.sequential(features), "avgpool": make.adaptiveAvgPool2d(7),
        "classifier": make.sequential([
          make.linear(512 * 7 * 7, 4096), make.relu(), make.dropout(0.5),
          make.linear(4096, 4096), make.relu(), make.dropout(0.5), make.linear(4096, classes),
        ]),
      ])
    make.initialize(root) { _ in .normal(standardDeviation: 0.01) }
    return root
  }
}
