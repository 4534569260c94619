import ModelCore

/// What `reparameterize` did and what it left alone.
public struct ReparameterizationReport: Sendable, Codable {
  /// A block that was left as it is.
  public struct Refusal: Sendable, Codable, Hashable {
    /// The block's dotted path.
    public let name: String
    /// Why, in words.
    public let reason: String
  }

  /// The dotted paths of the blocks whose branches were merged.
  public internal(set) var merged: [String] = []
  /// The blocks that were left as they are, each with its reason.
  public internal(set) var refused: [Refusal] = []

  /// Nothing merged, nothing refused.
  public init() {}
}

extension Module {
  /// Merges the parallel branches of RepVGG-style blocks (YOLOv6's and RepVGG's RepVGGBlock, RepVGGplus', YOLOv6's
  /// QARepVGG, YOLOv7's, YOLOv9's and Ultralytics' RepConv, YOLOv10's RepVGGDW, MobileOne's block, timm's RepVggBlock and
  /// MobileOneBlock) into one convolution each, as their own `switch_to_deploy`, `fuse_repvgg_block`, `fuse_convs`, `fuse`
  /// and `reparameterize` do.
  ///
  /// Each branch is fused with its own batch norm, padded to the largest kernel and added; a batch norm alone is an
  /// identity kernel, an average pool one of equal weights. The sum is taken in float32 and rounded once to the weights'
  /// type. What runs behind the sum stays: QARepVGG's norm, which `fuse` then takes. A block that is not understood stays
  /// and is named in the report.
  /// - Throws: what reading a weight throws; the module is then as it was.
  @discardableResult
  public mutating func reparameterize() throws -> ReparameterizationReport {
    var report = ReparameterizationReport()
    var merged = self
    try merged.updateModules { path, module in
      do {
        guard let block = try BranchedBlock(module) else { return }
        try block.merge(into: &module)
        report.merged.append(path)
      } catch let error as ModelError where error.kind == .unsupported || error.kind == .mismatch {
        report.refused.append(.init(name: path, reason: error.reason))
      }
    }
    self = merged
    return report
  }
}

/// The branches of a block that runs them side by side and adds what they give.
struct BranchedBlock {
  /// A convolution and the batch norm behind it, either alone, an average pool, or the input as it is.
  private struct Branch {
    var conv: Module?
    var bn: Module?
    var pool: Pool?
  }

  private let branches: [Branch]
  /// The children that go: those that hold the branches, and what runs only between them.
  private let removed: [String]
  /// The child that takes their place.
  private let mergedName: String
  /// The method that becomes the forward; nil where the class's forward itself looks for the merged child.
  private let method: String?

  /// How such blocks name their parts.
  private struct Layout {
    var classes: Set<String>
    /// The end of the path of their module, where others' classes of these names compute something else.
    var home: String?
    /// The first, or the first in it where it is a list, has the largest kernel.
    var branches: [String]
    /// Branches that a block may lack.
    var optional: [String] = []
    var merged: String
    var method: String?
    /// What does nothing in evaluation and goes with the branches.
    var idle: [String] = []
    /// Children that run behind the sum; any other but an Identity is not understood.
    var behind: Set<String> = ["nonlinearity", "act"]
    /// Those of them that are squeeze-and-excitation blocks or an Identity.
    var squeezes: Set<String> = ["se", "post_se"]

    func describes(_ module: Module) -> Bool {
      classes.contains(module.className.name) && branches.allSatisfy { module.children[$0] != nil }
        && (home.map { module.className.module.hasSuffix($0) } ?? true)
    }
  }

  private static let layouts = [
    Layout(
      classes: ["RepVGGBlock", "RepVGGplusBlock", "RepConv"], branches: ["rbr_dense", "rbr_1x1"],
      optional: ["rbr_identity"], merged: "rbr_reparam"),
    Layout(
      classes: ["QARepVGGBlock", "QARepVGGBlockV2"], home: "layers.common", branches: ["rbr_dense", "rbr_1x1"],
      optional: ["rbr_identity", "rbr_avg"], merged: "rbr_reparam", behind: ["nonlinearity", "bn"]),
    Layout(
      classes: ["RepConv", "RepConvN"], branches: ["conv1", "conv2"], optional: ["bn"], merged: "conv",
      method: "forward_fuse"),
    Layout(classes: ["RepVGGDW"], branches: ["conv", "conv1"], merged: "conv", method: "forward_fuse"),
    Layout(
      classes: ["RepVggBlock"], branches: ["conv_kxk", "conv_1x1"], optional: ["identity"], merged: "reparam_conv",
      idle: ["drop_path"], behind: ["attn", "act"]),
    Layout(
      classes: ["MobileOneBlock"], branches: ["rbr_conv"], optional: ["rbr_scale", "rbr_skip"], merged: "reparam_conv",
      behind: ["activation"]),
    Layout(
      classes: ["MobileOneBlock"], branches: ["conv_kxk"], optional: ["conv_scale", "identity"], merged: "reparam_conv",
      idle: ["drop_path"], behind: ["attn", "act"]),
  ]

