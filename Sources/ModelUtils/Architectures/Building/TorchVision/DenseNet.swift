import ModelCore
import ModelRandom

/// DenseNet with bottlenecks and compression.
struct DenseNet: Sendable {
  var growth = 32
  let depths: [Int]
  var stem = 64

  static let architectures = [
    ("densenet121", DenseNet(depths: [6, 12, 24, 16])),
    ("densenet161", DenseNet(growth: 48, depths: [6, 12, 36, 24], stem: 96)),
    ("densenet169", DenseNet(depths: [6, 12, 32, 32])),
    ("densenet201", DenseNet(depths: [6, 12, 48, 32])),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var channels = stem
    var features: OrderedDictionary<String, Module> = [
      "conv0": make.conv2d(3, channels, 7, stride: 2, padding: 3, bias: false), "norm0": make.batchNorm2d(channels),
      "relu0": make.relu(), "pool0": make.maxPool2d(3, stride: 2, padding: 1),
    ]
    for (index, depth) in depths.enumerated() {
      var layers: OrderedDictionary<String, Module> = [:]
      for number in 0..<depth { layers["denselayer\(number + 1)"] = layer(make, channels + number * growth) }
      features["denseblock\(index + 1)"] = make.module(TorchVision.className("densenet", "_DenseBlock"), layers)
      channels += depth * growth
      if index < depths.count - 1 {
        features["transition\(index + 1)"] = make.module(
          TorchVision.className("densenet", "_Transition"),
          [
            "norm": make.batchNorm2d(channels), "relu": make.relu(),
            "conv": make.conv2d(channels, channels / 2, 1, bias: false), "pool": make.avgPool2d(2),
          ])
        channels /= 2
      }
    }
    features["norm5"] = make.batchNorm2d(channels)
    let root = make.module(
      TorchVision.className("densenet", "DenseNet"),
      ["features": make.sequential(named: features), "classifier": make.linear(channels, classes)])
    make.forEachConvolution(in: root) { conv, fans in
      make.set(
        conv.parameters["weight"], to: .normal(standardDeviation: Fans.kaimingDeviation(fans.input)))
    }
    make.set(root.children["classifier"]?.parameters["bias"], to: .constant(0))
    return root
  }

  private func layer(_ make: ModuleBuilder, _ inputs: Int) -> Module {
    let width = 4 * growth
    return make.module(
      TorchVision.className("densenet", "_DenseLayer"),
      attributes: ["drop_rate": .double(0), "memory_efficient": .bool(false)],
      [
        "norm1": make.batchNorm2d(inputs), "relu1": make.relu(), "conv1": make.conv2d(inputs, width, 1, bias: false),
        "norm2": make.batchNorm2d(width), "relu2": make.relu(),
        "conv2": make.conv2d(width, growth, 3, padding: 1, bias: false),
      ])
  }
}
