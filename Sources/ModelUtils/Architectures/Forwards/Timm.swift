extension Forward {
  /// timm's models, as timm 1.0 pickles them, and the layers that they are made of.
  static let timm: [[String: Forward]] = [
    timmNorms, timmConvolutions, timmHeads, timmAttention, timmResNet, timmEfficientNet, timmRegNet, timmByobNet,
    timmConvNeXt, timmViT, timmCspNet, timmDPN, timmNFNet, timmMixer, timmVGG,
  ]
}
