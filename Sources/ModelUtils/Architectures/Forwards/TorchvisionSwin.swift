import ModelCore
import ModelGraph

extension Forward {
  /// Swin and Swin V2: attention within windows that are shifted in every second block. Which are shifted and masked
  /// follows from the picture's size.
  static let torchvisionSwin: [String: Forward] = [
    "torchvision.models.swin_transformer.SwinTransformer": Forward { net, x in
      try net(net(x, "features", "norm", "permute", "avgpool", "flatten"), "head")
    },
    "torchvision.models.swin_transformer.SwinTransformerBlock": Forward { block, x in
      let y = try block.add(x, block(x, "norm1", "attn", "stochastic_depth"))
      return try block.add(y, block(y, "norm2", "mlp", "stochastic_depth"))
    },
    "torchvision.models.swin_transformer.SwinTransformerBlockV2": Forward { block, x in
      let y = try block.add(x, block(x, "attn", "norm1", "stochastic_depth"))
      return try block.add(y, block(y, "mlp", "norm2", "stochastic_depth"))
    },
    "torchvision.models.swin_transformer.PatchMerging": Forward { merging, x in
      try merging(merging.mergedPatches(x), "norm", "reduction")
    },
    "torchvision.models.swin_transformer.PatchMergingV2": Forward { merging, x in
      try merging(merging.mergedPatches(x), "reduction", "norm")
    },
    "torchvision.models.swin_transformer.ShiftedWindowAttention": Forward { attention, x in
      try attention.windows(x, bias: attention.relativePositionBias(length: attention.windowLength()))
    },
    "torchvision.models.swin_transformer.ShiftedWindowAttentionV2": Forward { attention, x in
      let table = try attention.reshape(
        attention(attention.weight("relative_coords_table"), "cpb_mlp"),
        [.inferred, .fixed(attention.int("num_heads"))])
      let bias = try attention.relativePositionBias(length: attention.windowLength(), table: table)
      return try attention.windows(
        x, bias: attention.multiply(attention.sigmoid(bias), 16), logitScale: attention.weight("logit_scale"))
    },
  ]
}

extension ForwardCall {
  /// The four pixels of each patch of two by two behind each other, [batch, height, width, channels].
  fileprivate func mergedPatches(_ x: Value) throws -> Value {
    let shape = try shape(of: x)
    guard shape.count == 4 else { throw ModelError(.mismatch, "takes 4 axes, but \(shape) comes to it", subject: path) }
    var x = x
    if shape[1] % 2 + shape[2] % 2 > 0 {
      x = try emit(.pad([Margin(0), Margin(0, shape[1] % 2), Margin(0, shape[2] % 2), Margin(0)], .constant(0)), x)
    }
    return try concatenate(
      [(0, 0), (1, 0), (0, 1), (1, 1)].map { row, column in
        try slice(slice(x, axis: 1, from: row, step: 2), axis: 2, from: column, step: 2)
      }, axis: -1)
  }

  /// Height and width of a window, from an attribute.
  private func lengths(_ attribute: String) throws -> [Int] {
    guard let values = module.attributes[attribute]?.intsValue, values.count == 2,
      values.allSatisfy({ (0...1 << 12).contains($0) })
    else { throw missing(attribute) }
    return values
  }

  fileprivate func windowLength() throws -> Int {
    let length = try lengths("window_size").reduce(1, *)
    guard length > 0 else { throw missing("window_size") }
    return length
  }

  /// The windows' attention over [batch, height, width, channels].
  fileprivate func windows(_ input: Value, bias: Value, logitScale: Value? = nil) throws -> Value {
    let (shape, window, heads) = (try shape(of: input), try lengths("window_size"), try int("num_heads"))
    guard shape.count == 4 else { throw ModelError(.mismatch, "takes 4 axes, but \(shape) comes to it", subject: path) }
    guard heads > 0, shape[3] % heads == 0, shape[3] > 0 else { throw missing("num_heads") }
    let counts = (0..<2).map { (shape[$0 + 1] + window[$0] - 1) / window[$0] }
    let size = (0..<2).map { counts[$0] * window[$0] }
    // A picture of one window is not shifted.
    let shift = try (0..<2).map { window[$0] >= size[$0] ? 0 : try lengths("shift_size")[$0] }
    guard (0..<2).allSatisfy({ shift[$0] <= window[$0] }) else { throw missing("shift_size") }
    var x = input
    if size != Array(shape[1...2]) {
      x = try emit(
        .pad([Margin(0), Margin(0, size[0] - shape[1]), Margin(0, size[1] - shape[2]), Margin(0)], .constant(0)), x)
    }
    x = try roll(x, by: shift)
    x = try reshape(
      permute(
        reshape(
          x,
          [
            .of(operand: 0, axis: 0), .fixed(counts[0]), .fixed(window[0]), .fixed(counts[1]), .fixed(window[1]),
            .fixed(shape[3]),
          ]), [0, 1, 3, 2, 4, 5]), [.inferred, .fixed(window[0] * window[1]), .fixed(shape[3])])
    let attended = try attend(x, heads: heads, features: shape[3] / heads, bias, logitScale) { weights in
      guard shift != [0, 0] else { return weights }
      let mask = try self.mask(counts, window, shift)
      let length = window[0] * window[1]
      let spread = try reshape(
        weights, [.inferred, .fixed(counts[0] * counts[1]), .fixed(heads), .fixed(length), .fixed(length)])
      return try reshape(add(spread, mask), [.inferred, .fixed(heads), .fixed(length), .fixed(length)])
    }
    let whole = try reshape(
      permute(
        reshape(
          attended,
          [
            .inferred, .fixed(counts[0]), .fixed(counts[1]), .fixed(window[0]), .fixed(window[1]), .fixed(shape[3]),
          ]), [0, 1, 3, 2, 4, 5]), [.inferred, .fixed(size[0]), .fixed(size[1]), .fixed(shape[3])])
    let y = try roll(whole, by: shift.enumerated().map { $1 == 0 ? 0 : size[$0] - $1 })
    return try (0..<2).reduce(y) { y, axis in
      size[axis] == shape[axis + 1] ? y : try slice(y, axis: axis + 1, to: shape[axis + 1])
    }
  }

