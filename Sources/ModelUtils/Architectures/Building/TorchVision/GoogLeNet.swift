import ModelCore

/// GoogLeNet with its two auxiliary classifiers.
enum GoogLeNet {
  static let architectures = [Architecture(torchVision: "googlenet", build)]

  /// Channels of the branches: 1x1; reduced and 3x3; reduced and the second 3x3; after the pool. One number alone is
  /// the kernel of a pool.
  private static let stages: [(name: String, branches: [Int])] = [
    ("inception3a", [64, 96, 128, 16, 32, 32]), ("inception3b", [128, 128, 192, 32, 96, 64]), ("maxpool3", [3]),
    ("inception4a", [192, 96, 208, 16, 48, 64]), ("inception4b", [160, 112, 224, 24, 64, 64]),
    ("inception4c", [128, 128, 256, 24, 64, 64]), ("inception4d", [112, 144, 288, 32, 64, 64]),
    ("inception4e", [256, 160, 320, 32, 128, 128]), ("maxpool4", [2]),
    ("inception5a", [256, 160, 320, 32, 128, 128]), ("inception5b", [384, 192, 384, 48, 128, 128]),
  ]

  private static let build: @Sendable (ModuleBuilder, Int) -> Module = { make, classes in
    var children: OrderedDictionary<String, Module> = [
      "conv1": conv(make, 3, 64, 7, stride: 2, padding: 3), "maxpool1": make.maxPool2d(3, stride: 2, ceilMode: true),
      "conv2": conv(make, 64, 64, 1), "conv3": conv(make, 64, 192, 3, padding: 1),
      "maxpool2": make.maxPool2d(3, stride: 2, ceilMode: true),
    ]
    var channels = 192
    for (name, branches) in stages {
      if branches.count == 1 {
        children[name] = make.maxPool2d(branches[0], stride: 2, ceilMode: true)
      } else {
        children[name] = inception(make, channels, branches)
        channels = branches[0] + branches[2] + branches[4] + branches[5]
      }
    }
    children["aux1"] = auxiliary(make, 512, classes)
    children["aux2"] = auxiliary(make, 528, classes)
    children["avgpool"] = make.adaptiveAvgPool2d(1)
    children["dropout"] = make.dropout(0.2)
    children["fc"] = make.linear(channels, classes)
    let root = make.module(
      TorchVision.className("googlenet", "GoogLeNet"),
      attributes: ["aux_logits": .bool(true), "transform_input": .bool(false)], children)
    // Truncated at 200 deviations, where nothing is drawn. Biases keep PyTorch's default.
    root.visitModules { module in
      switch module.layer {
      case .convolution, .linear: make.set(module.parameters["weight"], to: .normal(standardDeviation: 0.01))
      default: break
      }
    }
    return root
  }

  private static func conv(
    _ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, padding: Int = 0
  ) -> Module {
    make.module(
      TorchVision.className("googlenet", "BasicConv2d"),
      [
        "conv": make.conv2d(inputs, outputs, kernel, stride: stride, padding: padding, bias: false),
        "bn": make.batchNorm2d(outputs, eps: 0.001),
      ])
  }

  private static func inception(_ make: ModuleBuilder, _ inputs: Int, _ channels: [Int]) -> Module {
    make.module(
      TorchVision.className("googlenet", "Inception"),
      [
        "branch1": conv(make, inputs, channels[0], 1),
        "branch2": make.sequential([
          conv(make, inputs, channels[1], 1), conv(make, channels[1], channels[2], 3, padding: 1),
        ]),
        "branch3": make.sequential([
          conv(make, inputs, channels[3], 1), conv(make, channels[3], channels[4], 3, padding: 1),
        ]),
        "branch4": make.sequential([
          make.maxPool2d(3, stride: 1, padding: 1, ceilMode: true), conv(make, inputs, channels[5], 1),
        ]),
      ])
  }

  private static func auxiliary(_ make: ModuleBuilder, _ inputs: Int, _ classes: Int) -> Module {
    make.module(
      TorchVision.className("googlenet", "InceptionAux"),
      [
        "conv": conv(make, inputs, 128, 1), "fc1": make.linear(2048, 1024), "fc2": make.linear(1024, classes),
        "dropout": make.dropout(0.7),
      ])
  }
}
