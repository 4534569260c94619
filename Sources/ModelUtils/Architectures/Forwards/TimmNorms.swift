import ModelCore
import ModelGraph

extension Forward {
  /// timm's normalisations, alone and with the activation that they hold.
  ///
  /// Those named `Fp32` compute in float32 whatever comes, which changes the rounding of halves alone.
  static let timmNorms: [String: Forward] = [
    "timm.layers.norm.GroupNorm": .ownLayer, "timm.layers.norm.GroupNorm1": .ownLayer,
    "timm.layers.norm.LayerNorm": .ownLayer, "timm.layers.norm.LayerNormFp32": .ownLayer,
    "timm.layers.norm.LayerNorm2d": .ownLayer, "timm.layers.norm.LayerNorm2dFp32": .ownLayer,
    "timm.layers.norm.LayerNormExp2d": .ownLayer,
    "timm.layers.norm.RmsNorm": Forward { try $0.rmsNorm($1) },
    "timm.layers.norm.RmsNormFp32": Forward { try $0.rmsNorm($1) },
    "timm.layers.norm.RmsNorm2d": Forward { try $0.rmsNorm2d($1) },
    "timm.layers.norm.RmsNorm2dFp32": Forward { try $0.rmsNorm2d($1) },
    "timm.layers.norm.SimpleNorm": Forward { try $0.simpleNorm($1, axis: -1) },
    "timm.layers.norm.SimpleNormFp32": Forward { try $0.simpleNorm($1, axis: -1) },
    "timm.layers.norm.SimpleNorm2d": Forward { try $0.simpleNorm($1, axis: 1) },
    "timm.layers.norm.SimpleNorm2dFp32": Forward { try $0.simpleNorm($1, axis: 1) },

    "timm.layers.norm_act.BatchNormAct2d": .layerAndActivation,
    "timm.layers.norm_act.SyncBatchNormAct": .layerAndActivation,
    "timm.layers.norm_act.FrozenBatchNormAct2d": Forward { norm, x in
      let operands = try ["weight", "bias", "running_mean", "running_var"].map { try norm.weight($0) }
      return try norm.activated(norm.emit(.batchNorm(.inference, eps: norm.double("eps")), [x] + operands))
    },
    "timm.layers.norm_act.GroupNormAct": .layerAndActivation,
    "timm.layers.norm_act.GroupNorm1Act": .layerAndActivation,
    "timm.layers.norm_act.LayerNormAct": .layerAndActivation,
    "timm.layers.norm_act.LayerNormActFp32": .layerAndActivation,
    "timm.layers.norm_act.LayerNormAct2d": .layerAndActivation,
    "timm.layers.norm_act.LayerNormAct2dFp32": .layerAndActivation,
    "timm.layers.norm_act.RmsNormAct": Forward { try $0.activated($0.rmsNorm($1)) },
    "timm.layers.norm_act.RmsNormActFp32": Forward { try $0.activated($0.rmsNorm($1)) },
    "timm.layers.norm_act.RmsNormAct2d": Forward { try $0.activated($0.rmsNorm2d($1)) },
    "timm.layers.norm_act.RmsNormAct2dFp32": Forward { try $0.activated($0.rmsNorm2d($1)) },

    "timm.layers.filter_response_norm.FilterResponseNormTlu2d": Forward { norm, x in
      let y = try norm.filterResponseNorm(x)
      return try norm.optionalWeight("tau").map { try norm.binary(.maximum, y, norm.channels($0)) } ?? y
    },
    "timm.layers.filter_response_norm.FilterResponseNormAct2d": Forward { norm, x in
      try norm(norm.filterResponseNorm(x), "act")
    },
    "timm.layers.evo_norm.EvoNorm2dS0": Forward { try $0.evoNorm($1, alwaysDivides: false) },
    "timm.layers.evo_norm.EvoNorm2dS0a": Forward { try $0.evoNorm($1, alwaysDivides: true) },
    "timm.layers.grn.GlobalResponseNorm": Forward { try $0.globalResponseNorm($1) },
  ]

