import ModelCore

extension Forward {
  /// timm's EfficientNet and the MobileNets, MNASNet, MixNet, FBNet and the like that its blocks make up.
  static let timmEfficientNet: [String: Forward] = [
    "timm.models.efficientnet.EfficientNet": Forward { net, x in
      let y = try net(x, "conv_stem", "bn1", "blocks", "conv_head", "bn2", "global_pool")
      return try net(net.dropped(y), "classifier")
    },
    "timm.models.mobilenetv3.MobileNetV3": Forward { net, x in
      let y = try net.run(
        x, "conv_stem", "bn1", "blocks", "global_pool", "conv_head", "norm_head?", "act2", "flatten")
      return try net(net.dropped(y), "classifier")
    },
    "timm.models._efficientnet_blocks.SqueezeExcite": Forward { se, x in
      let squeezed = try se.mean(x, axes: [2, 3], keepsAxes: true)
      return try se.multiply(x, se(squeezed, "conv_reduce", "act1", "conv_expand", "gate"))
    },
    "timm.models._efficientnet_blocks.ConvBnAct": Forward { block, x in
      try block.skipping(x, block.run(x, "conv", "bn1", "aa?"))
    },
    "timm.models._efficientnet_blocks.DepthwiseSeparableConv": Forward { block, x in
      try block.skipping(x, block.run(x, "conv_s2d?", "bn_s2d?", "conv_dw", "bn1", "aa?", "se", "conv_pw", "bn2"))
    },
    "timm.models._efficientnet_blocks.InvertedResidual": Forward { block, x in
      try block.skipping(
        x,
        block.run(
          x, "conv_s2d?", "bn_s2d?", "conv_pw", "bn1", "conv_dw", "bn2", "aa?", "se", "conv_pwl", "bn3"))
    },
    "timm.models._efficientnet_blocks.UniversalInvertedResidual": Forward { block, x in
      try block.skipping(x, block(x, "dw_start", "pw_exp", "dw_mid", "se", "pw_proj", "dw_end", "layer_scale"))
    },
    "timm.models._efficientnet_blocks.EdgeResidual": Forward { block, x in
      try block.skipping(x, block.run(x, "conv_exp", "bn1", "aa?", "se", "conv_pwl", "bn2"))
    },
    "timm.models._efficientnet_blocks.MobileAttention": Forward { block, x in
      let x = try block.has("conv_cpe_dw") ? block.add(x, block(x, "conv_cpe_dw")) : x
      return try block.skipping(x, block(x, "norm", "attn", "layer_scale"))
    },
  ]
}
