import ModelCore

/// timm's layers that keep what a layer of PyTorch keeps, in attributes of the same names.
///
/// What they compute beyond that (an activation behind a norm) stands in children.
enum TimmClasses {
  enum Kind {
    case batchNorm(rank: Int?)
    case groupNorm
    case layerNorm(isChannelsFirst: Bool)
    case linear
    case prelu
  }

  static func kind(of name: ClassName) -> Kind? { name.module.hasPrefix("timm.") ? table[name.inTimm] : nil }

  /// Attributes beside those that a `Layer` tells, as the constructors set them unless asked otherwise.
  static func defaults(of name: ClassName) -> OrderedDictionary<String, Attribute> {
    switch kind(of: name) {
    case .groupNorm, .layerNorm: hasFastForm(name) ? ["_fast_norm": .bool(false)] : [:]
    case .prelu: ClassDefaults.table["PReLU"] ?? [:]
    case .batchNorm(rank: nil): ClassDefaults.table["SyncBatchNorm"] ?? [:]
    case .batchNorm, .linear, nil: [:]
    }
  }

  /// Whether a norm may also run in the precision that comes.
  private static func hasFastForm(_ name: ClassName) -> Bool {
    !name.name.hasSuffix("Fp32") && name.name != "LayerNormExp2d"
  }

  private static let table: [ClassName: Kind] = {
    var table: [ClassName: Kind] = [
      ClassName("timm.layers.linear", "Linear"): .linear, ClassName("timm.layers.activations", "PReLU"): .prelu,
    ]
    func add(_ file: String, _ names: String, _ kind: Kind) {
      for name in names.split(separator: " ") { table[ClassName("timm.layers.\(file)", String(name))] = kind }
    }
    add("norm_act", "BatchNormAct2d", .batchNorm(rank: 2))
    add("norm_act", "SyncBatchNormAct", .batchNorm(rank: nil))
    add("norm_act", "GroupNormAct GroupNorm1Act", .groupNorm)
    add("norm_act", "LayerNormAct LayerNormActFp32", .layerNorm(isChannelsFirst: false))
    add("norm_act", "LayerNormAct2d LayerNormAct2dFp32", .layerNorm(isChannelsFirst: true))
    add("norm", "GroupNorm GroupNorm1", .groupNorm)
    add("norm", "LayerNorm LayerNormFp32", .layerNorm(isChannelsFirst: false))
    add("norm", "LayerNorm2d LayerNorm2dFp32 LayerNormExp2d", .layerNorm(isChannelsFirst: true))
    return table
  }()
}
