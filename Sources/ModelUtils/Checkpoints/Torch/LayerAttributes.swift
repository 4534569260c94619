import ModelCore

/// The attributes in which PyTorch's classes keep what a `Layer` says: the way back of `LayerRecognition`.
enum LayerAttributes {
  /// A module's attributes, made to say what its layer says.
  ///
  /// What they say already stays in the form that it has (a kernel may be `3` or `(3, 3)`).
  /// - Parameters:
  ///   - original: the module as the file has it, nil for one that the file does not have. While the layer is the
  ///     original's, changed attributes count and not the layer.
  /// - Throws: `ModelError` where the module's class has no attributes for it, or where the attributes were changed to
  ///   say something else.
  static func attributes(of module: Module, original: Module?) throws -> OrderedDictionary<String, Attribute> {
    var updated = module
    let isNew = original?.className != module.className
    if isNew { updated.fillDefaults() }
    let isUnchanged = original.map { isSame($0.layer, module.layer) } ?? (module.layer == .opaque)
    let told = LayerRecognition.layer(of: updated)
    if isUnchanged || (told == module.layer && !isNew) { return updated.attributes }
    let old = table(told)
    for (name, value) in table(module.layer)
    where old[name] != value || (isNew && updated.attributes[name] == nil) {
      let known = updated.attributes[name]
      // Defaults and what the file says give way; what somebody set does not.
      guard known == nil || known == value || original.map({ $0.attributes[name] == known }) ?? isDefault(name, module)
      else {
        throw ModelError(.mismatch, "its attribute '\(name)' and its layer say different things")
      }
      updated.attributes[name] = value
    }
    guard LayerRecognition.layer(of: updated) == module.layer, fits(module) else {
      throw ModelError(
        .unsupported,
        "a \(module.className) has no attributes for its layer, \(describe(module.layer))",
        advice: "change className too, to a class that computes this layer")
    }
    return updated.attributes
  }

  private static func isDefault(_ name: String, _ module: Module) -> Bool { module.attributes[name] == nil }

  /// Equal, NaN included.
  static func isSame(_ a: Layer, _ b: Layer) -> Bool { a == b || String(reflecting: a) == String(reflecting: b) }

