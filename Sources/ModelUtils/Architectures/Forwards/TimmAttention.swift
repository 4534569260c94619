import ModelCore
import ModelGraph

extension Forward {
  /// timm's attention over channels and places of a picture.
  static let timmAttention: [String: Forward] = [
    "timm.layers.squeeze_excite.SEModule": Forward { se, x in
      try se.multiply(x, se(se.squeezed(x), "fc1", "bn", "act", "fc2", "gate"))
    },
    "timm.layers.squeeze_excite.EffectiveSEModule": Forward { se, x in
      try se.multiply(x, se(se.squeezed(x), "fc", "gate"))
    },
    "timm.layers.squeeze_excite.SqueezeExciteCl": Forward { se, x in
      try se.multiply(x, se(se.mean(x, axes: [1, 2], keepsAxes: true), "fc1", "act", "fc2", "gate"))
    },
    "timm.layers.eca.EcaModule": Forward { eca, x in
      let names = eca.has("conv2") ? ["conv", "act", "conv2", "gate"] : ["conv", "gate"]
      return try eca.alongChannels(x) { try eca.chain($0, names) }
    },
    "timm.layers.eca.CecaModule": Forward { eca, x in
      let margin = try eca.int("padding")
      return try eca.alongChannels(x) {
        try eca(eca.emit(.pad([Margin(0), Margin(0), Margin(margin)], .circular), $0), "conv", "gate")
      }
    },
    "timm.layers.global_context.GlobalContext": Forward { try $0.globalContext($1) },
    "timm.layers.gather_excite.GatherExcite": Forward { try $0.gatherExcite($1) },

    "timm.layers.cbam.CbamModule": .chain("channel", "spatial"),
    "timm.layers.cbam.LightCbamModule": .chain("channel", "spatial"),
    "timm.layers.cbam.ChannelAttn": Forward { attn, x in
      let average = try attn(attn.mean(x, axes: [2, 3], keepsAxes: true), "fc1", "act", "fc2")
      let largest = try attn(attn.largest(x, axes: [2, 3]), "fc1", "act", "fc2")
      return try attn.multiply(x, attn(attn.add(average, largest), "gate"))
    },
    "timm.layers.cbam.LightChannelAttn": Forward { attn, x in
      let pooled = try attn.half(attn.mean(x, axes: [2, 3], keepsAxes: true), attn.largest(x, axes: [2, 3]))
      return try attn.multiply(x, attn.sigmoid(attn(pooled, "fc1", "act", "fc2")))
    }.leaving("gate").leavingInTraining("gate"),
    "timm.layers.cbam.SpatialAttn": Forward { attn, x in
      let both = try attn.concatenate([attn.mean(x, axes: [1], keepsAxes: true), attn.largest(x, axes: [1])])
      return try attn.multiply(x, attn(both, "conv", "gate"))
    },
    "timm.layers.cbam.LightSpatialAttn": Forward { attn, x in
      let pooled = try attn.half(attn.mean(x, axes: [1], keepsAxes: true), attn.largest(x, axes: [1]))
      return try attn.multiply(x, attn(pooled, "conv", "gate"))
    },

    "timm.layers.selective_kernel.SelectiveKernel": Forward { try $0.selectiveKernel($1) },
    "timm.layers.selective_kernel.SelectiveKernelAttn": Forward { attn, x in
      let sum = try attn.emit(.reduce(.sum, axes: [1], keepsAxes: false), x)
      let y = try attn(attn.mean(sum, axes: [2, 3], keepsAxes: true), "fc_reduce", "bn", "act", "fc_select")
      let paths = try attn.int("num_paths")
      guard paths > 0 else { throw attn.missing("num_paths") }
      return try attn.softmax(
        attn.reshape(
          y,
          [
            .of(operand: 0, axis: 0), .fixed(paths), .of(operand: 0, axis: 1, divisor: paths), .of(operand: 0, axis: 2),
            .of(operand: 0, axis: 3),
          ]), axis: 1)
    },
    "timm.layers.split_attn.SplitAttn": Forward { try $0.splitAttention($1) },
    "timm.layers.split_attn.RadixSoftmax": Forward { softmax, x in
      let (radix, cardinality) = try (softmax.int("radix"), softmax.int("cardinality"))
      guard radix > 1 else { return try softmax.sigmoid(x) }
      guard cardinality > 0 else { throw softmax.missing("cardinality") }
      let parts = try softmax.reshape(
        x, [.of(operand: 0, axis: 0), .fixed(cardinality), .fixed(radix), .inferred])
      return try softmax.flatten(softmax.softmax(softmax.permute(parts, [0, 2, 1, 3]), axis: 1))
    },

    "timm.layers.attention2d.Attention2d": Forward { try $0.pictureAttention($1) },
    "timm.layers.attention2d.MultiQueryAttention2d": Forward { try $0.multiQueryAttention($1) },
  ]
}