  /// Rows and columns moved towards the beginning; those that fall out come in at the end.
  private func roll(_ x: Value, by amounts: [Int]) throws -> Value {
    try amounts.enumerated().reduce(x) { x, step in
      let (axis, amount) = (step.offset + 1, step.element)
      guard amount > 0 else { return x }
      return try concatenate([slice(x, axis: axis, from: amount), slice(x, axis: axis, to: amount)], axis: axis)
    }
  }

  /// Self-attention of every window, [windows, length, features].
  private func attend(
    _ x: Value, heads: Int, features: Int, _ bias: Value, _ logitScale: Value?, masked: (Value) throws -> Value
  ) throws -> Value {
    let parts = try split(projected(x, hasCosine: logitScale != nil), [1, 1, 1], axis: 0).map {
      try reshape($0, (1..<5).map { .of(operand: 0, axis: $0) })
    }
    let (queries, keys, values) = (parts[0], parts[1], parts[2])
    var weights: Value
    if let logitScale {
      let turned = try permute(normalize(keys, axis: -1), [0, 1, 3, 2])
      let scale = try unary(.exp, unary(.clip(minimum: nil, maximum: Unary.log(100)), logitScale))
      weights = try multiply(matrixProduct(normalize(queries, axis: -1), turned), scale)
    } else {
      let scaled = try multiply(queries, 1 / Double(features).squareRoot())
      weights = try matrixProduct(scaled, permute(keys, [0, 1, 3, 2]))
    }
    weights = try dropped(softmax(masked(add(weights, bias)), axis: -1), "attention_dropout")
    let joined = try reshape(
      permute(matrixProduct(weights, values), [0, 2, 1, 3]),
      [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(heads * features)])
    let proj = try [weight("proj.weight")] + optionalWeights("proj.bias")
    return try dropped(emit(.linear, [joined] + proj), "dropout")
  }

  /// Queries, keys and values: [3, windows, heads, length, features]. Cosine attention has no bias of its keys.
  private func projected(_ x: Value, hasCosine: Bool) throws -> Value {
    let heads = try int("num_heads")
    var bias = try optionalWeights("qkv.bias")
    if hasCosine, let whole = bias.first {
      let parts = try emitAll(.split(axis: 0, .equal(3)), [whole])
      bias = [
        try concatenate(
          [parts[0], expand(constant([0]), [.of(operand: 1, axis: 0)], like: parts[1]), parts[2]], axis: 0)
      ]
    }
    let projected = try emit(.linear, [x, weight("qkv.weight")] + bias)
    let spread = try reshape(
      projected,
      [
        .of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(3), .fixed(heads), .inferred,
      ])
    return try permute(spread, [2, 0, 3, 1, 4])
  }

  /// A child's parameter, where it has one of that name.
  private func optionalWeights(_ name: String) throws -> [Value] {
    guard let dot = name.lastIndex(of: "."), let child = module[String(name[..<dot])] else { throw missing(name) }
    let entry = String(name[name.index(after: dot)...])
    return child.parameters[entry] == nil ? [] : [try weight(name)]
  }

  /// With elements dropped in training, where an attribute says with which probability.
  private func dropped(_ x: Value, _ attribute: String) throws -> Value {
    let probability = try double(attribute)
    return isTraining && probability > 0 ? try emit(.dropout(Dropout(probability: probability)), x) : x
  }

  /// -100 between pixels that only the shift has brought into one window: [windows, 1, length, length].
  private func mask(_ counts: [Int], _ window: [Int], _ shift: [Int]) throws -> Value {
    let length = window[0] * window[1]
    guard counts[0] * counts[1] <= (1 << 24) / length else {
      throw ModelError(.limit, "has more than \(1 << 24) pixels in its windows", subject: path)
    }
    /// 0, 1 or 2 along an axis: what was not moved, the rest of the last window, what came in at its end.
    func zone(_ index: Int, _ axis: Int) -> Int {
      let size = counts[axis] * window[axis]
      if shift[axis] == 0 { return 0 }
      return index < size - window[axis] ? 0 : index < size - shift[axis] ? 1 : 2
    }
    var zones: [Double] = []
    zones.reserveCapacity(counts[0] * counts[1] * length)
    for row in 0..<counts[0] {
      for column in 0..<counts[1] {
        for place in 0..<length {
          let (down, across) = (row * window[0] + place / window[1], column * window[1] + place % window[1])
          zones.append(Double(3 * zone(down, 0) + zone(across, 1)))
        }
      }
    }
    let windows = counts[0] * counts[1]
    let differs = try emit(
      .compare(.notEqual), constant(zones, [windows, 1, length, 1]), constant(zones, [windows, 1, 1, length]))
    return try multiply(convert(differs, .float32), -100)
  }
}
