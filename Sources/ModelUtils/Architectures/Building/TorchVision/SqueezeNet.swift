import ModelCore
import ModelRandom

/// SqueezeNet 1.0 and 1.1.
struct SqueezeNet: Sendable {
  private enum Stage {
    /// The squeezed channels, and those that each of the two kernels expands them to.
    case fire(Int, Int)
    case pool
  }

  private let stem: (channels: Int, kernel: Int)
  private let stages: [Stage]

  static let architectures = [
    (
      "squeezenet1_0",
      SqueezeNet(
        stem: (96, 7),
        stages: [
          .pool, .fire(16, 64), .fire(16, 64), .fire(32, 128), .pool, .fire(32, 128), .fire(48, 192), .fire(48, 192),
          .fire(64, 256), .pool, .fire(64, 256),
        ])
    ),
    (
      "squeezenet1_1",
      SqueezeNet(
        stem: (64, 3),
        stages: [
          .pool, .fire(16, 64), .fire(16, 64), .pool, .fire(32, 128), .fire(32, 128), .pool, .fire(48, 192),
          .fire(48, 192), .fire(64, 256), .fire(64, 256),
        ])
    ),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var features = [make.conv2d(3, stem.channels, stem.kernel, stride: 2), make.relu()]
    var channels = stem.channels
    for stage in stages {
      switch stage {
      case .pool: features.append(make.maxPool2d(3, stride: 2, ceilMode: true))
      case .fire(let squeezed, let expanded):
        features.append(fire(make, channels, squeezed, expanded))
        channels = 2 * expanded
      }
    }
    let final = make.conv2d(channels, classes, 1)
    let root = make.module(
      TorchVision.className("squeezenet", "SqueezeNet"), attributes: ["num_classes": .int(classes)],
      [
        "features": make.sequential(features),
        "classifier": make.sequential([make.dropout(0.5), final, make.relu(), make.adaptiveAvgPool2d(1)]),
      ])
    make.forEachConvolution(in: root) { conv, fans in
      let isFinal = conv.identity == final.identity
      make.set(
        conv.parameters["weight"],
        to: isFinal ? .normal(standardDeviation: 0.01) : .uniform(bound: fans.kaimingBound()))
      make.set(conv.parameters["bias"], to: .constant(0))
    }
    return root
  }

  private func fire(_ make: ModuleBuilder, _ inputs: Int, _ squeezed: Int, _ expanded: Int) -> Module {
    make.module(
      TorchVision.className("squeezenet", "Fire"), attributes: ["inplanes": .int(inputs)],
      [
        "squeeze": make.conv2d(inputs, squeezed, 1), "squeeze_activation": make.relu(),
        "expand1x1": make.conv2d(squeezed, expanded, 1), "expand1x1_activation": make.relu(),
        "expand3x3": make.conv2d(squeezed, expanded, 3, padding: 1), "expand3x3_activation": make.relu(),
      ])
  }
}