extension ForwardCall {
  /// A picture's channels by their means, and by their largest too where the class says so.
  fileprivate func squeezed(_ x: Value) throws -> Value {
    let average = try mean(x, axes: [2, 3], keepsAxes: true)
    return try bool("add_maxpool") ? half(average, largest(x, axes: [2, 3])) : average
  }

  /// A picture times what is made of its channels' means as a sequence [batch, 1, channels].
  fileprivate func alongChannels(_ x: Value, _ gate: (Value) throws -> Value) throws -> Value {
    let sequence = try reshape(mean(x, axes: [2, 3]), [.of(operand: 0, axis: 0), .fixed(1), .inferred])
    let weights = try reshape(gate(sequence), [.of(operand: 0, axis: 0), .inferred, .fixed(1), .fixed(1)])
    return try multiply(x, weights)
  }

  fileprivate func globalContext(_ x: Value) throws -> Value {
    var context: Value
    if has("conv_attn") {
      let weights = try softmax(flatten(self(x, "conv_attn"), start: 2), axis: -1)
      let batch = Extent.of(operand: 0, axis: 0)
      let column = try reshape(weights, [batch, .fixed(1), .of(operand: 0, axis: 2), .fixed(1)])
      let places = try reshape(x, [batch, .fixed(1), .of(operand: 0, axis: 1), .inferred])
      context = try reshape(
        matrixProduct(places, column), [batch, .of(operand: 0, axis: 2), .fixed(1), .fixed(1)])
    } else {
      context = try mean(x, axes: [2, 3], keepsAxes: true)
    }
    var y = x
    if has("mlp_scale") { y = try multiply(y, self(context, "mlp_scale", "gate")) }
    if has("mlp_add") { y = try add(y, self(context, "mlp_add")) }
    return y
  }

  /// What is gathered from large windows, in the picture's size again.
  fileprivate func gatherExcite(_ x: Value) throws -> Value {
    if has("gather") {
      return try multiply(x, self(resize(self(x, "gather", "mlp"), like: x), "gate"))
    }
    guard try int("extent") > 0 else { return try multiply(x, self(squeezed(x), "mlp", "gate")) }
    let (kernel, stride) = try (pair("gk"), pair("gs"))
    func pool(_ kind: Pool.Kind) throws -> Value {
      try emit(
        .pool(Pool(kind, kernelSize: kernel, stride: stride, padding: kernel.map { $0 / 2 }, countsPadding: false)), x)
    }
    let gathered = try bool("add_maxpool") ? half(pool(.average), pool(.max)) : pool(.average)
    return try multiply(x, self(resize(self(gathered, "mlp"), like: x), "gate"))
  }

  fileprivate func selectiveKernel(_ x: Value) throws -> Value {
    let names = list("paths")
    guard !names.isEmpty, try names.count == int("num_paths") else { throw missing("num_paths") }
    let parts = try bool("split_input") ? chunks(x, names.count) : names.map { _ in x }
    let paths = try stack(zip(parts, names).map { try self($0, $1) }, axis: 1)
    return try emit(.reduce(.sum, axes: [1], keepsAxes: false), multiply(paths, self(paths, "attn")))
  }

