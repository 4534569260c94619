import ModelCore

/// The branches of a block that runs them side by side and adds what they give.
struct BranchedBlock {
  private let branches: [BlockBranch]
  /// The children that go: those that hold the branches, and what runs only between them.
  private let removed: [String]
  /// The child that takes their place; nil where a convolution takes the place of the whole block.
  private let mergedName: String?
  /// The method that becomes the forward; nil where the class's forward itself looks for the merged child.
  private let method: String?
  /// A batch norm behind the sum, which the merged convolution takes in.
  private let norm: Module?

  /// - Returns: nil for a module that is no such block, or that is merged already.
  /// - Throws: `ModelError` with the reason why a block cannot be merged.
  init?(_ module: Module) throws {
    // With a method for its forward it is merged already.
    if case .boundMethod = module.attributes["forward"] { return nil }
    guard let layout = BranchedBlockLayout.all.first(where: { $0.describes(module) }) else {
      guard BranchedBlockLayout.looksBranched(module) else { return nil }
      throw ModelError(.unsupported, "how a \(module.className) adds its branches is not known")
    }
    if let forward = module.attributes["forward"], !forward.isEmpty {
      throw ModelError(.unsupported, "it has a replaced forward")
    }
    let names = (layout.branches + layout.optional).filter { module.children[$0] != nil }
    let idle = layout.idle.filter { module.children[$0] != nil }
    for (name, child) in module.children
    where !names.contains(name) && !idle.contains(name) && !layout.behind.contains(name) && name != layout.norm {
      guard
        child.layer == .identity
          || (layout.squeezes.contains(name) && BranchedBlockLayout.squeezeClasses.contains(child.className.name))
      else {
        throw ModelError(.unsupported, "what its \(name) does between the branches is not known")
      }
    }
    let scale = try layout.difference.flatMap { module.children[$0.scale] }.flatMap(Self.factors)
    branches =
      try names.flatMap { name in
        let isSubtracted = layout.difference?.subtracted == name
        return try Self.branches(module.children[name], name).map { branch in
          guard scale != nil || isSubtracted else { return branch }
          var branch = branch
          branch.factor = .init(sign: isSubtracted ? -1 : 1, channels: scale)
          return branch
        }
      } + (layout.addsInput ? [BlockBranch()] : [])
    norm = layout.norm.flatMap { module.children[$0] }.flatMap { $0.layer == .identity ? nil : $0 }
    if let norm, let name = layout.norm { try Self.requirePlain(norm, name) }
    removed = names + idle + (layout.norm.map { [$0] } ?? [])
    (mergedName, method) = (layout.merged, layout.method)
  }

  private static func requirePlain(_ module: Module, _ name: String) throws {
    // A class of its own may compute more: normalised weights, another padding, an activation.
    let rest = FusionRules.childrenBehindNorm(module).filter { $0.key == "act" && $0.value.layer != .identity }
    guard module.className.isTorchModule || (module.className.inTimm.module == "timm.layers.norm_act" && rest.isEmpty)
    else {
      throw ModelError(.unsupported, "its branch \(name) has a \(module.className.name), which computes more")
    }
    if let intervention = module.intervention {
      throw ModelError(.unsupported, "its \(name) has \(intervention)")
    }
  }

  /// The branches in a child: of a list each, of a block in the block its own.
  private static func branches(_ child: Module?, _ name: String) throws -> [BlockBranch] {
    guard let child else { return [] }
    if child.className.name == "MobileOneBlock" { return try branches(ofBlock: child, name) }
    guard child.layer == .container else { return [try branch(child, name)] }
    return try child.children.map { try branch($0.value, "\(name).\($0.key)") }
  }

  private static func branches(ofBlock block: Module, _ name: String) throws -> [BlockBranch] {
    let parts = ["conv_kxk", "conv_scale", "identity"]
    for (part, child) in block.children where !parts.contains(part) && child.layer != .identity {
      throw ModelError(.unsupported, "its \(name) has a \(part)")
    }
    if let intervention = block.intervention { throw ModelError(.unsupported, "its \(name) has \(intervention)") }
    return try parts.flatMap { try branches(block.children[$0], "\(name).\($0)") }
  }

  /// The factors of a layer scale; nil for an Identity.
  private static func factors(_ scale: Module) throws -> [Float]? {
    if scale.layer == .identity { return nil }
    guard let gamma = scale.parameters["gamma"]?.tensor else {
      throw ModelError(.unsupported, "what its layer_scale does is not known")
    }
    return try gamma.floats()
  }

  private static func branch(_ module: Module?, _ name: String) throws -> BlockBranch {
    guard let module else { throw ModelError(.unsupported, "has no \(name)") }
    switch module.layer {
    case .batchNorm:
      try requirePlain(module, name)
      return BlockBranch(bn: module)
    case .convolution:
      try requirePlain(module, name)
      return BlockBranch(conv: module)
    case .pool(let pool) where pool.kind == .average: return BlockBranch(pool: pool)
    case .identity: return BlockBranch()
    default: break
    }
    if let intervention = module.intervention { throw ModelError(.unsupported, "its \(name) has \(intervention)") }
    var (conv, bn): (Module?, Module?)
    for child in module.children.values {
      switch child.layer {
      case .convolution where conv == nil && bn == nil:
        try requirePlain(child, name)
        conv = child
      case .batchNorm where bn == nil:
        try requirePlain(child, name)
        bn = child
      case .identity: break
      default: throw ModelError(.unsupported, "its branch \(name) is no convolution with a batch norm")
      }
    }
    guard let conv else { throw ModelError(.unsupported, "its branch \(name) has no convolution") }
    return BlockBranch(conv: conv, bn: bn)
  }

  // MARK: Merging

  func merge(into module: inout Module) throws {
    guard var conv = branches.first?.conv, case .convolution(let shape) = conv.layer, !shape.isTransposed,
      let weight = conv.parameters["weight"]?.tensor, let expected = shape.weightShape, weight.shape == expected
    else { throw ModelError(.unsupported, "its first branch is no plain convolution") }
    var sum = [Float](repeating: 0, count: weight.count)
    var bias = [Float](repeating: 0, count: shape.outChannels)
    for branch in branches {
      let (kernel, size, shift) = try branch.kernel(in: shape)
      BlockBranch.add(kernel, size, to: &sum, shape.kernelSize)
      for channel in bias.indices { bias[channel] += shift[channel] }
    }
    if let norm {
      let sums = (try Tensor(sum, expected), try Tensor(bias))
      (sum, _, bias) = try BlockBranch.normalized(sums.0, sums.1, norm, shape.kernelSize)
    }
    let dtype = weight.dtype
    conv = Module(
      conv.className, layer: conv.layer, isTraining: conv.isTraining, attributes: conv.attributes,
      identity: conv.identity)
    conv.parameters["weight"] = Parameter(try Tensor(sum, expected).converted(to: dtype), requiresGrad: false)
    conv.parameters["bias"] = Parameter(try Tensor(bias).converted(to: dtype), requiresGrad: false)
    guard let mergedName else {
      module = conv
      return
    }
    for name in removed where name != mergedName { module.children[name] = nil }
    // As long as it has an attribute of that name, Python does not see the child.
    module.attributes[mergedName] = nil
    module.children[mergedName] = conv
    for flag in ["deploy", "inference_mode"] where module.attributes[flag] != nil {
      module.attributes[flag] = .bool(true)
    }
    if let method { module.attributes["forward"] = .boundMethod(method) }
  }
}
