import ModelCore

/// Inception v3 with its auxiliary classifier, for pictures of 299 x 299.
enum Inception {
  static let architectures = [Architecture(torchVision: "inception_v3", build)]

  private static func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var children: OrderedDictionary<String, Module> = [
      "Conv2d_1a_3x3": conv(make, 3, 32, 3, stride: 2), "Conv2d_2a_3x3": conv(make, 32, 32, 3),
      "Conv2d_2b_3x3": conv(make, 32, 64, 3, padding: 1), "maxpool1": make.maxPool2d(3, stride: 2),
      "Conv2d_3b_1x1": conv(make, 64, 80, 1), "Conv2d_4a_3x3": conv(make, 80, 192, 3),
      "maxpool2": make.maxPool2d(3, stride: 2),
    ]
    children["Mixed_5b"] = inceptionA(make, 192, pooled: 32)
    children["Mixed_5c"] = inceptionA(make, 256, pooled: 64)
    children["Mixed_5d"] = inceptionA(make, 288, pooled: 64)
    children["Mixed_6a"] = inceptionB(make, 288)
    for (name, width) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
      children[name] = inceptionC(make, 768, width: width)
    }
    children["AuxLogits"] = auxiliary(make, 768, classes)
    children["Mixed_7a"] = inceptionD(make, 768)
    children["Mixed_7b"] = inceptionE(make, 1280)
    children["Mixed_7c"] = inceptionE(make, 2048)
    children["avgpool"] = make.adaptiveAvgPool2d(1)
    children["dropout"] = make.dropout(0.5)
    children["fc"] = make.linear(2048, classes)
    let root = make.module(
      TorchVision.className("inception", "Inception3"),
      attributes: ["aux_logits": .bool(true), "transform_input": .bool(false)], children)
    // Truncated at 20 deviations, where nothing is drawn. Biases keep PyTorch's default.
    root.visitModules { module in
      switch module.layer {
      case .convolution, .linear:
        make.set(
          module.parameters["weight"],
          to: .normal(standardDeviation: module.attributes["stddev"]?.doubleValue ?? 0.1))
      default: break
      }
    }
    return root
  }

  private static func conv(
    _ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, padding: Int = 0
  ) -> Module {
    conv(make, inputs, outputs, [kernel, kernel], stride: stride, padding: [padding, padding])
  }

  /// With a kernel of one row or one column the padding keeps the size.
  private static func conv(_ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, _ kernel: [Int]) -> Module {
    conv(make, inputs, outputs, kernel, stride: 1, padding: kernel.map { ($0 - 1) / 2 })
  }

  private static func conv(
    _ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, _ kernel: [Int], stride: Int, padding: [Int]
  ) -> Module {
    make.module(
      TorchVision.className("inception", "BasicConv2d"),
      [
        "conv": make.conv2d(inputs, outputs, kernel, stride: [stride, stride], padding: padding, bias: false),
        "bn": make.batchNorm2d(outputs, eps: 0.001),
      ])
  }

  private static func inceptionA(_ make: ModuleBuilder, _ inputs: Int, pooled: Int) -> Module {
    make.module(
      TorchVision.className("inception", "InceptionA"),
      [
        "branch1x1": conv(make, inputs, 64, 1), "branch5x5_1": conv(make, inputs, 48, 1),
        "branch5x5_2": conv(make, 48, 64, 5, padding: 2), "branch3x3dbl_1": conv(make, inputs, 64, 1),
        "branch3x3dbl_2": conv(make, 64, 96, 3, padding: 1), "branch3x3dbl_3": conv(make, 96, 96, 3, padding: 1),
        "branch_pool": conv(make, inputs, pooled, 1),
      ])
  }

  private static func inceptionB(_ make: ModuleBuilder, _ inputs: Int) -> Module {
    make.module(
      TorchVision.className("inception", "InceptionB"),
      [
        "branch3x3": conv(make, inputs, 384, 3, stride: 2), "branch3x3dbl_1": conv(make, inputs, 64, 1),
        "branch3x3dbl_2": conv(make, 64, 96, 3, padding: 1), "branch3x3dbl_3": conv(make, 96, 96, 3, stride: 2),
      ])
  }

  private static func inceptionC(_ make: ModuleBuilder, _ inputs: Int, width: Int) -> Module {
    make.module(
      TorchVision.className("inception", "InceptionC"),
      [
        "branch1x1": conv(make, inputs, 192, 1), "branch7x7_1": conv(make, inputs, width, 1),
        "branch7x7_2": conv(make, width, width, [1, 7]), "branch7x7_3": conv(make, width, 192, [7, 1]),
        "branch7x7dbl_1": conv(make, inputs, width, 1), "branch7x7dbl_2": conv(make, width, width, [7, 1]),
        "branch7x7dbl_3": conv(make, width, width, [1, 7]), "branch7x7dbl_4": conv(make, width, width, [7, 1]),
        "branch7x7dbl_5": conv(make, width, 192, [1, 7]), "branch_pool": conv(make, inputs, 192, 1),
      ])
  }

  private static func inceptionD(_ make: ModuleBuilder, _ inputs: Int) -> Module {
    make.module(
      TorchVision.className("inception", "InceptionD"),
      [
        "branch3x3_1": conv(make, inputs, 192, 1), "branch3x3_2": conv(make, 192, 320, 3, stride: 2),
        "branch7x7x3_1": conv(make, inputs, 192, 1), "branch7x7x3_2": conv(make, 192, 192, [1, 7]),
        "branch7x7x3_3": conv(make, 192, 192, [7, 1]), "branch7x7x3_4": conv(make, 192, 192, 3, stride: 2),
      ])
  }

  private static func inceptionE(_ make: ModuleBuilder, _ inputs: Int) -> Module {
    make.module(
      TorchVision.className("inception", "InceptionE"),
      [
        "branch1x1": conv(make, inputs, 320, 1), "branch3x3_1": conv(make, inputs, 384, 1),
        "branch3x3_2a": conv(make, 384, 384, [1, 3]), "branch3x3_2b": conv(make, 384, 384, [3, 1]),
        "branch3x3dbl_1": conv(make, inputs, 448, 1), "branch3x3dbl_2": conv(make, 448, 384, 3, padding: 1),
        "branch3x3dbl_3a": conv(make, 384, 384, [1, 3]), "branch3x3dbl_3b": conv(make, 384, 384, [3, 1]),
        "branch_pool": conv(make, inputs, 192, 1),
      ])
  }

  /// Its constructor notes a deviation of 0.01 on the block around the second convolution, where the draw of weights
  /// does not look for it, and one of 0.001 on the last layer, where it does.
  private static func auxiliary(_ make: ModuleBuilder, _ inputs: Int, _ classes: Int) -> Module {
    var children: OrderedDictionary<String, Module> = [
      "conv0": conv(make, inputs, 128, 1), "conv1": conv(make, 128, 768, 5), "fc": make.linear(768, classes),
    ]
    children["conv1"]?.attributes["stddev"] = .double(0.01)
    children["fc"]?.attributes["stddev"] = .double(0.001)
    return make.module(TorchVision.className("inception", "InceptionAux"), children)
  }
}