  fileprivate func splitAttention(_ x: Value) throws -> Value {
    let y = try self(x, "conv", "bn0", "drop", "act0")
    let radix = try int("radix")
    guard radix > 0 else { throw missing("radix") }
    let batch = Extent.of(operand: 0, axis: 0)
    func parts(_ x: Value) throws -> Value {
      try reshape(
        x,
        [
          batch, .fixed(radix), .of(operand: 0, axis: 1, divisor: radix), .of(operand: 0, axis: 2),
          .of(operand: 0, axis: 3),
        ])
    }
    let whole = try radix > 1 ? emit(.reduce(.sum, axes: [1], keepsAxes: false), parts(y)) : y
    let gates = try self(mean(whole, axes: [2, 3], keepsAxes: true), "fc1", "bn1", "act1", "fc2", "rsoftmax")
    let weights = try reshape(gates, [batch, .inferred, .fixed(1), .fixed(1)])
    guard radix > 1 else { return try multiply(y, weights) }
    return try emit(.reduce(.sum, axes: [1], keepsAxes: false), multiply(parts(y), parts(weights)))
  }

  // MARK: Self-attention

  /// `scaled_dot_product_attention` or, with the same result, its steps one by one.
  func attend(_ queries: Value, _ keys: Value, _ values: Value) throws -> Value {
    if try module.attributes["fused_attn"] != nil && bool("fused_attn") {
      let rate = module["attn_drop"]?.attributes["p"]?.doubleValue ?? 0
      guard !isTraining || rate == 0 else {
        throw ModelError(.unsupported, "an attention that drops weights in training is not known", subject: path)
      }
      return try emit(.attention(scale: nil), queries, keys, values)
    }
    let scores = try matrixProduct(multiply(queries, double("scale")), transposed(keys))
    return try matrixProduct(self(softmax(scores, axis: -1), "attn_drop"), values)
  }

  /// The last two axes of a tensor of four exchanged.
  func transposed(_ x: Value) throws -> Value { try permute(x, [0, 1, 3, 2]) }

  fileprivate func pictureAttention(_ x: Value) throws -> Value {
    let (heads, width) = try (int("num_heads"), int("dim_head"))
    guard heads > 0, width > 0 else { throw missing("num_heads") }
    let batch = Extent.of(operand: 0, axis: 0)
    let projected = try self(x, "qkv")
    let parts: [Value]
    if try bool("head_first") {
      parts = try chunks(reshape(projected, [batch, .fixed(heads), .fixed(width * 3), .inferred]), 3, axis: 2)
    } else {
      parts = try chunks(projected, 3).map { try reshape($0, [batch, .fixed(heads), .fixed(width), .inferred]) }
    }
    let (queries, keys, values) = try (transposed(parts[0]), transposed(parts[1]), transposed(parts[2]))
    let attended: Value
    if try bool("fused_attn") {
      attended = try attend(queries, keys, values)
    } else {
      let scores = try multiply(matrixProduct(queries, parts[1]), 1 / Double(width).squareRoot())
      attended = try matrixProduct(self(softmax(scores, axis: -1), "attn_drop"), values)
    }
    let picture = try reshape(
      transposed(attended),
      [.of(operand: 1, axis: 0), .inferred, .of(operand: 1, axis: 2), .of(operand: 1, axis: 3)], like: x)
    return try self(picture, "proj", "proj_drop")
  }

  /// Many heads of queries, one of keys and values.
  fileprivate func multiQueryAttention(_ x: Value) throws -> Value {
    let (heads, width, valueWidth) = try (int("num_heads"), int("key_dim"), int("value_dim"))
    guard heads > 0, width > 0, valueWidth > 0 else { throw missing("num_heads") }
    guard try !bool("einsum") else { throw missing("einsum") }
    let batch = Extent.of(operand: 0, axis: 0)
    let small = try self(x, "query")
    let queries = try transposed(reshape(small, [batch, .fixed(heads), .fixed(width), .inferred]))
    func tokens(_ child: String, _ width: Int) throws -> Value {
      try permute(reshape(self(x, child), [batch, .fixed(1), .fixed(width), .inferred]), [0, 1, 3, 2])
    }
    let (keys, values) = try (tokens("key", width), tokens("value", valueWidth))
    let attended: Value
    if try bool("fused_attn") {
      // One head for all is broadcast.
      func spread(_ x: Value) throws -> Value {
        try expand(x, [batch, .fixed(heads), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)])
      }
      attended = try attend(queries, spread(keys), spread(values))
    } else {
      attended = try attend(queries, keys, values)
    }
    let picture = try reshape(
      transposed(attended),
      [batch, .fixed(heads * valueWidth), .of(operand: 1, axis: 2), .of(operand: 1, axis: 3)], like: small)
    return try self(picture, "output")
  }
}
