import ModelCore
import ModelGraph

extension Forward {
  /// timm's convolutions and pools that pad by the picture's size, those whose weights are normalised when they run,
  /// and what is made of them.
  static let timmConvolutions: [String: Forward] = [
    "timm.layers.conv2d_same.Conv2dSame": Forward { conv, x in
      var own = try conv.ownConvolution()
      // Whatever its own padding says, the size alone counts.
      (own.padding, own.paddingMode) = ([0, 0], "zeros")
      return try conv.convolution(own, conv.samePad(x, own))
    },
    "timm.layers.std_conv.StdConv2d": Forward { try $0.standardized($1, isScaled: false) },
    "timm.layers.std_conv.StdConv2dSame": Forward { try $0.standardized($1, isScaled: false) },
    "timm.layers.std_conv.ScaledStdConv2d": Forward { try $0.standardized($1, isScaled: true) },
    "timm.layers.std_conv.ScaledStdConv2dSame": Forward { try $0.standardized($1, isScaled: true) },
    "timm.layers.linear.Linear": .ownLayer,
    "timm.layers.mixed_conv2d.MixedConv2d": Forward { mixed, x in
      let names = Array(mixed.module.children.keys)
      let parts = try mixed.split(x, mixed.ints("splits"))
      guard parts.count == names.count else { throw mixed.missing("splits") }
      return try mixed.concatenate(zip(parts, names).map { try mixed($0, $1) })
    },
    "timm.layers.conv_bn_act.ConvNormAct": .convolutionAndNorm,
    // Its name until 0.9.
    "timm.layers.conv_bn_act.ConvNormActAa": .convolutionAndNorm,
    "timm.layers.separable_conv.SeparableConvNormAct": .chain("conv_dw", "conv_pw", "bn"),
    "timm.layers.separable_conv.SeparableConv2d": .chain("conv_dw", "conv_pw"),

    "timm.layers.pool2d_same.AvgPool2dSame": Forward { try $0.samePool($1, .average) },
    "timm.layers.pool2d_same.MaxPool2dSame": Forward { try $0.samePool($1, .max) },
    "timm.layers.blur_pool.BlurPool2d": Forward { try $0.blurPool($1) },
    "timm.layers.space_to_depth.SpaceToDepth": Forward { try $0.blocksToChannels($1) },

    "timm.layers.adaptive_avgmax_pool.SelectAdaptivePool2d": .chain("pool", "flatten"),
    "timm.layers.adaptive_avgmax_pool.FastAdaptiveAvgPool": Forward { pool, x in
      try pool.globalPool(.mean, x, pool.ints("dim"))
    },
    "timm.layers.adaptive_avgmax_pool.FastAdaptiveMaxPool": Forward { pool, x in
      try pool.globalPool(.max, x, pool.ints("dim"))
    },
    "timm.layers.adaptive_avgmax_pool.FastAdaptiveAvgMaxPool": Forward { pool, x in
      let axes = try pool.ints("dim")
      return try pool.half(pool.globalPool(.mean, x, axes), pool.globalPool(.max, x, axes))
    },
    "timm.layers.adaptive_avgmax_pool.FastAdaptiveCatAvgMaxPool": Forward { pool, x in
      let axes = try pool.ints("dim_reduce")
      return try pool.concatenate(
        [pool.globalPool(.mean, x, axes), pool.globalPool(.max, x, axes)], axis: pool.int("dim_cat"))
    },
    "timm.layers.adaptive_avgmax_pool.AdaptiveAvgMaxPool2d": Forward { pool, x in
      try pool.half(pool.adaptivePool(.average, x), pool.adaptivePool(.max, x))
    },
    "timm.layers.adaptive_avgmax_pool.AdaptiveCatAvgMaxPool2d": Forward { pool, x in
      try pool.concatenate([pool.adaptivePool(.average, x), pool.adaptivePool(.max, x)])
    },
  ]

  private static let convolutionAndNorm = Forward { try $0.run($1, "conv", "bn", "aa?") }
}

extension ForwardCall {
  /// Half the sum of two.
  func half(_ first: Value, _ second: Value) throws -> Value { try multiply(add(first, second), 0.5) }

  // MARK: Convolutions

  fileprivate func ownConvolution() throws -> Convolution {
    guard case .convolution(let convolution) = module.layer, convolution.rank == 2, !convolution.isTransposed else {
      throw ModelError(.unsupported, "the forward of \(module.className) is not known", subject: path)
    }
    return convolution
  }

