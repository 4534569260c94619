import ModelCore
import ModelGraph

/// PyTorch's own layers as operations.
extension ForwardCall {
  /// What a layer computes, with the module's weights and the numbers among its attributes.
  /// - Throws: `ModelError` for what the layer needs and the module lacks, and for containers and unknown classes.
  public func compute(_ layer: Layer, _ inputs: [Value]) throws -> [Value] {
    switch layer {
    case .multiheadAttention(let attention): return [try self.attention(attention, inputs)]
    case .recurrent(let recurrent): return try self.recurrent(recurrent, inputs)
    case .recurrentCell(let cell): return try recurrentCell(cell, inputs)
    case .bilinear(let bilinear): return [try self.bilinear(bilinear, inputs)]
    default: break
    }
    let x = try only(inputs)
    switch layer {
    case .convolution(let convolution): return [try self.convolution(convolution, x)]
    case .batchNorm(let norm): return [try batchNorm(norm, x)]
    case .linear: return [try emit(.linear, [x, weight("weight")] + optional("bias"))]
    case .layerNorm(let norm): return [try layerNorm(norm, x)]
    case .groupNorm(let norm):
      return [try emit(.groupNorm(groups: norm.groups, eps: norm.eps), [x] + optional("weight", "bias"))]
    case .activation(let activation): return [try activate(activation.kind, x)]
    case .softmax(let softmax): return [try self.softmax(softmax, x)]
    case .multiheadAttention, .recurrent, .recurrentCell, .bilinear: return []
    case .dropout: return [try dropout(x)]
    case .pool(var pool):
      if isTrue("return_indices") { throw missing("return_indices") }
      pool.divisor = module.attributes["divisor_override"]?.intValue
      return [try emit(.pool(pool), x)]
    case .adaptivePool(let pool):
      if isTrue("return_indices") { throw missing("return_indices") }
      return [try emit(.adaptivePool(pool), x)]
    case .upsample(let upsample): return [try emit(.resize(resize(upsample)), x)]
    case .pad(let padding): return [try pad(padding, x)]
    case .flatten(let flatten): return [try emit(.flatten(flatten), x)]
    case .pixelShuffle(let shuffle): return [try emit(.pixelShuffle(shuffle), x)]
    case .instanceNorm(let norm): return [try instanceNorm(norm, x)]
    case .rmsNorm(let norm):
      return [try emit(.rmsNorm(axes: norm.normalizedShape.count, eps: norm.eps), [x] + optional("weight"))]
    case .localResponseNorm(let norm): return [try localResponseNorm(norm, x)]
    case .glu(let axis): return [try glu(x, axis: axis)]
    case .powerPool(let pool): return [try powerPool(pool, x)]
    case .unflatten(let unflatten): return [try self.unflatten(unflatten, x)]
    case .channelShuffle(let groups): return [try channelShuffle(x, groups: groups)]
    case .unfold(let unfold): return [try self.unfold(unfold, x)]
    case .embedding(let embedding): return [try embed(embedding, x)]
    case .identity: return [x]
    case .sequential, .container, .opaque:
      throw ModelError(.unsupported, "the forward of \(module.className) is not known", subject: path)
    }
  }

  /// The weights of these names that the module has.
  func optional(_ names: String...) -> [Value] { names.compactMap { optionalWeight($0) } }

  // MARK: Products and normalisation

  /// - Parameter weight: another weight than the module's, such as a standardised one.
  func convolution(_ convolution: Convolution, _ x: Value, weight: Value? = nil) throws -> Value {
    let rank = convolution.rank
    guard convolution.dilation.count == rank, convolution.padding.map({ $0.count == rank }) ?? true,
      convolution.dilation.allSatisfy({ (1...1 << 20).contains($0) }),
      convolution.kernelSize.allSatisfy({ (1...1 << 20).contains($0) })
    else { throw ModelError(.malformed, "its configuration is no valid one", subject: path) }
    // The textual padding `same`: what is odd goes to the end.
    var margins =
      convolution.padding?.map { Margin($0) }
      ?? zip(convolution.dilation, convolution.kernelSize).map { dilation, kernel in
        let total = dilation * (kernel - 1)
        return Margin(total / 2, total - total / 2)
      }
    var x = x
    if let mode = try padMode(convolution.paddingMode) {
      x = try emit(.pad([Margin(0), Margin(0)] + margins, mode), x)
      margins = margins.map { _ in Margin(0) }
    }
    let geometry = ConvolutionGeometry(
      stride: convolution.stride, padding: margins, dilation: convolution.dilation, groups: convolution.groups,
      isTransposed: convolution.isTransposed, outputPadding: convolution.outputPadding)
    return try emit(.convolution(geometry), [x, weight ?? self.weight("weight")] + optional("bias"))
  }