  /// Equal, NaN included; tensors are when they are the same view of the same memory.
  static func isSame(_ a: Attribute, _ b: Attribute) -> Bool {
    if a == b { return true }
    switch (a, b) {
    case (.double(let a), .double(let b)): return a.isNaN && b.isNaN
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)), (.set(let a), .set(let b)),
      (.frozenSet(let a), .frozenSet(let b)):
      return a.count == b.count && zip(a, b).allSatisfy { isSame($0, $1) }
    case (.dict(let a), .dict(let b)), (.orderedDict(let a), .orderedDict(let b)):
      return a.count == b.count && zip(a, b).allSatisfy { isSame($0.key, $1.key) && isSame($0.value, $1.value) }
    default: return false
    }
  }

  private static func describe(_ layer: Layer) -> String { "\(layer)".replacingModulePrefixes().printable(limit: 120) }

  /// Whether the number of axes and the direction of a convolution are those in the name of PyTorch's class.
  private static func fits(_ module: Module) -> Bool {
    guard case .convolution(let convolution) = module.layer, module.className.module == "torch.nn.modules.conv" else {
      return true
    }
    return module.className.name.hasSuffix("Conv\(convolution.isTransposed ? "Transpose" : "")\(convolution.rank)d")
  }

  // MARK: The table

  private typealias Table = OrderedDictionary<String, Attribute>

  private static func table(_ layer: Layer) -> Table {
    switch layer {
    case .convolution(let layer): return convolution(layer)
    case .batchNorm(let norm) where norm.isFrozen: return ["eps": .double(norm.eps)]
    case .batchNorm(let norm):
      return [
        "num_features": .int(norm.features), "eps": .double(norm.eps),
        "momentum": norm.momentum.map { .double($0) } ?? .none, "affine": .bool(norm.isAffine),
        "track_running_stats": .bool(norm.tracksRunningStatistics),
      ]
    case .linear(let layer): return ["in_features": .int(layer.inFeatures), "out_features": .int(layer.outFeatures)]
    case .layerNorm(let norm):
      return [
        "normalized_shape": ints(norm.normalizedShape), "eps": .double(norm.eps),
        "elementwise_affine": .bool(norm.isAffine),
      ]
    case .groupNorm(let norm):
      return [
        "num_groups": .int(norm.groups), "num_channels": .int(norm.channels), "eps": .double(norm.eps),
        "affine": .bool(norm.isAffine),
      ]
    case .activation(let activation):
      return activation.kind.mayBeInPlace ? ["inplace": .bool(activation.isInPlace)] : [:]
    case .softmax(let softmax):
      return softmax.kind == .softmax2d ? [:] : ["dim": softmax.axis.map { .int($0) } ?? .none]
    case .multiheadAttention(let attention): return self.attention(attention)
    case .pool(let pool): return self.pool(pool)
    case .adaptivePool(let pool):
      return ["output_size": .tuple(pool.outputSize.map { $0.map { .int($0) } ?? .none })]
    case .upsample(let upsample): return self.upsample(upsample)
    case .pad(let padding): return ["padding": ints(padding.amounts)]
    case .flatten(let flatten): return ["start_dim": .int(flatten.start), "end_dim": .int(flatten.end)]
    case .pixelShuffle(let shuffle):
      return [shuffle.isInverse ? "downscale_factor" : "upscale_factor": .int(shuffle.factor)]
    case .instanceNorm(let norm): return FurtherLayers.attributes(of: norm)
    case .rmsNorm(let norm): return FurtherLayers.attributes(of: norm)
    case .localResponseNorm(let norm): return FurtherLayers.attributes(of: norm)
    case .glu(let axis): return ["dim": .int(axis)]
    case .recurrent(let recurrent): return FurtherLayers.attributes(of: recurrent)
    case .recurrentCell(let cell): return FurtherLayers.attributes(of: cell)
    case .powerPool(let pool): return FurtherLayers.attributes(of: pool)
    case .unflatten(let unflatten): return ["dim": .int(unflatten.axis), "unflattened_size": ints(unflatten.sizes)]
    case .channelShuffle(let groups): return ["groups": .int(groups)]
    case .unfold(let unfold): return FurtherLayers.attributes(of: unfold)
    case .embedding(let embedding): return FurtherLayers.attributes(of: embedding)
    case .bilinear(let bilinear): return FurtherLayers.attributes(of: bilinear)
    case .dropout, .identity, .sequential, .container, .opaque: return [:]
    }
  }

  private static func ints(_ values: [Int]) -> Attribute { .tuple(values.map { .int($0) }) }

  private static func convolution(_ layer: Convolution) -> Table {
    [
      "in_channels": .int(layer.inChannels), "out_channels": .int(layer.outChannels),
      "kernel_size": ints(layer.kernelSize), "stride": ints(layer.stride),
      "padding": layer.padding.map(ints) ?? .string("same"), "dilation": ints(layer.dilation),
      "transposed": .bool(layer.isTransposed), "output_padding": ints(layer.outputPadding),
      "groups": .int(layer.groups), "padding_mode": .string(layer.paddingMode),
      "_reversed_padding_repeated_twice": reversedPadding(layer),
    ]
  }

  /// What a convolution hands to the pad before it: before and after, the last axis first. To keep the size, the odd
  /// one comes after.
  private static func reversedPadding(_ layer: Convolution) -> Attribute {
    if let padding = layer.padding { return ints(padding.reversed().flatMap { [$0, $0] }) }
    return .list(
      zip(layer.dilation, layer.kernelSize).reversed().flatMap { dilation, kernel -> [Attribute] in
        let total = max(0, dilation.multipliedReportingOverflow(by: max(kernel, 1) - 1).partialValue)
        return [.int(total / 2), .int(total - total / 2)]
      })
  }

  private static func attention(_ layer: MultiheadAttention) -> Table {
    [
      "embed_dim": .int(layer.embeddingSize), "kdim": .int(layer.keySize), "vdim": .int(layer.valueSize),
      "_qkv_same_embed_dim": .bool(layer.keySize == layer.embeddingSize && layer.valueSize == layer.embeddingSize),
      "num_heads": .int(layer.heads), "batch_first": .bool(layer.isBatchFirst),
      "head_dim": .int(layer.embeddingSize / max(layer.heads, 1)),
    ]
  }

  private static func pool(_ pool: Pool) -> Table {
    // One number for all axes where it is one, as the constructors mostly are given it.
    func sizes(_ values: [Int]) -> Attribute {
      values.count > 1 && values.allSatisfy { $0 == values[0] } ? .int(values[0]) : ints(values)
    }
    var table: Table = [
      "kernel_size": sizes(pool.kernelSize), "stride": sizes(pool.stride), "padding": sizes(pool.padding),
    ]
    if pool.kind == .max { table["dilation"] = sizes(pool.dilation) }
    table["ceil_mode"] = .bool(pool.ceilMode)
    if pool.kind == .average { table["count_include_pad"] = .bool(pool.countsPadding) }
    return table
  }

  private static func upsample(_ upsample: Upsample) -> Table {
    var table: Table
    switch upsample.target {
    case .size(let size): table = ["size": size.count == 1 ? .int(size[0]) : ints(size), "scale_factor": .none]
    case .scale(let factors):
      let values = factors.map { Attribute.double($0) }
      table = ["size": .none, "scale_factor": values.count == 1 ? values[0] : .tuple(values)]
    }
    table["mode"] = .string(upsample.mode)
    // PyTorch refuses a value with these.
    if upsample.mode.hasPrefix("nearest") { table["align_corners"] = Attribute.none }
    return table
  }
}

extension Activation.Kind {
  /// Whether PyTorch's class has `inplace`.
  fileprivate var mayBeInPlace: Bool {
    switch self {
    case .celu, .elu, .hardsigmoid, .hardswish, .hardtanh, .leakyReLU, .mish, .relu, .relu6, .rrelu, .selu, .silu,
      .threshold:
      true
    case .gelu, .hardshrink, .logSigmoid, .prelu, .sigmoid, .softplus, .softshrink, .softsign, .tanh, .tanhshrink: false
    }
  }
}

extension String {
  /// A value as Swift prints it, without the names of modules.
  fileprivate func replacingModulePrefixes() -> String {
    var text = self
    while let range = text.firstRange(of: "ModelCore.") { text.removeSubrange(range) }
    return text
  }
}
