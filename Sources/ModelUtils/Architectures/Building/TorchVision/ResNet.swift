import ModelCore

/// ResNet, ResNeXt and wide ResNet.
struct ResNet: Sendable {
  var isBasic = false
  let depths: [Int]
  var groups = 1
  var widthPerGroup = 64

  static let architectures = [
    ("resnet18", ResNet(isBasic: true, depths: [2, 2, 2, 2])),
    ("resnet34", ResNet(isBasic: true, depths: [3, 4, 6, 3])),
    ("resnet50", ResNet(depths: [3, 4, 6, 3])),
    ("resnet101", ResNet(depths: [3, 4, 23, 3])),
    ("resnet152", ResNet(depths: [3, 8, 36, 3])),
    ("resnext50_32x4d", ResNet(depths: [3, 4, 6, 3], groups: 32, widthPerGroup: 4)),
    ("resnext101_32x8d", ResNet(depths: [3, 4, 23, 3], groups: 32, widthPerGroup: 8)),
    ("resnext101_64x4d", ResNet(depths: [3, 4, 23, 3], groups: 64, widthPerGroup: 4)),
    ("wide_resnet50_2", ResNet(depths: [3, 4, 6, 3], widthPerGroup: 128)),
    ("wide_resnet101_2", ResNet(depths: [3, 4, 23, 3], widthPerGroup: 128)),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private var expansion: Int { isBasic ? 1 : 4 }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var channels = 64
    var children: OrderedDictionary<String, Module> = [
      "conv1": make.conv2d(3, channels, 7, stride: 2, padding: 3, bias: false), "bn1": make.batchNorm2d(channels),
      "relu": make.relu(), "maxpool": make.maxPool2d(3, stride: 2, padding: 1),
    ]
    for (index, depth) in depths.enumerated() {
      let planes = 64 << index
      let blocks = (0..<depth).map { number in
        let stride = index > 0 && number == 0 ? 2 : 1
        defer { channels = planes * expansion }
        return block(make, channels, planes, stride: stride)
      }
      children["layer\(index + 1)"] = make.sequential(blocks)
    }
    children["avgpool"] = make.adaptiveAvgPool2d(1)
    children["fc"] = make.linear(channels, classes)
    let root = make.module(
      TorchVision.className("resnet", "ResNet"),
      attributes: [
        "inplanes": .int(channels), "dilation": .int(1), "groups": .int(groups), "base_width": .int(widthPerGroup),
      ], children)
    make.initialize(root) { _ in nil }
    return root
  }

  /// The projection beside a block is made before the block.
  private func block(_ make: ModuleBuilder, _ inputs: Int, _ planes: Int, stride: Int) -> Module {
    let outputs = planes * expansion
    let downsample =
      stride == 1 && inputs == outputs
      ? nil
      : make.sequential([make.conv2d(inputs, outputs, 1, stride: stride, bias: false), make.batchNorm2d(outputs)])
    var children: OrderedDictionary<String, Module>
    if isBasic {
      children = [
        "conv1": make.conv2d(inputs, planes, 3, stride: stride, padding: 1, bias: false),
        "bn1": make.batchNorm2d(planes), "relu": make.relu(),
        "conv2": make.conv2d(planes, planes, 3, padding: 1, bias: false), "bn2": make.batchNorm2d(planes),
      ]
    } else {
      let width = planes * widthPerGroup / 64 * groups
      children = [
        "conv1": make.conv2d(inputs, width, 1, bias: false), "bn1": make.batchNorm2d(width),
        "conv2": make.conv2d(width, width, 3, stride: stride, padding: 1, groups: groups, bias: false),
        "bn2": make.batchNorm2d(width), "conv3": make.conv2d(width, outputs, 1, bias: false),
        "bn3": make.batchNorm2d(outputs), "relu": make.relu(),
      ]
    }
    var attributes: OrderedDictionary<String, Attribute> = ["stride": .int(stride)]
    if let downsample { children["downsample"] = downsample } else { attributes["downsample"] = Attribute.none }
    return make.module(
      TorchVision.className("resnet", isBasic ? "BasicBlock" : "Bottleneck"), attributes: attributes, children)
  }
}
