import ModelCore

/// A block of parallel branches in a bare state dict.
struct NamedBlock {
  let path: String
  private let kind: Kind
  /// The branches' tensors by their full names.
  private(set) var entries: OrderedDictionary<String, Tensor> = [:]
  /// Other entries that stand directly in the block.
  private var others: Set<String> = []

  /// How a class names its branches.
  private struct Kind {
    /// The beginning of an entry's name in every such block.
    var main: String
    var branches: [String]
    var merged = "reparam_conv"
    var className: ClassName
    /// Whether the input is added as it is.
    var addsInput = false

    init(
      _ main: String, _ branches: [String], _ className: String, merged: String = "reparam_conv",
      addsInput: Bool = false
    ) {
      (self.main, self.branches, self.merged, self.addsInput) = (main, branches, merged, addsInput)
      self.className = ClassName("timm.models.fastvit", className)
    }
  }

  /// What another is a part of stands before it.
  private static let kinds = [
    Kind("rbr_dense", ["rbr_dense", "rbr_1x1", "rbr_identity"], "RepVGGBlock", merged: "rbr_reparam"),
    Kind("rbr_conv", ["rbr_conv", "rbr_scale", "rbr_skip"], "MobileOneBlock"),
    Kind("mixer.conv_kxk", ["mixer", "norm", "layer_scale"], "RepMixer", addsInput: true),
    Kind("conv_kxk.conv", ["conv_kxk", "conv_1x1", "identity"], "RepVggBlock"),
    Kind("conv_kxk", ["conv_kxk", "conv_scale", "identity"], "MobileOneBlock"),
    Kind("large_conv", ["large_conv", "small_conv"], "ReparamLargeKernelConv"),
    Kind("pos_enc", ["pos_enc"], "RepConditionalPosEnc", addsInput: true),
  ]

  private init(path: String, kind: Kind) { (self.path, self.kind) = (path, kind) }

  /// The modules that its entries are of.
  var layers: [String] { entries.keys.map { $0.split(separator: ".").dropLast().joined(separator: ".") } }

  var mergedPath: String { dotted(path, kind.merged) }

  /// The blocks of a state dict in its order.
  static func all(in state: StateDict) -> [NamedBlock] {
    var blocks: OrderedDictionary<String, NamedBlock> = [:]
    var ranks: [String: Int] = [:]
    for name in state.names {
      for (rank, kind) in kinds.enumerated() {
        guard let path = path(before: kind.main, in: name) else { continue }
        // Which entry of a block comes first is no matter: the first kind that any of them tells of is meant.
        if rank < ranks[path, default: kinds.count] {
          ranks[path] = rank
          blocks[path] = NamedBlock(path: path, kind: kind)
        }
        break
      }
    }
    // Others than FastViT have positions and call them so.
    if !blocks.values.contains(where: { $0.kind.main == "mixer.conv_kxk" }) {
      blocks.removeAll { $0.value.kind.main == "pos_enc" }
    }
    guard !blocks.isEmpty else { return [] }
    let branches = Set(kinds.flatMap(\.branches))
    let others = Set(kinds.map(\.merged) + ["bn"])
    for (name, tensor) in state.tensors {
      for branch in branches.union(others) {
        guard let path = path(before: branch, in: name), let block = blocks[path] else { continue }
        if block.kind.branches.contains(branch) { blocks[path]?.entries[name] = tensor }
        if others.contains(branch) { blocks[path]?.others.insert(branch) }
      }
    }
    return Array(blocks.values)
  }

  /// An entry of a block whose branches are merged already; nil where there is none.
  static func mergedEntry(in state: StateDict) -> String? {
    state.names.first { name in kinds.contains { path(before: $0.merged, in: name) != nil } }
  }

  /// The path of the block that an entry belongs to, where it is of a branch of that name.
  private static func path(before branch: String, in name: String) -> String? {
    if name.hasPrefix("\(branch).") { return "" }
    guard let place = name.ranges(of: ".\(branch).").last else { return nil }
    return String(name[..<place.lowerBound])
  }

  /// The merged convolution's weight and bias.
  /// - Throws: `ModelError` for branches that are not all there or do not fit together.
  func merged(eps: Double) throws -> (weight: Tensor, bias: Tensor) {
    if others.contains("bn") {
      throw ModelError(
        .unsupported, "it has a batch norm behind its branches, as QARepVGG's, whose identity is in no state dict")
    }
    if others.contains(kind.merged) { throw ModelError(.unsupported, "it has a \(kind.merged) as well") }
    var tree = NamedTree()
    for (name, tensor) in entries {
      let own = path.isEmpty ? name[...] : name.dropFirst(path.count + 1)
      let parts = own.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      guard (2...5).contains(parts.count) else {
        throw ModelError(.unsupported, "its entry \(own) is of no branch that is known")
      }
      tree.insert(tensor, at: parts[...])
    }
    let weight = kind.addsInput ? entries.first { $0.value.shape.count == 4 }?.value : nil
    let features = weight?.shape[0] ?? tree.children.values.lazy.compactMap { $0.tensors["running_var"]?.count }.first
    var module = try tree.module(kind.className, eps: eps, identityFeatures: features)
    guard let block = try BranchedBlock(module) else {
      throw ModelError(.unsupported, "its branches are not those of a block that is known")
    }
    try block.merge(into: &module)
    guard let conv = module.children[kind.merged], let weight = conv.parameters["weight"]?.tensor,
      let bias = conv.parameters["bias"]?.tensor
    else { throw ModelError(.unsupported, "its branches give no convolution") }
    return (weight, bias)
  }
}
