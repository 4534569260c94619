import ModelCore
import ModelGraph

extension Forward {
  /// Vision Transformer.
  static let torchvisionViT: [String: Forward] = [
    "torchvision.models.vision_transformer.VisionTransformer": Forward { net, x in
      let patches = try net.permute(net.flatten(net(x, "conv_proj"), start: 2), [0, 2, 1])
      let token = try net.expand(
        net.weight("class_token"), [.of(operand: 1, axis: 0), .fixed(1), .of(operand: 1, axis: 2)], like: patches)
      let encoded = try net(net.concatenate([token, patches]), "encoder")
      let first = try net.reshape(
        net.slice(encoded, axis: 1, to: 1), [.of(operand: 0, axis: 0), .of(operand: 0, axis: 2)])
      return try net(first, "heads")
    },
    "torchvision.models.vision_transformer.Encoder": Forward { encoder, x in
      try encoder(encoder.add(x, encoder.weight("pos_embedding")), "dropout", "layers", "ln")
    },
    "torchvision.models.vision_transformer.EncoderBlock": Forward { block, x in
      let normalized = try block(x, "ln_1")
      let attended = try block([normalized, normalized, normalized], "self_attention")
      let y = try block.add(block(attended, "dropout"), x)
      return try block.add(y, block(y, "ln_2", "mlp"))
    },
    "torchvision.models.vision_transformer.MLPBlock": .visionMLP,
  ]

  /// A sequence since 0.14; before that named layers, the activation among them.
  private static let visionMLP = Forward { block, x in
    guard block.has("linear_1") else { return try block.chain(x, Array(block.module.children.keys)) }
    return try block(x, "linear_1", "act", "dropout_1", "linear_2", "dropout_2")
  }
}