  private static let layerAndActivation = Forward { norm, x in
    try norm.activated(norm.compute(norm.module.layer, [x])[0])
  }
}

extension ForwardCall {
  /// What stands behind a norm: a kind of dropout and an activation.
  fileprivate func activated(_ x: Value) throws -> Value { try run(x, "drop?", "act?") }

  /// A vector for the channels of a picture: [1, channels, 1, 1].
  func channels(_ vector: Value) throws -> Value {
    try reshape(vector, [.fixed(1), .inferred, .fixed(1), .fixed(1)])
  }

  fileprivate func rmsNorm(_ x: Value) throws -> Value {
    let axes = try ints("normalized_shape").count
    return try emit(
      .rmsNorm(axes: axes, eps: double("eps")), [x] + (optionalWeight("weight").map { [$0] } ?? []))
  }

  fileprivate func rmsNorm2d(_ x: Value) throws -> Value {
    guard try ints("normalized_shape").count == 1 else { throw missing("normalized_shape") }
    return try permute(rmsNorm(permute(x, [0, 2, 3, 1])), [0, 3, 1, 2])
  }

  /// Divided by the deviation, whose variance is that of a sample; the mean stays.
  fileprivate func simpleNorm(_ x: Value, axis: Int) throws -> Value {
    let shape = try ints("normalized_shape")
    guard shape.count == 1, shape[0] > 1 else { throw missing("normalized_shape") }
    let centred = try subtract(x, mean(x, axes: [axis], keepsAxes: true))
    let variance = try multiply(
      mean(unary(.square, centred), axes: [axis], keepsAxes: true), Double(shape[0]) / Double(shape[0] - 1))
    let y = try multiply(x, unary(.rsqrt, add(variance, double("eps"))))
    guard let weight = optionalWeight("weight") else { return y }
    return try multiply(y, axis == 1 ? channels(weight) : weight)
  }

  fileprivate func filterResponseNorm(_ x: Value) throws -> Value {
    let power = try mean(unary(.square, x), axes: [2, 3], keepsAxes: true)
    let y = try multiply(x, unary(.rsqrt, add(power, double("eps"))))
    return try add(multiply(y, channels(weight("weight"))), channels(weight("bias")))
  }

  /// A gate by the sigmoid, over the deviation of groups of channels.
  fileprivate func evoNorm(_ x: Value, alwaysDivides: Bool) throws -> Value {
    let groups = try int("groups")
    guard groups > 0 else { throw missing("groups") }
    var y = x
    let gate = optionalWeight("v")
    if let gate { y = try multiply(x, sigmoid(multiply(x, channels(gate)))) }
    if alwaysDivides || gate != nil {
      let batch = Extent.of(operand: 0, axis: 0)
      let parts = try reshape(x, [batch, .fixed(groups), .inferred])
      let centred = try subtract(parts, mean(parts, axes: [2], keepsAxes: true))
      let deviation = try unary(
        .sqrt, add(mean(unary(.square, centred), axes: [2], keepsAxes: true), double("eps")))
      y = try reshape(
        divide(reshape(y, [batch, .fixed(groups), .inferred]), deviation),
        (0..<4).map { .of(operand: 1, axis: $0) }, like: x)
    }
    return try add(multiply(y, channels(weight("weight"))), channels(weight("bias")))
  }

  /// Scaled by how the norms of a picture's channels compare with one another.
  fileprivate func globalResponseNorm(_ x: Value) throws -> Value {
    let axes = try ints("spatial_dim")
    let isLast = try int("channel_dim") != 1
    let norms = try emit(.reduce(.norm, axes: axes, keepsAxes: true), x)
    let relative = try divide(norms, add(mean(norms, axes: [isLast ? -1 : 1], keepsAxes: true), double("eps")))
    let (weight, bias) = try (weight("weight"), weight("bias"))
    return try add(
      x, add(isLast ? bias : channels(bias), multiply(isLast ? weight : channels(weight), multiply(x, relative))))
  }
}
