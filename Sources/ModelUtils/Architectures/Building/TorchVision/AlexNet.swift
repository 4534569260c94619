import ModelCore

/// AlexNet, with PyTorch's default initialisation.
enum AlexNet {
  static let architectures = [Architecture(torchVision: "alexnet", build)]

  private static let build: @Sendable (ModuleBuilder, Int) -> Module = { make, classes in
    make.module(
      TorchVision.className("alexnet", "AlexNet"),
      [
        "features": make.sequential([
          make.conv2d(3, 64, 11, stride: 4, padding: 2), make.relu(), make.maxPool2d(3, stride: 2),
          make.conv2d(64, 192, 5, padding: 2), make.relu(), make.maxPool2d(3, stride: 2),
          make.conv2d(192, 384, 3, padding: 1), make.relu(),
          make.conv2d(384, 256, 3, padding: 1), make.relu(),
          make.conv2d(256, 256, 3, padding: 1), make.relu(), make.maxPool2d(3, stride: 2),
        ]),
        "avgpool": make.adaptiveAvgPool2d(6),
        "classifier": make.sequential([
          make.dropout(0.5), make.linear(256 * 6 * 6, 4096), make.relu(),
          make.dropout(0.5), make.linear(4096, 4096), make.relu(), make.linear(4096, classes),
        ]),
      ])
  }
}
