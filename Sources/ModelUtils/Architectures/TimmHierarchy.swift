extension ClassHierarchy {
  /// timm's classes that are derived from another's than Module.
  static let timm: [String: [String: String]] = [
    "timm.layers.cbam": table(("ChannelAttn", "LightChannelAttn")),
    "timm.layers.conv2d_same": table(("Conv2d", "Conv2dSame Conv2dSameExport")),
    "timm.layers.evo_norm": table(
      ("EvoNorm2dS0", "EvoNorm2dS0a"), ("EvoNorm2dS1", "EvoNorm2dS1a"), ("EvoNorm2dS2", "EvoNorm2dS2a")),
    "timm.layers.hybrid_embed": table(("HybridEmbed", "HybridEmbedWithSize")),
    "timm.layers.mixed_conv2d": table(("ModuleDict", "MixedConv2d")),
    "timm.layers.norm": table(
      ("GroupNorm", "GroupNorm1"), ("LayerNorm", "LayerNorm2d LayerNorm2dFp32 LayerNormExp2d LayerNormFp32")),
    "timm.layers.norm_act": table(
      ("BatchNorm2d", "BatchNormAct2d"), ("SyncBatchNorm", "SyncBatchNormAct"),
      ("GroupNorm", "GroupNormAct GroupNorm1Act"),
      ("LayerNorm", "LayerNormAct LayerNormActFp32 LayerNormAct2d LayerNormAct2dFp32"),
      ("RmsNorm", "RmsNormAct RmsNormActFp32"), ("RmsNorm2d", "RmsNormAct2d RmsNormAct2dFp32")),
    "timm.layers.patch_embed": table(("PatchEmbed", "PatchEmbedWithSize")),
    "timm.layers.pool2d_same": table(("AvgPool2d", "AvgPool2dSame"), ("MaxPool2d", "MaxPool2dSame")),
    "timm.layers.pos_embed_sincos": table(("_RotaryEmbeddingBase", "RotaryEmbedding RotaryEmbeddingCat")),
    "timm.layers.split_batchnorm": table(("BatchNorm2d", "SplitBatchNorm2d")),
    "timm.layers.std_conv": table(("Conv2d", "ScaledStdConv2d ScaledStdConv2dSame StdConv2d StdConv2dSame")),
    "timm.models._efficientnet_blocks": table(("InvertedResidual", "CondConvResidual")),
    "timm.models._features": table(
      ("ModuleDict", "FeatureDictNet FeatureGetterNet FeatureHookNet"), ("FeatureDictNet", "FeatureListNet")),
    "timm.models.byobnet": table(("Sequential", "Stem")),
    "timm.models.deit": table(("VisionTransformer", "VisionTransformerDistilled")),
    "timm.models.densenet": table(("ModuleDict", "DenseBlock"), ("Sequential", "DenseTransition")),
    "timm.models.efficientformer": table(("Sequential", "Stem4")),
    "timm.models.efficientformer_v2": table(("Sequential", "Stem4")),
    "timm.models.efficientvim": table(("EfficientViM", "EfficientViMDistilled")),
    "timm.models.efficientvit_mit": table(("Sequential", "Stem")),
    "timm.models.efficientvit_msra": table(("Sequential", "ConvNorm NormLinear PatchEmbedding")),
    "timm.models.hrnet": table(
      ("Sequential", "SequentialList"), ("HighResolutionNet", "HighResolutionNetFeatures")),
    "timm.models.iformer": table(("Sequential", "ConvNorm NormLinear")),
    "timm.models.levit": table(("Sequential", "Stem16 Stem8"), ("Levit", "LevitDistilled")),
    "timm.models.metaformer": table(
      ("GroupNorm", "GroupNorm1"), ("GroupNorm1", "GroupNorm1NoBias"), ("LayerNorm", "LayerNorm2d LayerNormNoBias"),
      ("LayerNorm2d", "LayerNorm2dNoBias")),
    "timm.models.pit": table(("Sequential", "SequentialTuple")),
    "timm.models.pnasnet": table(("CellBase", "Cell CellStem0")),
    "timm.models.rdnet": table(("Sequential", "DenseStage")),
    "timm.models.repvit": table(("Sequential", "ConvNorm NormLinear")),
    "timm.models.selecsls": table(("Sequential", "SequentialList")),
    "timm.models.senet": table(("Bottleneck", "SEBottleneck SEResNeXtBottleneck SEResNetBottleneck")),
    "timm.models.sequencer": table(("RNN2dBase", "LSTM2d")),
    "timm.models.shvit": table(("Sequential", "Conv2dNorm NormLinear")),
    "timm.models.starnet": table(("Sequential", "ConvBN")), "timm.models.tiny_vit": table(("Sequential", "ConvNorm")),
    "timm.models.vision_transformer_hybrid": table(("Sequential", "ConvStem")),
    "timm.models.vovnet": table(("Sequential", "SequentialAppendList")),
  ]
}
