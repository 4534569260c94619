import ModelArchitectures
import ModelCore

/// What stands in the place of a batch norm that was fused.
enum FusionReplacement: Equatable {
  /// `torch.nn.Identity`, so that the class's unmodified forward still runs; or what a norm of timm's runs behind
  /// itself.
  case identity
  /// Nothing: the class has a method for the fused state, which takes the place of its forward.
  case method(String)
}

/// What fusing knows of classes beyond their forwards.
enum FusionRules {
  /// Blocks of parallel branches, which re-parameterisation merges as a whole.
  private static let branched: Set<String> = [
    "RepConv", "RepConvN", "RepVGGBlock", "RepVGGplusBlock", "RepVGGDW", "Conv2", "QARepVGGBlock", "QARepVGGBlockV2",
  ]

  private static let branchedInTimm: Set<ClassName> = [
    ClassName("timm.models.byobnet", "RepVggBlock"), ClassName("timm.models.byobnet", "MobileOneBlock"),
  ]

  /// Why nothing inside a module is fused, pairs or not.
  static func exemption(of module: Module) -> String? {
    let isBranched =
      branched.contains(module.className.name) || branchedInTimm.contains(module.className)
      || (module.className.name == "MobileOneBlock" && module.children["rbr_conv"] != nil)
    // What is merged may have a norm behind it.
    return isBranched && module.children["rbr_reparam"] == nil
      ? "the branches of a \(module.className.name) are merged by re-parameterisation, not one by one" : nil
  }

  /// The children that a batch norm runs behind itself, in order.
  static func childrenBehindNorm(_ norm: Module) -> OrderedDictionary<String, Module> {
    guard norm.className.inTimm.module == "timm.layers.norm_act" else { return [:] }
    return OrderedDictionary(
      uniqueKeysWithValues: ["drop", "act"].compactMap { name in norm.children[name].map { (name, $0) } })
  }

  /// Classes whose method for the fused state leaves several batch norms out, with the convolution before each: it takes
  /// the place of the forward where all of them are fused.
  private static let pairsOfMethods = ["DPBlock": ["bn_1": "conv_dw_1", "bn_2": "conv_pw_1"]]

  /// Whether all batch norms that the method of a class leaves out are among those that are fused.
  static func isWhole(_ parent: Module, fusing names: Set<String>) -> Bool {
    pairsOfMethods[parent.className.name].map { names.isSuperset(of: $0.keys) } ?? true
  }

  /// What takes the place of the batch norm of a pair that stands in `parent`.
  static func replacement(in parent: Module, conv: String, bn: String, root: Module) -> FusionReplacement {
    if let pairs = pairsOfMethods[parent.className.name], pairs[bn] == conv,
      Forward.isKnown("forward_fuse", of: parent.className)
    {
      return .method("forward_fuse")
    }
    guard bn == "bn", conv == "conv" || conv == "conv_transpose" else { return .identity }
    // YOLOX's classes have YOLOv7's method alone.
    let methods = [fusedForward(of: root), "fuseforward"]
    return methods.first { Forward.isKnown($0, of: parent.className) }.map { .method($0) } ?? .identity
  }

  /// YOLOv7 keeps YOLOv5's class names but calls the method otherwise; its models alone have the attribute `traced`.
  private static func fusedForward(of root: Module) -> String {
    root.className.hasSuffix("models.yolo.Model") && root.attributes["traced"] != nil ? "fuseforward" : "forward_fuse"
  }
}