  /// Nil for zeros, which a convolution pads by itself.
  private func padMode(_ name: String, value: Double = 0) throws -> PadMode? {
    switch name {
    case "zeros": return nil
    case "constant": return .constant(value)
    case "reflect": return .reflect
    case "replicate": return .replicate
    case "circular": return .circular
    default: throw ModelError(.unsupported, "the padding '\(name)' is not known", subject: path)
    }
  }

  /// In training by the batch's statistics, and what the running ones become is noted.
  func batchNorm(_ norm: BatchNorm, _ x: Value) throws -> Value {
    func each(_ number: Double) throws -> Value { try expand(constant([number]), [.fixed(norm.features)]) }
    let mean = optionalWeight("running_mean")
    let variance = optionalWeight("running_var")
    let operands = try [
      x, optionalWeight("weight") ?? each(1), optionalWeight("bias") ?? each(0), mean ?? each(0), variance ?? each(1),
    ]
    // Without running statistics the batch's own are used in evaluation too.
    guard mean == nil || variance == nil || (isTraining && !norm.isFrozen) else {
      return try emit(.batchNorm(.inference, eps: norm.eps), operands)
    }
    let batches = optionalWeight("num_batches_tracked")
    // All batches alike, where they are counted; where they are not, the running statistics stay.
    let isCumulative = isTraining && norm.momentum == nil && batches != nil
    let results = try emitAll(
      .batchNorm(.training(momentum: isCumulative ? nil : norm.momentum ?? 0), eps: norm.eps),
      operands + (isCumulative ? [batches].compactMap { $0 } : []))
    if isTraining {
      try update("running_mean", to: results[1])
      try update("running_var", to: results[2])
      if let batches { try update("num_batches_tracked", to: add(batches, constant(integers: [1], []))) }
    }
    return results[0]
  }

  func update(_ name: String, to value: Value) throws {
    guard let buffer = optionalWeight(name), case .weight(let path) = tracer.graph.definitions[buffer.index] else {
      return
    }
    tracer.graph.update(path, to: value)
  }

  private func layerNorm(_ norm: LayerNorm, _ x: Value) throws -> Value {
    let operation = Operation.layerNorm(axes: norm.normalizedShape.count, eps: norm.eps)
    guard norm.isChannelsFirst else { return try emit(operation, [x] + optional("weight", "bias")) }
    let last = try emit(operation, [permute(x, [0, 2, 3, 1])] + optional("weight", "bias"))
    return try permute(last, [0, 3, 1, 2])
  }

