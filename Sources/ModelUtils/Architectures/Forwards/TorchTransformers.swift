import ModelCore
import ModelGraph

extension Forward {
  /// `torch.nn`'s transformers, without masks: the source comes first, and to a decoder the target and the memory.
  static let torchTransformers: [String: Forward] = [
    "torch.nn.modules.transformer.TransformerEncoderLayer": Forward { layer, x in
      func attend(_ x: Graph.Value) throws -> Graph.Value { try layer(layer([x, x, x], "self_attn"), "dropout1") }
      if layer.isTrue("norm_first") {
        let y = try layer.add(x, attend(layer(x, "norm1")))
        return try layer.add(y, layer.feed(layer(y, "norm2"), "dropout2"))
      }
      let y = try layer(layer.add(x, attend(x)), "norm1")
      return try layer(layer.add(y, layer.feed(y, "dropout2")), "norm2")
    },
    "torch.nn.modules.transformer.TransformerDecoderLayer": .list { layer, inputs in
      try layer.check(inputs, count: 2)
      let (x, memory) = (inputs[0], inputs[1])
      func attend(_ x: Graph.Value) throws -> Graph.Value { try layer(layer([x, x, x], "self_attn"), "dropout1") }
      func look(_ x: Graph.Value) throws -> Graph.Value {
        try layer(layer([x, memory, memory], "multihead_attn"), "dropout2")
      }
      if layer.isTrue("norm_first") {
        let y = try layer.add(x, attend(layer(x, "norm1")))
        let z = try layer.add(y, look(layer(y, "norm2")))
        return try layer.add(z, layer.feed(layer(z, "norm3"), "dropout3"))
      }
      let y = try layer(layer.add(x, attend(x)), "norm1")
      let z = try layer(layer.add(y, look(y)), "norm2")
      return try layer(layer.add(z, layer.feed(z, "dropout3")), "norm3")
    },
    "torch.nn.modules.transformer.TransformerEncoder": Forward { encoder, x in
      let y = try encoder.chain(x, encoder.list("layers"))
      return encoder.has("norm") ? try encoder(y, "norm") : y
    },
    "torch.nn.modules.transformer.TransformerDecoder": .list { decoder, inputs in
      try decoder.check(inputs, count: 2)
      let y = try decoder.list("layers").reduce(inputs[0]) { try decoder([$0, inputs[1]], $1) }
      return decoder.has("norm") ? try decoder(y, "norm") : y
    },
    "torch.nn.modules.transformer.Transformer": .list { net, inputs in
      try net.check(inputs, count: 2)
      return try net([inputs[1], net(inputs[0], "encoder")], "decoder")
    },
  ]
}

extension ForwardCall {
  fileprivate func feed(_ x: Value, _ dropout: String) throws -> Value {
    try self(activate(self(x, "linear1")), "dropout", "linear2", dropout)
  }

  /// The activation is a module, or a function of PyTorch's that is named among the attributes; ReLU where there is none.
  private func activate(_ x: Value) throws -> Value {
    if has("activation") { return try self(x, "activation") }
    switch module.attributes["activation"] {
    case nil, .opaque("torch.nn.functional.relu"), .opaque("torch.relu"): return try relu(x)
    case .opaque("torch._C._nn.gelu"), .opaque("torch.nn.functional.gelu"):
      return try unary(.gelu(isApproximate: false), x)
    default: throw missing("activation")
    }
  }
}
