import ModelCore
import ModelGraph

extension Forward {
  /// timm's Vision Transformer and DeiT.
  static let timmViT: [String: Forward] = [
    "timm.models.vision_transformer.VisionTransformer": Forward { net, x in
      try net.run(net.pooled(net.features(x)), "fc_norm", "head_drop?", "head")
    },
    "timm.models.deit.VisionTransformerDistilled": Forward.lists { net, inputs in
      let tokens = try net.features(net.only(inputs))
      guard try net.string("global_pool") == "token" else { throw net.missing("global_pool") }
      let outputs = try ["head", "head_dist"].enumerated().map { place, head in
        try net.run(net.token(tokens, place), "head_drop?", head)
      }
      if net.isTraining, try net.bool("distilled_training") { return outputs }
      return [try net.half(outputs[0], outputs[1])]
    },
    "timm.models.vision_transformer.Block": Forward { block, x in
      let y = try block.add(x, block(x, "norm1", "attn", "ls1", "drop_path1"))
      return try block.add(y, block(y, "norm2", "mlp", "ls2", "drop_path2"))
    },
    "timm.models.vision_transformer.ResPostBlock": Forward { block, x in
      let y = try block.add(x, block(x, "attn", "norm1", "drop_path1"))
      return try block.add(y, block(y, "mlp", "norm2", "drop_path2"))
    },
    "timm.models.vision_transformer.ParallelScalingBlock": Forward { try $0.parallelScaling($1) },
    "timm.models.vision_transformer.ParallelThingsBlock": Forward { block, x in
      func parallel(_ x: Graph.Value, _ branches: String) throws -> Graph.Value {
        try block.sum([x] + block.list(branches).map { try block(x, $0) })
      }
      return try parallel(parallel(x, "attns"), "ffns")
    },
    "timm.layers.attention.Attention": .tokenAttention,
    // Where the two stood in earlier releases.
    "timm.models.vision_transformer.Attention": .tokenAttention,
    "timm.models.vision_transformer.LayerScale": Forward { scale, x in
      try scale.multiply(x, scale.weight("gamma"))
    },
    "timm.layers.attention_pool.AttentionPoolLatent": Forward { try $0.latentPool($1) },
    "timm.layers.patch_embed.PatchEmbed": Forward { try $0.patchEmbedding($1) },
  ]

  private static let tokenAttention = Forward { try $0.tokenAttention($1) }
}

extension ForwardCall {
  // MARK: The network

  /// Patches with their positions, through the blocks.
  fileprivate func features(_ x: Value) throws -> Value {
    // Before 0.9 there was no other than the size that the positions have.
    let isDynamic = try module.attributes["dynamic_img_size"] != nil && bool("dynamic_img_size")
    var x = try isDynamic ? patches(x) : self(x, "patch_embed")
    let tokens = try ["cls_token", "dist_token", "reg_token"].compactMap { optionalWeight($0) }.map { token in
      try expand(token, [.of(operand: 1, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2)], like: x)
    }
    let isDistilled = has("head_dist")
    let positions = optionalWeight("pos_embed")
    let addsFirst = try bool("no_embed_class")
    if addsFirst, let positions { x = try add(x, positions) }
    if !tokens.isEmpty { x = try concatenate(tokens + [x]) }
    if !addsFirst, let positions { x = try add(x, positions) }
    // Without positions there is no dropout on them.
    if positions != nil || isDistilled { x = try self(x, "pos_drop") }
    return try run(x, "patch_drop?", "norm_pre?", "blocks", "norm")
  }

  /// Patches of a picture that may have any size; only the one for which the positions were made is known, for others
  /// they are resized.
  private func patches(_ x: Value) throws -> Value {
    let grid = try module["patch_embed"].map { module in
      try inline("patch_embed", [x]) { embed in
        guard module.className.description == "timm.layers.patch_embed.PatchEmbed", try !embed.bool("flatten"),
          try !embed.bool("dynamic_img_pad")
        else {
          throw ModelError(
            .unsupported, "the forward of \(module.className) is not known in this state", subject: embed.path)
        }
        let patches = try embed.permute(embed(x, "proj"), [0, 2, 3, 1])
        // A split into one part takes an axis of exactly its length.
        let sizes = try embed.ints("grid_size")
        guard sizes.count == 2 else { throw embed.missing("grid_size") }
        let rows = try embed.split(patches, [sizes[0]], axis: 1)[0]
        return [try embed(embed.split(rows, [sizes[1]], axis: 2)[0], "norm")]
      }
    }
    guard let grid else { throw missing("patch_embed") }
    return try flatten(grid[0], start: 1, end: 2)
  }

  /// One token: [batch, features].
  fileprivate func token(_ x: Value, _ place: Int) throws -> Value {
    try reshape(
      slice(x, axis: 1, from: place, to: place + 1), [.of(operand: 0, axis: 0), .of(operand: 0, axis: 2)])
  }

