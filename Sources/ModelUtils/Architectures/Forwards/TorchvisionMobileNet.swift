import ModelCore
import ModelGraph

extension Forward {
  /// MobileNet V2 and V3; V2 stood in `mobilenet` until 0.8.
  static let torchvisionMobileNet: [String: Forward] = [
    "torchvision.models.mobilenet.MobileNetV2": .mobileNetV2,
    "torchvision.models.mobilenetv2.MobileNetV2": .mobileNetV2,
    "torchvision.models.mobilenet.InvertedResidual": .residual("conv", if: "use_res_connect"),
    "torchvision.models.mobilenetv2.InvertedResidual": .residual("conv", if: "use_res_connect"),
    "torchvision.models.mobilenet.ConvBNReLU": .sequential,
    "torchvision.models.mobilenetv2.ConvBNReLU": .sequential,
    "torchvision.models.mobilenetv2.ConvBNActivation": .sequential,
    "torchvision.models.mobilenetv2._DeprecatedConvBNAct": .sequential,
    "torchvision.models.mobilenetv3.ConvBNActivation": .sequential,
    "torchvision.models.mobilenetv3.MobileNetV3": .featuresAndClassifier,
    "torchvision.models.mobilenetv3.InvertedResidual": .residual("block", if: "use_res_connect"),
    // V3's own until 0.10, with functions for what has modules today.
    "torchvision.models.mobilenetv3.SqueezeExcitation": Forward { gate, x in
      let scale = try gate(gate.averagePool(x), "fc1", "relu", "fc2")
      return try gate.multiply(gate.unary(.hardsigmoid, scale), x)
    },
  ]

  private static let mobileNetV2 = Forward { net, x in
    try net(net.flatten(net.averagePool(net(x, "features"))), "classifier")
  }
}
