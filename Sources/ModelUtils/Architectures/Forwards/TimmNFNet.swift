import ModelCore
import ModelGraph

extension Forward {
  /// timm's networks without norms: NFNet, NF-ResNet and NF-RegNet.
  static let timmNFNet: [String: Forward] = [
    "timm.models.nfnet.NormFreeNet": .chain("stem", "stages", "final_conv", "final_act", "head"),
    "timm.models.nfnet.DownsampleAvg": .chain("pool", "conv"),
    "timm.models.nfnet.NormFreeBlock": Forward { block, x in
      let scaled = try block.multiply(block(x, "act1"), block.double("beta"))
      let shortcut = try block.has("downsample") ? block(scaled, "downsample") : x
      var y = try block.run(scaled, "conv1", "act2", "conv2", "act2b?", "conv2b?")
      if block.has("attn") { y = try block.multiply(block(y, "attn"), block.double("attn_gain")) }
      y = try block(y, "act3", "conv3")
      if block.has("attn_last") { y = try block.multiply(block(y, "attn_last"), block.double("attn_gain")) }
      y = try block(y, "drop_path")
      if let gain = block.optionalWeight("skipinit_gain") { y = try block.multiply(y, gain) }
      return try block.add(block.multiply(y, block.double("alpha")), shortcut)
    },
    "timm.models.nfnet.GammaAct": Forward { try $0.gammaActivation($1) },
  ]
}

extension ForwardCall {
  /// A function that stands among the attributes, times a number.
  fileprivate func gammaActivation(_ x: Value) throws -> Value {
    guard case .opaque(let name) = module.attributes["act_fn"] else { throw missing("act_fn") }
    let functions: [String: Unary] = [
      "relu": .relu, "relu6": .clip(minimum: 0, maximum: 6), "silu": .silu, "mish": .mish, "elu": .elu(alpha: 1),
      "celu": .celu(alpha: 1), "selu": .selu, "gelu": .gelu(isApproximate: false),
      "gelu_tanh": .gelu(isApproximate: true), "sigmoid": .sigmoid, "tanh": .tanh, "hardsigmoid": .hardsigmoid,
      "hardswish": .hardswish, "leaky_relu": .leakyReLU(slope: 0.01),
    ]
    let parts = name.split(separator: ".").map(String.init)
    guard ["torch", "timm"].contains(parts.first), let function = functions[parts[parts.count - 1]] else {
      throw ModelError(.unsupported, "the activation \(name) is not known", subject: path)
    }
    return try multiply(unary(function, x), double("gamma"))
  }
}
