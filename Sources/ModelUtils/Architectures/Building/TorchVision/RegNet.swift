import ModelCore

/// RegNet X and Y: the widths of all blocks follow from a line in the logarithm.
struct RegNet: Sendable {
  let depth: Int
  let firstWidth: Int
  let slope: Double
  let step: Double
  let groupWidth: Int
  /// Y has gates of a quarter of a block's input.
  let squeezes: Bool

  static let architectures = [
    ("regnet_y_400mf", RegNet(16, 48, 27.89, 2.09, 8, squeezes: true)),
    ("regnet_y_800mf", RegNet(14, 56, 38.84, 2.4, 16, squeezes: true)),
    ("regnet_y_1_6gf", RegNet(27, 48, 20.71, 2.65, 24, squeezes: true)),
    ("regnet_y_3_2gf", RegNet(21, 80, 42.63, 2.66, 24, squeezes: true)),
    ("regnet_y_8gf", RegNet(17, 192, 76.82, 2.19, 56, squeezes: true)),
    ("regnet_y_16gf", RegNet(18, 200, 106.23, 2.48, 112, squeezes: true)),
    ("regnet_y_32gf", RegNet(20, 232, 115.89, 2.53, 232, squeezes: true)),
    ("regnet_y_128gf", RegNet(27, 456, 160.83, 2.52, 264, squeezes: true)),
    ("regnet_x_400mf", RegNet(22, 24, 24.48, 2.54, 16)),
    ("regnet_x_800mf", RegNet(16, 56, 35.73, 2.28, 16)),
    ("regnet_x_1_6gf", RegNet(18, 80, 34.01, 2.25, 24)),
    ("regnet_x_3_2gf", RegNet(25, 88, 26.31, 2.25, 48)),
    ("regnet_x_8gf", RegNet(23, 80, 49.56, 2.88, 120)),
    ("regnet_x_16gf", RegNet(22, 216, 55.59, 2.1, 128)),
    ("regnet_x_32gf", RegNet(23, 320, 69.86, 2.0, 168)),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private init(
    _ depth: Int, _ firstWidth: Int, _ slope: Double, _ step: Double, _ groupWidth: Int, squeezes: Bool = false
  ) {
    (self.depth, self.firstWidth, self.slope, self.step) = (depth, firstWidth, slope, step)
    (self.groupWidth, self.squeezes) = (groupWidth, squeezes)
  }

  /// The width and depth of each stage: block i is as wide as the power of `step` that is nearest, in the logarithm, to
  /// its place on the line firstWidth + i · slope, rounded to eights; equal neighbours are a stage, made divisible by
  /// the width of its groups.
  private var stages: [(width: Int, depth: Int, groupWidth: Int)] {
    var runs: [(width: Int, depth: Int)] = []
    for index in 0..<depth {
      let target = Double(firstWidth) + Double(index) * slope
      var power = Double(firstWidth)
      while power * step.squareRoot() < target { power *= step }
      let width = Int((power / 8).rounded(.toNearestOrEven)) * 8
      if runs.last?.width == width { runs[runs.count - 1].depth += 1 } else { runs.append((width, 1)) }
    }
    return runs.map { width, depth in
      let group = min(groupWidth, width)
      return (TorchVision.makeDivisible(Double(width), by: group), depth, group)
    }
  }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var channels = 32
    let stem = make.conv2dNormActivation(
      3, channels, stride: 2, activation: .relu, className: TorchVision.className("regnet", "SimpleStemIN"))
    var trunk: OrderedDictionary<String, Module> = [:]
    for (index, stage) in stages.enumerated() {
      var blocks: OrderedDictionary<String, Module> = [:]
      for number in 0..<stage.depth {
        blocks["block\(index + 1)-\(number)"] = block(
          make, channels, stage.width, stride: number == 0 ? 2 : 1, groups: stage.width / stage.groupWidth)
        channels = stage.width
      }
      trunk["block\(index + 1)"] = make.module(TorchVision.className("regnet", "AnyStage"), blocks)
    }
    let root = make.module(
      TorchVision.className("regnet", "RegNet"),
      [
        "stem": stem, "trunk_output": make.sequential(named: trunk), "avgpool": make.adaptiveAvgPool2d(1),
        "fc": make.linear(channels, classes),
      ])
    // The biases of the gates keep PyTorch's default.
    make.forEachConvolution(in: root) { conv, fans in
      make.set(
        conv.parameters["weight"], to: .normal(standardDeviation: (2 / Double(fans.output)).squareRoot()))
    }
    make.set(root.children["fc"]?.parameters["weight"], to: .normal(standardDeviation: 0.01))
    make.set(root.children["fc"]?.parameters["bias"], to: .constant(0))
    return root
  }

  private func block(_ make: ModuleBuilder, _ inputs: Int, _ width: Int, stride: Int, groups: Int) -> Module {
    var children: OrderedDictionary<String, Module> = [:]
    let isProjected = inputs != width || stride != 1
    if isProjected {
      children["proj"] = make.conv2dNormActivation(inputs, width, kernel: 1, stride: stride, activation: nil)
    }
    var transform: OrderedDictionary<String, Module> = [
      "a": make.conv2dNormActivation(inputs, width, kernel: 1, activation: .relu),
      "b": make.conv2dNormActivation(width, width, stride: stride, groups: groups, activation: .relu),
    ]
    if squeezes {
      let squeezed = Int((0.25 * Double(inputs)).rounded(.toNearestOrEven))
      transform["se"] = make.squeezeExcitation(width, squeezed)
    }
    transform["c"] = make.conv2dNormActivation(width, width, kernel: 1, activation: nil)
    children["f"] = make.module(TorchVision.className("regnet", "BottleneckTransform"), transform)
    children["activation"] = make.relu()
    return make.module(
      TorchVision.className("regnet", "ResBottleneckBlock"),
      attributes: isProjected ? [:] : ["proj": Attribute.none], children)
  }
}
