import ModelCore
import ModelGraph

extension Forward {
  /// timm's networks of MLPs alone: MLP-Mixer, ResMLP and gMLP.
  static let timmMixer: [String: Forward] = [
    "timm.models.mlp_mixer.MlpMixer": Forward { net, x in
      let tokens = try net(x, "stem", "blocks", "norm")
      let pooled: Graph.Value
      switch try net.string("global_pool") {
      case "avg": pooled = try net.mean(tokens, axes: [1])
      case "": pooled = tokens
      default: throw net.missing("global_pool")
      }
      return try net.run(pooled, "head_drop?", "head")
    },
    "timm.models.mlp_mixer.MixerBlock": Forward { block, x in
      let y = try block.add(x, block(block.turned(block(block.turned(block(x, "norm1")), "mlp_tokens")), "drop_path"))
      return try block.add(y, block(y, "norm2", "mlp_channels", "drop_path"))
    },
    "timm.models.mlp_mixer.ResBlock": Forward { block, x in
      let mixed = try block.turned(block(block.turned(block(x, "norm1")), "linear_tokens"))
      let y = try block.add(x, block(block.multiply(block.weight("ls1"), mixed), "drop_path"))
      let channels = try block.multiply(block.weight("ls2"), block(y, "norm2", "mlp_channels"))
      return try block.add(y, block(channels, "drop_path"))
    },
    "timm.models.mlp_mixer.Affine": Forward { affine, x in
      try affine.add(affine.weight("beta"), affine.multiply(affine.weight("alpha"), x))
    },
    "timm.models.mlp_mixer.SpatialGatingUnit": Forward { gate, x in
      let parts = try gate.chunks(x, 2, axis: -1)
      return try gate.multiply(parts[0], gate.turned(gate(gate.turned(gate(parts[1], "norm")), "proj")))
    },
    "timm.models.mlp_mixer.SpatialGatingBlock": Forward { block, x in
      try block.add(x, block(x, "norm", "mlp_channels", "drop_path"))
    },
  ]
}

extension ForwardCall {
  /// Tokens and channels change places.
  fileprivate func turned(_ x: Value) throws -> Value { try permute(x, [0, 2, 1]) }
}