  /// - Returns: nil for a module that is no such block, or that is merged already.
  /// - Throws: `ModelError` with the reason why a block cannot be merged.
  init?(_ module: Module) throws {
    guard let layout = Self.layouts.first(where: { $0.describes(module) }) else { return nil }
    if let forward = module.attributes["forward"], !forward.isEmpty { return nil }
    let names = (layout.branches + layout.optional).filter { module.children[$0] != nil }
    let idle = layout.idle.filter { module.children[$0] != nil }
    for (name, child) in module.children
    where !names.contains(name) && !idle.contains(name) && !layout.behind.contains(name) {
      guard child.layer == .identity || (layout.squeezes.contains(name) && child.className.name == "SEBlock") else {
        throw ModelError(.unsupported, "what its \(name) does between the branches is not known")
      }
    }
    branches = try names.flatMap { name -> [Branch] in
      guard let child = module.children[name], child.layer == .container else {
        return [try Self.branch(module.children[name], name)]
      }
      return try child.children.map { try Self.branch($0.value, "\(name).\($0.key)") }
    }
    removed = names + idle
    (mergedName, method) = (layout.merged, layout.method)
  }

  private static func branch(_ module: Module?, _ name: String) throws -> Branch {
    guard let module else { throw ModelError(.unsupported, "has no \(name)") }
    func requirePlain(_ module: Module) throws {
      // A class of its own may compute more: normalised weights, another padding, an activation.
      let rest = FusionRules.childrenBehindNorm(module).filter { $0.key == "act" && $0.value.layer != .identity }
      guard module.className.isTorchModule || (module.className.inTimm.module == "timm.layers.norm_act" && rest.isEmpty)
      else {
        throw ModelError(.unsupported, "its branch \(name) has a \(module.className.name), which computes more")
      }
    }
    switch module.layer {
    case .batchNorm:
      try requirePlain(module)
      return Branch(bn: module)
    case .convolution:
      try requirePlain(module)
      return Branch(conv: module)
    case .pool(let pool) where pool.kind == .average: return Branch(pool: pool)
    case .identity: return Branch()
    default: break
    }
    var (conv, bn): (Module?, Module?)
    for child in module.children.values {
      switch child.layer {
      case .convolution where conv == nil && bn == nil:
        try requirePlain(child)
        conv = child
      case .batchNorm where bn == nil:
        try requirePlain(child)
        bn = child
      case .identity: break
      default: throw ModelError(.unsupported, "its branch \(name) is no convolution with a batch norm")
      }
    }
    guard let conv else { throw ModelError(.unsupported, "its branch \(name) has no convolution") }
    return Branch(conv: conv, bn: bn)
  }

  // MARK: Merging

  func merge(into module: inout Module) throws {
    guard var conv = branches.first?.conv, case .convolution(let shape) = conv.layer, !shape.isTransposed,
      let weight = conv.parameters["weight"]?.tensor, let expected = shape.weightShape, weight.shape == expected
    else { throw ModelError(.unsupported, "its first branch is no plain convolution") }
    var sum = [Float](repeating: 0, count: weight.count)
    var bias = [Float](repeating: 0, count: shape.outChannels)
    for branch in branches {
      let (kernel, size, shift) = try Self.fused(branch, shape)
      Self.add(kernel, size, to: &sum, shape.kernelSize)
      for channel in bias.indices { bias[channel] += shift[channel] }
    }
    let dtype = weight.dtype
    conv = Module(
      conv.className, layer: conv.layer, isTraining: conv.isTraining, attributes: conv.attributes,
      identity: conv.identity)
    conv.parameters["weight"] = Parameter(try Tensor(sum, expected).converted(to: dtype), requiresGrad: false)
    conv.parameters["bias"] = Parameter(try Tensor(bias).converted(to: dtype), requiresGrad: false)
    for name in removed where name != mergedName { module.children[name] = nil }
    // As long as it has an attribute of that name, Python does not see the child.
    module.attributes[mergedName] = nil
    module.children[mergedName] = conv
    for flag in ["deploy", "inference_mode"] where module.attributes[flag] != nil {
      module.attributes[flag] = .bool(true)
    }
    if let method { module.attributes["forward"] = .boundMethod(method) }
  }

