import ModelCore

/// ViT, base to huge, for pictures of 224 x 224.
struct VisionTransformer: Sendable {
  let patch: Int
  let layers: Int
  let heads: Int
  let width: Int

  static let architectures = [
    ("vit_b_16", VisionTransformer(patch: 16, layers: 12, heads: 12, width: 768)),
    ("vit_b_32", VisionTransformer(patch: 32, layers: 12, heads: 12, width: 768)),
    ("vit_l_16", VisionTransformer(patch: 16, layers: 24, heads: 16, width: 1024)),
    ("vit_l_32", VisionTransformer(patch: 32, layers: 24, heads: 16, width: 1024)),
    ("vit_h_14", VisionTransformer(patch: 14, layers: 32, heads: 16, width: 1280)),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  private static let imageSize = 224
  private static let eps = 1e-6

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let patches = make.conv2d(3, width, patch, stride: patch)
    let token = make.parameter([1, 1, width], .constant(0))
    let length = (Self.imageSize / patch) * (Self.imageSize / patch) + 1
    let encoder = encoder(make, length: length)
    let head = make.linear(width, classes)
    // Truncated at 55 deviations and more, where nothing is drawn.
    make.set(patches.parameters["weight"], to: .normal(standardDeviation: (1 / Double(3 * patch * patch)).squareRoot()))
    for parameter in [patches.parameters["bias"], head.parameters["weight"], head.parameters["bias"]] {
      make.set(parameter, to: .constant(0))
    }
    return make.module(
      TorchVision.className("vision_transformer", "VisionTransformer"),
      attributes: [
        "image_size": .int(Self.imageSize), "patch_size": .int(patch), "hidden_dim": .int(width),
        "mlp_dim": .int(4 * width), "attention_dropout": .double(0), "dropout": .double(0),
        "num_classes": .int(classes),
        "representation_size": .none, "seq_length": .int(length),
      ], ["conv_proj": patches, "encoder": encoder, "heads": make.sequential(named: ["head": head])],
      parameters: ["class_token": token])
  }

  private func encoder(_ make: ModuleBuilder, length: Int) -> Module {
    let positions = make.parameter([1, length, width], .normal(standardDeviation: 0.02))
    var blocks: OrderedDictionary<String, Module> = [:]
    for index in 0..<layers { blocks["encoder_layer_\(index)"] = block(make) }
    return make.module(
      TorchVision.className("vision_transformer", "Encoder"),
      [
        "dropout": make.dropout(0), "layers": make.sequential(named: blocks),
        "ln": make.layerNorm(width, eps: Self.eps),
      ], parameters: ["pos_embedding": positions])
  }

  private func block(_ make: ModuleBuilder) -> Module {
    make.module(
      TorchVision.className("vision_transformer", "EncoderBlock"), attributes: ["num_heads": .int(heads)],
      [
        "ln_1": make.layerNorm(width, eps: Self.eps),
        "self_attention": make.multiheadAttention(width, heads: heads, isBatchFirst: true), "dropout": make.dropout(0),
        "ln_2": make.layerNorm(width, eps: Self.eps),
        "mlp": make.transformerMLP(width, TorchVision.className("vision_transformer", "MLPBlock")),
      ])
  }
}
