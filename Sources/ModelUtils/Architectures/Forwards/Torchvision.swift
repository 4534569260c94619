import ModelCore
import ModelGraph

extension Forward {
  /// torchvision's classifiers, from 0.2 on, and the blocks of which they are made.
  static let torchvision = [
    torchvisionOps, torchvisionResNet, torchvisionVGG, torchvisionSqueezeNet, torchvisionDenseNet,
    torchvisionMobileNet, torchvisionEfficientNet, torchvisionRegNet, torchvisionShuffleNet, torchvisionMNASNet,
    torchvisionInception, torchvisionGoogLeNet, torchvisionConvNeXt, torchvisionSegmentation,
    torchvisionVideo, torchvisionViT, torchvisionMaxViT, torchvisionSwin, torchvisionDetection, torchvisionQuantization,
  ]

  /// `torchvision.ops`.
  private static let torchvisionOps: [String: Forward] = [
    "torchvision.ops.misc.ConvNormActivation": .sequential,
    "torchvision.ops.misc.Conv2dNormActivation": .sequential,
    "torchvision.ops.misc.Conv3dNormActivation": .sequential,
    "torchvision.ops.misc.MLP": .sequential,
    "torchvision.ops.misc.SqueezeExcitation": Forward { gate, x in
      try gate.multiply(gate(x, "avgpool", "fc1", "activation", "fc2", "scale_activation"), x)
    },
    "torchvision.ops.misc.Permute": .permutation,
    "torchvision.ops.stochastic_depth.StochasticDepth": Forward { $1 }.training(
      Forward { module, x in
        let probability = try module.double("p")
        guard probability > 0 else { return x }
        switch module.module.attributes["mode"]?.stringValue {
        case "row": return try module.emit(.dropout(Dropout(probability: probability, unit: .row)), x)
        case "batch": return try module.emit(.dropout(Dropout(probability: probability, unit: .tensor)), x)
        default: throw module.missing("mode")
        }
      }),
  ]

  /// Features, a pool, what they give as one row, a classifier. The pool came with 0.2.2.
  static let featuresAndClassifier = Forward { net, x in
    let features = try net.chain(x, ["features"] + (net.has("avgpool") ? ["avgpool"] : []))
    return try net(net.flatten(features), "classifier")
  }

  /// A module that permutes axes as its attribute `dims` says; negative ones count from the end.
  static let permutation = Forward { module, x in
    guard let axes = module.module.attributes["dims"]?.intsValue else { throw module.missing("dims") }
    return try module.permute(x, axes.map { $0 < 0 ? $0 + axes.count : $0 })
  }

  /// A child, and the input added where an attribute says so.
  static func residual(_ child: String, if attribute: String) -> Forward {
    Forward { block, x in
      let y = try block(x, child)
      return try block.bool(attribute) ? block.add(y, x) : y
    }
  }
}
