import ModelCore

extension Forward {
  /// timm's VGG.
  static let timmVGG: [String: Forward] = [
    "timm.models.vgg.VGG": .chain("features", "pre_logits", "head"),
    // What is smaller than its first kernel is pooled to that size.
    "timm.models.vgg.ConvMlp": Forward { mlp, x in
      let (kernel, shape) = (try mlp.int("input_kernel_size"), try mlp.shape(of: x))
      guard shape.count == 4 else { throw mlp.missing("input_kernel_size") }
      let size = shape.suffix(2).map { Swift.max($0, kernel) }
      let enlarged =
        size == Array(shape.suffix(2)) ? x : try mlp.emit(.adaptivePool(AdaptivePool(.average, outputSize: size)), x)
      return try mlp(enlarged, "fc1", "act1", "drop", "fc2", "act2")
    },
  ]
}