  /// A branch as kernel [out, in/groups, height, width] in row-major order, its size, and a bias [out].
  private static func fused(_ branch: Branch, _ shape: Convolution) throws -> ([Float], [Int], [Float]) {
    guard let conv = branch.conv else {
      guard shape.inChannels == shape.outChannels, shape.stride.allSatisfy({ $0 == 1 }) else {
        throw ModelError(.unsupported, "an identity branch cannot change channels or size")
      }
      return try alone(branch, shape)
    }
    guard case .convolution(let own) = conv.layer, own.rank == 2, !own.isTransposed, own.stride == shape.stride,
      own.groups == shape.groups, own.dilation == shape.dilation, own.inChannels == shape.inChannels,
      own.outChannels == shape.outChannels, own.paddingMode == "zeros", let padding = own.padding,
      let weight = conv.parameters["weight"]?.tensor, weight.shape == own.weightShape
    else { throw ModelError(.unsupported, "its branches differ in stride, groups, dilation or channels") }
    guard fits(own.kernelSize, padding, shape) else {
      throw ModelError(.unsupported, "the paddings of its branches do not fit together")
    }
    return try normalized(weight, conv.parameters["bias"]?.tensor, branch.bn, own.kernelSize)
  }

  /// A branch without a convolution: each channel by itself, or its average.
  private static func alone(_ branch: Branch, _ shape: Convolution) throws -> ([Float], [Int], [Float]) {
    let size = branch.pool?.kernelSize ?? [1, 1]
    if let pool = branch.pool {
      guard pool.stride.allSatisfy({ $0 == 1 }), !pool.ceilMode, pool.countsPadding || pool.padding == [0, 0] else {
        throw ModelError(.unsupported, "its average pool is no convolution")
      }
    }
    guard fits(size, branch.pool?.padding ?? [0, 0], shape) else {
      throw ModelError(.unsupported, "the paddings of its branches do not fit together")
    }
    let area = size[0] * size[1]
    let perGroup = shape.inChannels / max(shape.groups, 1)
    var kernel = [Float](repeating: 0, count: shape.outChannels * perGroup * area)
    for channel in 0..<shape.outChannels {
      let start = (channel * perGroup + channel % perGroup) * area
      for place in start..<start + area { kernel[place] = 1 / Float(branch.pool?.divisor ?? area) }
    }
    return try normalized(Tensor(kernel, [shape.outChannels, perGroup] + size), nil, branch.bn, size)
  }

  /// Whether a smaller kernel, centred in the larger one, sees what it saw alone.
  private static func fits(_ size: [Int], _ padding: [Int], _ shape: Convolution) -> Bool {
    guard shape.rank == 2, let outer = shape.padding, outer.count == 2, padding.count == 2 else { return false }
    return (0..<2).allSatisfy { axis in
      let margin = shape.kernelSize[axis] - size[axis]
      return margin >= 0 && margin % 2 == 0 && (margin == 0 || shape.dilation[axis] == 1)
        && outer[axis] - margin / 2 == padding[axis]
    }
  }

  private static func normalized(
    _ weight: Tensor, _ bias: Tensor?, _ bn: Module?, _ size: [Int]
  ) throws -> ([Float], [Int], [Float]) {
    let weight = try weight.converted(to: .float32)
    guard let bn else {
      return (try weight.floats(), size, try bias?.floats() ?? [Float](repeating: 0, count: weight.shape[0]))
    }
    guard case .batchNorm(let norm) = bn.layer, let mean = bn.buffers["running_mean"],
      let variance = bn.buffers["running_var"], !norm.isAffine || bn.parameters["weight"] != nil
    else { throw ModelError(.unsupported, "a batch norm has no running statistics") }
    let fused = try fuseConvAndBN(
      weight: weight, bias: bias?.converted(to: .float32),
      normalization: BatchNormTensors(
        weight: norm.isAffine ? bn.parameters["weight"]?.tensor : nil,
        bias: norm.isAffine ? bn.parameters["bias"]?.tensor : nil, runningMean: mean, runningVar: variance,
        eps: norm.eps))
    return (try fused.weight.floats(), size, try fused.bias.floats())
  }

  /// Adds kernels of one size to the centre of larger ones.
  private static func add(_ kernel: [Float], _ size: [Int], to sum: inout [Float], _ target: [Int]) {
    let (small, large) = (size[0] * size[1], target[0] * target[1])
    guard small > 0, large > 0 else { return }
    let corner = (target[0] - size[0]) / 2 * target[1] + (target[1] - size[1]) / 2
    for slice in 0..<kernel.count / small {
      for row in 0..<size[0] {
        for column in 0..<size[1] {
          sum[slice * large + corner + row * target[1] + column] += kernel[slice * small + row * size[1] + column]
        }
      }
    }
  }
}
