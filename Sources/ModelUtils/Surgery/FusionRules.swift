import ModelCore

/// What is known of a class's forward as far as fusing needs it. A class that is not here proves nothing.
enum FusionRules {
  /// What stands in the place of a batch norm that was fused.
  enum Replacement: Equatable {
    /// `torch.nn.Identity`, so that the class's unmodified forward still runs.
    case identity
    /// Nothing: the class has a method for the fused state, which takes the place of its forward.
    case method(String)
  }

  enum Rule {
    /// Each first child's output goes into the second and nowhere else.
    case pairs([(conv: String, bn: String)], Replacement)
    /// The children run in order.
    case inOrder
    /// Branches that are merged by re-parameterisation, or that join before the batch norm: nothing inside is fused.
    case leave(String)
  }

  /// YOLO's building block and its heirs: conv, bn, act.
  private static let yoloConv = [
    "models.common.Conv", "models.common.DWConv", "ultralytics.nn.modules.conv.Conv",
    "ultralytics.nn.modules.conv.DWConv", "ultralytics.nn.modules.Conv", "ultralytics.nn.modules.DWConv",
    "yolov6.layers.common.Conv", "yolov6.layers.common.SimConv", "yolov6.layers.common.ConvModule",
  ]
  private static let yoloConvTranspose = [
    "ultralytics.nn.modules.conv.ConvTranspose", "ultralytics.nn.modules.ConvTranspose",
  ]
  /// Blocks of parallel branches.
  private static let branched = ["RepConv", "RepVGGBlock", "RepVGGDW", "Conv2", "QARepVGGBlock", "BottleRep3"]

  private static let exact: [String: Rule] = [
    "torch.nn.modules.container.Sequential": .inOrder,
    "torchvision.ops.misc.ConvNormActivation": .inOrder,
    "torchvision.ops.misc.Conv2dNormActivation": .inOrder,
    "torchvision.ops.misc.Conv3dNormActivation": .inOrder,
    "torchvision.models.mobilenet.ConvBNReLU": .inOrder,
    "torchvision.models.mobilenetv2.ConvBNReLU": .inOrder,
    "torchvision.models.mobilenetv2.ConvBNActivation": .inOrder,
    "torchvision.models.mobilenetv3.ConvBNActivation": .inOrder,
    "torchvision.models.regnet.SimpleStemIN": .inOrder,
    "torchvision.models.densenet._Transition": .inOrder,
    "torchvision.models.segmentation.deeplabv3.ASPPConv": .inOrder,
    "torchvision.models.segmentation.deeplabv3.DeepLabHead": .inOrder,
    "torchvision.models.segmentation.fcn.FCNHead": .inOrder,
    "torchvision.models.video.resnet.BasicStem": .inOrder,
    "torchvision.models.video.resnet.Conv2Plus1D": .inOrder,
    "torchvision.models.video.resnet.R2Plus1dStem": .inOrder,
    "torchvision.models.resnet.ResNet": .pairs([("conv1", "bn1")], .identity),
    "torchvision.models.resnet.BasicBlock": .pairs([("conv1", "bn1"), ("conv2", "bn2")], .identity),
    "torchvision.models.resnet.Bottleneck": .pairs(
      [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")], .identity),
    "torchvision.models.densenet._DenseLayer": .pairs([("conv1", "norm2")], .identity),
    "torchvision.models.googlenet.BasicConv2d": .pairs([("conv", "bn")], .identity),
    "torchvision.models.inception.BasicConv2d": .pairs([("conv", "bn")], .identity),
  ]

  /// Subclasses of PyTorch's convolutions that change nothing of their forward.
  static let plainConvolutions: Set<String> = [
    "torchvision.models.video.resnet.Conv3DSimple", "torchvision.models.video.resnet.Conv3DNoTemporal",
  ]

  /// - Parameter fusedForward: the name that the model's own code gives the forward of a fused block.
  static func rule(for module: Module, fusedForward: String) -> Rule? {
    let name = module.className
    if let rule = exact[name.description] { return rule }
    if branched.contains(name.name) {
      return .leave("the branches of a \(name.name) are merged by re-parameterisation, not one by one")
    }
    if yoloConv.contains(where: name.hasSuffix) { return .pairs([("conv", "bn")], .method(fusedForward)) }
    if yoloConvTranspose.contains(where: name.hasSuffix) {
      return .pairs([("conv_transpose", "bn")], .method(fusedForward))
    }
    return nil
  }

  /// YOLOv7 keeps YOLOv5's class names but calls the method otherwise; its models alone have the attribute `traced`.
  static func fusedForward(of root: Module) -> String {
    root.className.hasSuffix("models.yolo.Model") && root.attributes["traced"] != nil ? "fuseforward" : "forward_fuse"
  }
}