  fileprivate func samePad(_ x: Value, _ convolution: Convolution) throws -> Value {
    try emit(
      .samePad(
        SamePadding(
          kernelSize: convolution.kernelSize, stride: convolution.stride, dilation: convolution.dilation)), x)
  }

  /// A convolution each of whose kernels is first made one of mean 0 and deviation 1, then scaled by `gain`.
  fileprivate func standardized(_ x: Value, isScaled: Bool) throws -> Value {
    var own = try ownConvolution()
    own.paddingMode = "zeros"
    let isSame = try module.attributes["same_pad"] != nil && bool("same_pad")
    let weight = try weight("weight")
    let rows = try reshape(weight, [.fixed(own.outChannels), .inferred])
    var normal = try emit(.layerNorm(axes: 1, eps: double("eps")), rows)
    if isScaled {
      let gain = try reshape(self.weight("gain"), [.fixed(own.outChannels), .fixed(1)])
      normal = try multiply(normal, multiply(gain, double("scale")))
    }
    let shape = (0..<4).map { Extent.of(operand: 1, axis: $0) }
    return try convolution(own, isSame ? samePad(x, own) : x, weight: reshape(normal, shape, like: weight))
  }

  // MARK: Pools

  fileprivate func samePool(_ x: Value, _ kind: Pool.Kind) throws -> Value {
    let (kernel, stride) = try (pair("kernel_size"), pair("stride"))
    let dilation = try kind == .max ? pair("dilation") : [1, 1]
    let padded = try emit(
      .samePad(
        SamePadding(kernelSize: kernel, stride: stride, dilation: dilation, value: kind == .max ? -.infinity : 0)), x)
    let countsPadding = try kind == .max || bool("count_include_pad")
    return try emit(
      .pool(
        Pool(
          kind, kernelSize: kernel, stride: stride, padding: pair("padding"), dilation: dilation,
          ceilMode: bool("ceil_mode"), countsPadding: countsPadding,
          divisor: module.attributes["divisor_override"]?.intValue)), padded)
  }

  /// Every channel by one binomial filter, in steps.
  fileprivate func blurPool(_ x: Value) throws -> Value {
    let margins = try ints("padding")
    let mode: PadMode
    switch try string("pad_mode") {
    case "reflect": mode = .reflect
    case "constant": mode = .constant(0)
    case "replicate": mode = .replicate
    case "circular": mode = .circular
    default: throw missing("pad_mode")
    }
    guard margins.count == 4 else { throw missing("padding") }
    let padded = try emit(
      .pad([Margin(0), Margin(0), Margin(margins[2], margins[3]), Margin(margins[0], margins[1])], mode), x)
    let stride = try pair("stride")
    func convolved(_ x: Value, groups: Int) throws -> Value {
      try emit(
        .convolution(
          ConvolutionGeometry(stride: stride, padding: [Margin(0), Margin(0)], dilation: [1, 1], groups: groups)),
        x, weight("filt"))
    }
    if let channels = module.attributes["channels"]?.intValue { return try convolved(padded, groups: channels) }
    // One filter for however many channels come: each is a picture of its own.
    let planes = try convolved(
      reshape(padded, [.inferred, .fixed(1), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)]), groups: 1)
    return try reshape(
      planes,
      [.of(operand: 1, axis: 0), .of(operand: 1, axis: 1), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)],
      like: padded)
  }

  /// Blocks of a picture become channels, a block's places before the old channels.
  fileprivate func blocksToChannels(_ x: Value) throws -> Value {
    let size = try int("bs")
    guard size > 0, size <= 1 << 10 else { throw missing("bs") }
    let (batch, channels) = (Extent.of(operand: 0, axis: 0), Extent.of(operand: 0, axis: 1))
    let (rows, columns) = (
      Extent.of(operand: 0, axis: 2, divisor: size), Extent.of(operand: 0, axis: 3, divisor: size)
    )
    let blocks = try permute(
      reshape(x, [batch, channels, rows, .fixed(size), columns, .fixed(size)]), [0, 3, 5, 1, 2, 4])
    return try reshape(
      blocks, [batch, .inferred, .of(operand: 0, axis: 4), .of(operand: 0, axis: 5)])
  }

  fileprivate func globalPool(_ reduction: Reduction, _ x: Value, _ axes: [Int]) throws -> Value {
    try emit(.reduce(reduction, axes: axes, keepsAxes: !bool("flatten")), x)
  }

  fileprivate func adaptivePool(_ kind: Pool.Kind, _ x: Value) throws -> Value {
    try emit(.adaptivePool(AdaptivePool(kind, outputSize: pair("output_size"))), x)
  }
}