  /// The projections of queries, keys and values, the heads' attention, and the projection of what they give.
  private func attention(_ attention: MultiheadAttention, _ inputs: [Value]) throws -> Value {
    try check(inputs, count: 3)
    let (size, heads) = (attention.embeddingSize, attention.heads)
    guard heads > 0, size > 0, size % heads == 0, size <= 1 << 24 else { throw missing("num_heads") }
    let weights: [Value]
    if let packed = optionalWeight("in_proj_weight") {
      weights = try split(packed, [size, size, size], axis: 0)
    } else {
      weights = try ["q_proj_weight", "k_proj_weight", "v_proj_weight"].map { try weight($0) }
    }
    let biases = try optionalWeight("in_proj_bias").map { try split($0, [size, size, size], axis: 0) }
    func headsOf(_ place: Int) throws -> Value {
      let projected = try emit(.linear, [inputs[place], weights[place]] + (biases.map { [$0[place]] } ?? []))
      guard attention.isBatchFirst else {
        return try permute(
          reshape(
            projected, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1, multiple: heads), .fixed(size / heads)]),
          [1, 0, 2])
      }
      return try permute(
        reshape(
          projected, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(heads), .fixed(size / heads)]),
        [0, 2, 1, 3])
    }
    let attended = try attend(headsOf(0), headsOf(1), headsOf(2), dropout: module.attributes["dropout"]?.doubleValue)
    let joined = try reshape(
      permute(attended, attention.isBatchFirst ? [0, 2, 1, 3] : [1, 0, 2]),
      [.of(operand: 1, axis: 0), .of(operand: 1, axis: 1), .fixed(size)], like: inputs[0])
    let bias = module["out_proj"]?.parameters["bias"] == nil ? [] : [try weight("out_proj.bias")]
    return try emit(.linear, [joined, weight("out_proj.weight")] + bias)
  }

  /// Attention, whose weights are dropped in training.
  private func attend(_ queries: Value, _ keys: Value, _ values: Value, dropout: Double?) throws -> Value {
    guard isTraining, let dropout, dropout > 0 else {
      return try emit(.attention(scale: nil), queries, keys, values)
    }
    throw ModelError(.unsupported, "an attention that drops weights in training is not known", subject: path)
  }

  // MARK: Element by element

  /// An activation with the numbers among the module's attributes, or PyTorch's defaults.
  func activate(_ kind: Activation.Kind, _ x: Value) throws -> Value {
    func number(_ name: String, _ usual: Double) -> Double { module.attributes[name]?.doubleValue ?? usual }
    let function: Unary
    switch kind {
    case .celu: function = .celu(alpha: number("alpha", 1))
    case .elu: function = .elu(alpha: number("alpha", 1))
    case .gelu: function = .gelu(isApproximate: module.attributes["approximate"]?.stringValue == "tanh")
    case .hardshrink: function = .hardshrink(lambda: number("lambd", 0.5))
    case .hardsigmoid: function = .hardsigmoid
    case .hardswish: function = .hardswish
    case .hardtanh: function = .clip(minimum: number("min_val", -1), maximum: number("max_val", 1))
    case .leakyReLU: function = .leakyReLU(slope: number("negative_slope", 0.01))
    case .logSigmoid: function = .logSigmoid
    case .mish: function = .mish
    case .prelu: return try emit(.prelu, x, weight("weight"))
    case .relu: function = .relu
    case .relu6: function = .clip(minimum: 0, maximum: 6)
    case .rrelu:
      if isTraining {
        throw ModelError(.unsupported, "RReLU draws its slopes in training, which is not known", subject: path)
      }
      function = .leakyReLU(slope: (number("lower", 1.0 / 8) + number("upper", 1.0 / 3)) / 2)
    case .selu: function = .selu
    case .sigmoid: function = .sigmoid
    case .silu: function = .silu
    case .softplus: function = .softplus(beta: number("beta", 1), threshold: number("threshold", 20))
    case .softshrink: function = .softshrink(lambda: number("lambd", 0.5))
    case .softsign: function = .softsign
    case .tanh: function = .tanh
    case .tanhshrink: function = .tanhshrink
    case .threshold: function = .threshold(number("threshold", 0), value: number("value", 0))
    }
    return try unary(function, x)
  }

  private func softmax(_ softmax: Softmax, _ x: Value) throws -> Value {
    switch softmax.kind {
    case .softmax, .softmax2d: try emit(.softmax(axis: softmax.axis, isLogarithm: false), x)
    case .logSoftmax: try emit(.softmax(axis: softmax.axis, isLogarithm: true), x)
    case .softmin: try emit(.softmax(axis: softmax.axis, isLogarithm: false), unary(.negate, x))
    }
  }

  /// Nothing in evaluation.
  private func dropout(_ x: Value) throws -> Value {
    let probability = module.attributes["p"]?.doubleValue ?? 0.5
    guard isTraining, probability > 0 else { return x }
    switch module.className.name {
    case "Dropout": return try emit(.dropout(Dropout(probability: probability)), x)
    case "Dropout1d", "Dropout2d", "Dropout3d":
      return try emit(.dropout(Dropout(probability: probability, unit: .channel)), x)
    default: throw ModelError(.unsupported, "what \(module.className) computes in training is not known", subject: path)
    }
  }

  // MARK: Sizes

  private func resize(_ upsample: Upsample) throws -> Resize {
    let modes: [String: Resize.Mode] = [
      "nearest": .nearest, "nearest-exact": .nearestExact, "linear": .linear, "bilinear": .linear,
      "trilinear": .linear, "bicubic": .cubic,
    ]
    guard let mode = modes[upsample.mode] else { throw missing("mode") }
    let target: Resize.Target =
      switch upsample.target {
      case .size(let size): .size(size)
      case .scale(let factors): .scale(factors)
      }
    // Coordinates then go by the rounded sizes.
    if isTrue("recompute_scale_factor"), case .scale(let factors) = target,
      !factors.allSatisfy({ $0 == $0.rounded() })
    {
      throw missing("recompute_scale_factor")
    }
    return Resize(target, mode: mode, alignsCorners: isTrue("align_corners"))
  }

  /// The amounts stand with the last axis first; a batch and channels go before the axes that are padded.
  private func pad(_ padding: Padding, _ x: Value) throws -> Value {
    guard padding.amounts.count % 2 == 0, (1...3).contains(padding.amounts.count / 2) else { throw missing("padding") }
    let margins = stride(from: 0, to: padding.amounts.count, by: 2).map {
      Margin(padding.amounts[$0], padding.amounts[$0 + 1])
    }
    let mode = try padMode(padding.mode, value: module.attributes["value"]?.doubleValue ?? 0) ?? .constant(0)
    return try emit(.pad([Margin(0), Margin(0)] + margins.reversed(), mode), x)
  }
}
