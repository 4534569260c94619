import ModelCore

/// How a class of blocks names its branches and what stands around them.
struct BranchedBlockLayout {
  var classes: Set<String>
  /// The end of the path of their module, where others' classes of these names compute something else.
  var home: String?
  /// The first, or the first in it where it is a list, has the largest kernel.
  var branches: [String]
  /// Branches that a block may lack.
  var optional: [String] = []
  /// The child that takes their place; nil where a convolution takes the place of the whole block.
  var merged: String?
  var method: String?
  /// What does nothing in evaluation and goes with the branches.
  var idle: [String] = []
  /// A batch norm behind the sum that the method leaves out.
  var norm: String?
  /// Children that run behind the sum; any other but an Identity is not understood.
  var behind: Set<String> = ["nonlinearity", "act"]
  /// The branch that is subtracted, and the child that scales the channels of the difference.
  var difference: (subtracted: String, scale: String)?
  /// Whether the input is added as it is.
  var addsInput = false
  /// Those of them that are squeeze-and-excitation blocks or an Identity.
  var squeezes: Set<String> = ["se", "post_se"]
  static let squeezeClasses: Set<String> = ["SEBlock", "SEModule"]

  func describes(_ module: Module) -> Bool {
    classes.contains(module.className.name) && branches.allSatisfy { module.children[$0] != nil }
      && (home.map { module.className.module.hasSuffix($0) } ?? true)
  }

  static let all = [
    Self(
      classes: ["RepVGGBlock", "RepVGGplusBlock", "RepConv"], branches: ["rbr_dense", "rbr_1x1"],
      optional: ["rbr_identity"], merged: "rbr_reparam"),
    Self(
      classes: ["QARepVGGBlock", "QARepVGGBlockV2"], home: "layers.common", branches: ["rbr_dense", "rbr_1x1"],
      optional: ["rbr_identity", "rbr_avg"], merged: "rbr_reparam", behind: ["nonlinearity", "bn"]),
    Self(
      classes: ["RepConv", "RepConvN"], branches: ["conv1", "conv2"], optional: ["bn"], merged: "conv",
      method: "forward_fuse"),
    Self(
      classes: ["Conv2"], home: "nn.modules.conv", branches: ["conv", "cv2"], merged: "conv", method: "forward_fuse",
      norm: "bn"),
    Self(classes: ["RepVGGDW"], branches: ["conv", "conv1"], merged: "conv", method: "forward_fuse"),
    Self(
      classes: ["RepVggBlock"], branches: ["conv_kxk", "conv_1x1"], optional: ["identity"], merged: "reparam_conv",
      idle: ["drop_path"], behind: ["attn", "act"]),
    Self(
      classes: ["MobileOneBlock"], branches: ["rbr_conv"], optional: ["rbr_scale", "rbr_skip"], merged: "reparam_conv",
      behind: ["activation"]),
    Self(
      classes: ["MobileOneBlock"], branches: ["conv_kxk"], optional: ["conv_scale", "identity"], merged: "reparam_conv",
      idle: ["drop_path"], behind: ["attn", "act"]),
    Self(
      classes: ["ReparamLargeKernelConv"], home: "models.fastvit", branches: ["large_conv"], optional: ["small_conv"],
      merged: "reparam_conv"),
    Self(
      classes: ["RepMixer"], home: "models.fastvit", branches: ["mixer", "norm"], merged: "reparam_conv",
      idle: ["layer_scale"], difference: ("norm", "layer_scale"), addsInput: true),
    Self(
      classes: ["RepConditionalPosEnc"], home: "models.fastvit", branches: ["pos_enc"], merged: "reparam_conv",
      addsInput: true),
    Self(classes: ["RepVggDw"], home: "models.repvit", branches: ["conv", "conv1"], norm: "bn", addsInput: true),
  ]

  /// Whether a module of another class has branches, by how the originals name them or what they keep a place for.
  static func looksBranched(_ module: Module) -> Bool {
    let merged = ["reparam_conv", "rbr_reparam", "lkb_reparam"]
    guard !merged.contains(where: { module.children[$0] != nil }) else { return false }
    return module.children.keys.contains { $0.hasPrefix("rbr_") || $0 == "lkb_origin" }
      || merged.contains { module.attributes[$0] == Attribute.none }
      || otherBlocks.contains(module.className.name)
  }

  private static let otherBlocks: Set<String> = [
    "RepVggDw", "RepGhostModule", "DiverseBranchBlock", "RepMixer", "RepConditionalPosEnc", "LinearAddBlock",
  ]
}
