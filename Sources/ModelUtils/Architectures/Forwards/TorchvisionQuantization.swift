import ModelCore

extension Forward {
  /// torchvision's quantizable models while they are still in floating point: stubs hand on what they get, and sums and
  /// concatenations are modules.
  static let torchvisionQuantization: [String: Forward] = {
    var forwards: [String: Forward] = [
      "torch.ao.quantization.stubs.QuantStub": Forward { $1 },
      "torch.ao.quantization.stubs.DeQuantStub": Forward { $1 },
      "torch.quantization.stubs.QuantStub": Forward { $1 },
      "torch.quantization.stubs.DeQuantStub": Forward { $1 },
    ]
    // What torch.ao.quantization.fuse_modules leaves: modules in the first one's place, in their order.
    for name in ["ConvBn", "ConvReLU", "ConvBnReLU"] {
      for rank in 1...3 { forwards["torch.ao.nn.intrinsic.modules.fused.\(name)\(rank)d"] = .sequential }
    }
    for name in ["LinearReLU", "LinearBn1d", "BNReLU2d", "BNReLU3d"] {
      forwards["torch.ao.nn.intrinsic.modules.fused.\(name)"] = .sequential
    }
    for (name, forward) in quantizable { forwards["torchvision.models.quantization.\(name)"] = forward }
    return forwards
  }()

  private static let quantizable: [String: Forward] = [
    "resnet.QuantizableResNet": .stubbed(torchvisionResNet["torchvision.models.resnet.ResNet"]),
    "resnet.QuantizableBasicBlock": Forward { block, x in
      try block.quantizableSum(block(x, "conv1", "bn1", "relu", "conv2", "bn2"), x, "add_relu")
    },
    "resnet.QuantizableBottleneck": Forward { block, x in
      let y = try block(x, "conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3")
      return try block.quantizableSum(y, x, "skip_add_relu")
    },
    "mobilenetv2.QuantizableMobileNetV2": .stubbed(torchvisionMobileNet["torchvision.models.mobilenetv2.MobileNetV2"]),
    "mobilenetv2.QuantizableInvertedResidual": .residual("conv", through: "skip_add"),
    "mobilenetv3.QuantizableMobileNetV3": .stubbed(torchvisionMobileNet["torchvision.models.mobilenetv3.MobileNetV3"]),
    "mobilenetv3.QuantizableInvertedResidual": .residual("block", through: "skip_add"),
    "mobilenetv3.QuantizableSqueezeExcitation": Forward { gate, x in
      let scale = try gate(x, "avgpool", "fc1", "activation", "fc2", "scale_activation")
      return try gate.joined(gate.multiply(scale, x), "skip_mul")
    },
    "shufflenetv2.QuantizableShuffleNetV2": .stubbed(
      torchvisionShuffleNet["torchvision.models.shufflenetv2.ShuffleNetV2"]),
    "shufflenetv2.QuantizableInvertedResidual": .joining(
      torchvisionShuffleNet["torchvision.models.shufflenetv2.InvertedResidual"], "cat"),
    "googlenet.QuantizableGoogLeNet": .stubbed(torchvisionGoogLeNet["torchvision.models.googlenet.GoogLeNet"]),
    "googlenet.QuantizableBasicConv2d": .chain("conv", "bn", "relu"),
    "googlenet.QuantizableInception": .joining(torchvisionGoogLeNet["torchvision.models.googlenet.Inception"], "cat"),
    "googlenet.QuantizableInceptionAux": Forward { head, x in
      let pooled = try head.emit(.adaptivePool(AdaptivePool(.average, outputSize: [4, 4])), x)
      return try head(head.flatten(head(pooled, "conv")), "fc1", "relu", "dropout", "fc2")
    },
    "inception.QuantizableInception3": .stubbed(torchvisionInception["torchvision.models.inception.Inception3"]),
    "inception.QuantizableBasicConv2d": .chain("conv", "bn", "relu"),
    "inception.QuantizableInceptionA": .joining(inception("A"), "myop"),
    "inception.QuantizableInceptionB": .joining(inception("B"), "myop"),
    "inception.QuantizableInceptionC": .joining(inception("C"), "myop"),
    "inception.QuantizableInceptionD": .joining(inception("D"), "myop"),
    "inception.QuantizableInceptionE": Forward { block, x in
      let single = try block(x, "branch3x3_1")
      let double = try block(x, "branch3x3dbl_1", "branch3x3dbl_2")
      let pooled = try block.averagePool(x, kernel: 3, stride: 1, padding: 1)
      let branches = try [
        block(x, "branch1x1"),
        block.joined(block.concatenate([block(single, "branch3x3_2a"), block(single, "branch3x3_2b")]), "myop1"),
        block.joined(block.concatenate([block(double, "branch3x3dbl_3a"), block(double, "branch3x3dbl_3b")]), "myop2"),
        block(pooled, "branch_pool"),
      ]
      return try block.joined(block.concatenate(branches), "myop3")
    },
    "inception.QuantizableInceptionAux": inceptionAux,
  ]

  private static func inception(_ kind: String) -> Forward? {
    torchvisionInception["torchvision.models.inception.Inception\(kind)"]
  }

  private static let inceptionAux = torchvisionInception["torchvision.models.inception.InceptionAux"] ?? .sequential

  /// Another class's forward between the two stubs; what a training's further heads give leaves as it is.
  private static func stubbed(_ base: Forward?) -> Forward {
    guard let base else { return .sequential }
    var forward = lists { net, inputs in
      let outputs = try base.run(net, [net(net.only(inputs), "quant")])
      guard let first = outputs.first else { return outputs }
      return try [net(first, "dequant")] + outputs.dropFirst()
    }
    for child in base.idleChildren { forward = forward.leaving(child) }
    return forward
  }

  /// Another class's forward, whose last sum or concatenation is a module's.
  private static func joining(_ base: Forward?, _ child: String) -> Forward {
    Forward { block, x in
      guard let base else { throw block.missing(child) }
      return try block.joined(block.only(base.run(block, [x])), child)
    }
  }

  private static func residual(_ child: String, through sum: String) -> Forward {
    Forward { block, x in
      let y = try block(x, child)
      return try block.bool("use_res_connect") ? block.joined(block.add(x, y), sum) : y
    }
  }
}

extension ForwardCall {
  /// What a FloatFunctional computed, handed to what watches it: nothing but an identity is known.
  fileprivate func joined(_ x: Value, _ child: String) throws -> Value {
    let observer = "\(child).activation_post_process"
    guard module[observer]?.layer == .identity else {
      throw ModelError(
        .unsupported, "its activations are watched or quantized, which is not known", subject: path(of: child))
    }
    return try self(x, observer)
  }

  /// The shortcut added, and the activation of both.
  fileprivate func quantizableSum(_ y: Value, _ x: Value, _ child: String) throws -> Value {
    try joined(relu(add(y, has("downsample") ? self(x, "downsample") : x)), child)
  }
}
