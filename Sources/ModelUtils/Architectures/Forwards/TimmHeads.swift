import ModelCore
import ModelGraph

extension Forward {
  /// timm's heads, MLPs, scales and kinds of dropout.
  static let timmHeads: [String: Forward] = [
    "timm.layers.classifier.ClassifierHead": Forward { head, x in
      let pooled = try head(x, "global_pool")
      // Until 0.8 the rate of its dropout is an attribute.
      return try head(head.has("drop") ? head(pooled, "drop") : head.dropped(pooled), "fc", "flatten")
    },
    "timm.layers.classifier.NormMlpClassifierHead": .chain(
      "global_pool", "norm", "flatten", "pre_logits", "drop", "fc"),
    "timm.layers.classifier.ClNormMlpClassifierHead": Forward { head, x in
      let axes = try head.ints("pool_dim")
      let pooled: Graph.Value
      switch try head.string("pool_type") {
      case "": pooled = x
      case "avg": pooled = try head.mean(x, axes: axes)
      case "max": pooled = try head.largest(x, axes: axes, keepsAxes: false)
      case "avgmax": pooled = try head.half(head.largest(x, axes: axes, keepsAxes: false), head.mean(x, axes: axes))
      default: throw head.missing("pool_type")
      }
      return try head(pooled, "norm", "pre_logits", "drop", "fc")
    },

    "timm.layers.mlp.Mlp": Forward { try $0.run($1, "fc1", "act", "drop1", "norm?", "fc2", "drop2") },
    "timm.layers.mlp.GatedMlp": .chain("fc1", "act", "drop1", "gate", "norm", "fc2", "drop2"),
    "timm.layers.mlp.ConvMlp": .chain("fc1", "norm", "act", "drop", "fc2"),
    "timm.layers.mlp.GlobalResponseNormMlp": .chain("fc1", "act", "drop1", "grn", "fc2", "drop2"),
    "timm.layers.mlp.GluMlp": Forward { mlp, x in
      let parts = try mlp.chunks(mlp(x, "fc1"), 2, axis: mlp.int("chunk_dim"))
      let gated =
        try mlp.bool("gate_last")
        ? mlp.multiply(parts[0], mlp(parts[1], "act")) : mlp.multiply(mlp(parts[0], "act"), parts[1])
      return try mlp(gated, "drop1", "norm", "fc2", "drop2")
    },
    "timm.layers.mlp.SwiGLU": Forward { mlp, x in
      let gated = try mlp.multiply(mlp(x, "fc1_g", "act"), mlp(x, "fc1_x"))
      return try mlp(gated, "drop1", "norm", "fc2", "drop2")
    },

    "timm.layers.layer_scale.LayerScale": Forward { scale, x in try scale.multiply(x, scale.weight("gamma")) },
    "timm.layers.layer_scale.LayerScale2d": Forward { scale, x in
      try scale.multiply(x, scale.channels(scale.weight("gamma")))
    },
    "timm.layers.drop.DropPath": Forward { _, x in x }
      .training { drop, inputs in
        let probability = try drop.double("drop_prob")
        guard probability > 0 else { return inputs }
        guard try drop.bool("scale_by_keep") else {
          throw ModelError(
            .unsupported, "a DropPath that does not scale what it keeps is not known in training", subject: drop.path)
        }
        return [try drop.emit(.dropout(Dropout(probability: probability, unit: .row)), drop.only(inputs))]
      },
    "timm.layers.drop.DropBlock2d": Forward { _, x in x }
      .training { drop, inputs in
        guard try drop.double("drop_prob") == 0 else {
          throw ModelError(.unsupported, "what DropBlock2d drops in training is not known", subject: drop.path)
        }
        return inputs
      },
    "timm.layers.patch_dropout.PatchDropout": Forward { _, x in x }
      .training { drop, inputs in
        guard try drop.double("prob") == 0 else {
          throw ModelError(.unsupported, "what PatchDropout drops in training is not known", subject: drop.path)
        }
        return inputs
      },

    "timm.layers.activations.Swish": .function(.silu), "timm.layers.activations.Mish": .function(.mish),
    "timm.layers.activations.Sigmoid": .function(.sigmoid), "timm.layers.activations.Tanh": .function(.tanh),
    "timm.layers.activations.HardSwish": .function(.hardswish),
    "timm.layers.activations.HardSigmoid": .function(.hardsigmoid),
    "timm.layers.activations.HardMish": .hardMish, "timm.layers.activations.PReLU": .ownLayer,
    "timm.layers.activations.GELU": .function(.gelu(isApproximate: false)),
    "timm.layers.activations.GELUTanh": .function(.gelu(isApproximate: true)),
    "timm.layers.activations.QuickGELU": Forward { act, x in
      try act.multiply(x, act.sigmoid(act.multiply(x, 1.702)))
    },
    "timm.layers.activations_me.SwishMe": .function(.silu), "timm.layers.activations_me.MishMe": .function(.mish),
    "timm.layers.activations_me.HardSwishMe": .function(.hardswish),
    "timm.layers.activations_me.HardSigmoidMe": .function(.hardsigmoid),
    "timm.layers.activations_me.HardMishMe": .hardMish,
  ]

  private static func function(_ function: Unary) -> Forward { Forward { try $0.unary(function, $1) } }

  private static let hardMish = Forward { act, x in
    try act.multiply(act.multiply(x, 0.5), act.unary(.clip(minimum: 0, maximum: 2), act.add(x, 2)))
  }
}

extension ForwardCall {
  /// The children one after the other; those whose names end with `?` where the class, or its release, has them.
  func run(_ x: Value, _ children: String...) throws -> Value {
    try children.reduce(x) { x, name in
      guard name.hasSuffix("?") else { return try self(x, name) }
      let name = String(name.dropLast())
      return try has(name) ? self(x, name) : x
    }
  }

  /// `amax`.
  func largest(_ x: Value, axes: [Int], keepsAxes: Bool = true) throws -> Value {
    try emit(.reduce(.max, axes: axes, keepsAxes: keepsAxes), x)
  }

  /// `F.dropout` in training, by a rate among the attributes.
  func dropped(_ x: Value) throws -> Value {
    let rate = try double("drop_rate")
    return isTraining && rate > 0 ? try emit(.dropout(Dropout(probability: rate)), x) : x
  }

  /// A residual sum that the class's attribute asks for.
  func skipping(_ x: Value, _ y: Value) throws -> Value {
    try bool("has_skip") ? add(self(y, "drop_path"), x) : y
  }
}