  fileprivate func pooled(_ x: Value) throws -> Value {
    // Earlier releases have no such attribute, and all tokens come to their attention.
    let isOlder = module.attributes["pool_include_prefix"] == nil
    func patches() throws -> Value {
      try !isOlder && bool("pool_include_prefix") ? x : slice(x, axis: 1, from: int("num_prefix_tokens"))
    }
    if has("attn_pool") { return try self(isOlder ? x : patches(), "attn_pool") }
    switch try string("global_pool") {
    case "": return x
    case "token": return try token(x, 0)
    case "avg": return try mean(patches(), axes: [1])
    case "max": return try max(patches(), axis: 1)
    case "avgmax":
      let patches = try patches()
      return try half(max(patches, axis: 1), mean(patches, axes: [1]))
    default: throw missing("global_pool")
    }
  }

  fileprivate func patchEmbedding(_ x: Value) throws -> Value {
    guard try !(module.attributes["dynamic_img_pad"] != nil && bool("dynamic_img_pad")) else {
      throw ModelError(.unsupported, "a picture that is padded to whole patches is not known", subject: path)
    }
    guard try bool("flatten") else {
      throw ModelError(.unsupported, "patches in another order than one behind the other are not known", subject: path)
    }
    let patches = try permute(flatten(self(x, "proj"), start: 2), [0, 2, 1])
    return try self(patches, "norm")
  }

  // MARK: Attention

  /// [batch, tokens, features] as [batch, heads, tokens, features of each].
  private func headsOf(_ x: Value, _ heads: Int, _ width: Extent) throws -> Value {
    try permute(
      reshape(x, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(heads), width]), [0, 2, 1, 3])
  }

  /// The way back.
  private func joined(_ x: Value) throws -> Value { try flatten(permute(x, [0, 2, 1, 3]), start: 2) }

  private func headCount() throws -> (Int, Extent) {
    let heads = try int("num_heads")
    guard heads > 0 else { throw missing("num_heads") }
    // Before 0.9 the width followed from what is divided.
    return (heads, try module.attributes["head_dim"] == nil ? .inferred : .fixed(int("head_dim")))
  }

  fileprivate func tokenAttention(_ x: Value) throws -> Value {
    let (heads, width) = try headCount()
    let parts = try chunks(self(x, "qkv"), 3, axis: -1).map { try headsOf($0, heads, width) }
    let attended = try joined(attend(run(parts[0], "q_norm?"), run(parts[1], "k_norm?"), parts[2]))
    var y = try run(attended, "norm?")
    if has("gate") { y = try multiply(y, sigmoid(self(x, "gate"))) }
    return try self(y, "proj", "proj_drop")
  }

  /// Attention and MLP side by side, from one projection.
  fileprivate func parallelScaling(_ x: Value) throws -> Value {
    let (heads, width) = try headCount()
    let parts = try split(self(x, "in_norm", "in_proj"), ints("in_split"), axis: -1)
    guard parts.count == 4 else { throw missing("in_split") }
    // Here each head is normalised before the axes change places.
    func normalized(_ x: Value, _ norm: String) throws -> Value {
      try permute(
        self(
          reshape(x, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(heads), width]), norm),
        [0, 2, 1, 3])
    }
    let attended = try joined(
      attend(normalized(parts[1], "q_norm"), normalized(parts[2], "k_norm"), headsOf(parts[3], heads, width)))
    let biased = try optionalWeight("mlp_bias").map { try add(parts[0], $0) } ?? parts[0]
    let hidden = try self(biased, "mlp_act", "mlp_drop")
    let y =
      try has("out_proj")
      ? self(concatenate([attended, hidden], axis: -1), "out_proj")
      : add(self(attended, "attn_out_proj"), self(hidden, "mlp_out_proj"))
    return try add(x, self(y, "ls", "drop_path"))
  }

  /// Tokens seen by queries that are weights.
  fileprivate func latentPool(_ x: Value) throws -> Value {
    let (heads, width) = try headCount()
    let x = try optionalWeight("pos_embed").map { try add(x, $0) } ?? x
    let latent = try expand(
      weight("latent"), [.of(operand: 1, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2)], like: x)
    let queries = try self(headsOf(self(latent, "q"), heads, width), "q_norm")
    let pairs = try chunks(self(x, "kv"), 2, axis: -1).map { try headsOf($0, heads, width) }
    var y = try self(joined(attend(queries, self(pairs[0], "k_norm"), pairs[1])), "proj", "proj_drop")
    if has("mlp") { y = try add(y, self(y, "norm", "mlp")) }
    switch module.attributes["pool"]?.stringValue {
    case "token": return try token(y, 0)
    case "avg": return try mean(y, axes: [1])
    case "": return y
    default: throw missing("pool")
    }
  }
}
