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
  /// - Parameter fusedForward: as `fusedForward(of:)` gives it.
  static func replacement(in parent: Module, conv: String, bn: String, fusedForward: String) -> FusionReplacement {
    if let pairs = pairsOfMethods[parent.className.name], pairs[bn] == conv,
      Forward.isKnown("forward_fuse", of: parent.className)
    {
      return .method("forward_fuse")
    }
    guard bn == "bn", conv == "conv" || conv == "conv_transpose" else { return .identity }
    // YOLOX's classes have the older method alone.
    let methods = [fusedForward, "fuseforward"]
    return methods.first { Forward.isKnown($0, of: parent.className) }.map { .method($0) } ?? .identity
  }

  /// The method that is the fused forward in the code that made a model.
  ///
  /// YOLOv5 calls it `forward_fuse` since 6.0; before, and in what was made of those releases (YOLOv7, yolov5-face,
  /// YOLOv5-Lite), it is `fuseforward`. The attribute `inplace` of the model and its head is almost as old as the newer
  /// name. A part that holds neither model nor head is taken for a newer one.
  static func fusedForward(of root: Module) -> String {
    var isOlder: Bool?
    root.visitModules { module in
      let name = module.className
      guard isOlder == nil, name.name == "Model" || name.name.hasSuffix("Detect"),
        ClassName("", name.module).hasSuffix("models.yolo")
      else { return }
      isOlder = module.attributes["traced"] != nil || module.attributes["inplace"] == nil
    }
    return isOlder == true ? "fuseforward" : "forward_fuse"
  }
}
