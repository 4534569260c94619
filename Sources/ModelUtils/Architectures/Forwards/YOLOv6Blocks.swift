import ModelCore
import ModelGraph

extension Forward {
  /// The blocks of YOLOv6's layers/common.py, from 0.1 to 0.4.
  static let yolov6Blocks: [String: Forward] = [
    "yolov6.layers.common.SiLU": Forward { try $0.unary(.silu, $1) },
    "yolov6.layers.common.Conv": .chain("conv", "bn", "act"),
    "yolov6.layers.common.Conv.forward_fuse": .chain("conv", "act"),
    "yolov6.layers.common.SimConv": .chain("conv", "bn", "act"),
    "yolov6.layers.common.SimConv.forward_fuse": .chain("conv", "act"),
    "yolov6.layers.common.Conv_C3": .chain("conv", "bn", "act"),
    "yolov6.layers.common.Conv_C3.forward_fuse": .chain("conv", "act"),
    "yolov6.layers.common.ConvWrapper": .chain("block"),
    "yolov6.layers.common.SimConvWrapper": .chain("block"),
    "yolov6.layers.common.ConvModule": Forward { try $0.activated($0($1, "conv", "bn")) },
    "yolov6.layers.common.ConvModule.forward_fuse": Forward { try $0.activated($0($1, "conv")) },
    "yolov6.layers.common.ConvBN": .chain("block"),
    "yolov6.layers.common.ConvBNReLU": .chain("block"),
    "yolov6.layers.common.ConvBNSiLU": .chain("block"),
    "yolov6.layers.common.ConvBNHS": .chain("block"),
    "yolov6.layers.common.Transpose": .chain("upsample_transpose"),
    "yolov6.layers.common.SPPFModule": .pooledThrice,
    "yolov6.layers.common.SPPF": wrapped("sppf", or: pooledThrice),
    "yolov6.layers.common.SimSPPF": wrapped("sppf", or: pooledThrice),
    "yolov6.layers.common.CSPSPPFModule": .cspPooledThrice,
    "yolov6.layers.common.CSPSPPF": wrapped("cspsppf", or: cspPooledThrice),
    "yolov6.layers.common.SimCSPSPPF": wrapped("cspsppf", or: cspPooledThrice),
    "yolov6.layers.common.RepVGGBlock": Forward { block, x in
      try block(block.reparameterized(x), "se", "nonlinearity")
    },
    "yolov6.layers.common.QARepVGGBlock": Forward { block, x in
      try block(block.reparameterized(x), "se", "bn", "nonlinearity")
    },
    "yolov6.layers.common.QARepVGGBlockV2": Forward { block, x in
      let y = try block.reparameterized(x)
      return try block(block.has("rbr_avg") ? block.add(y, block(x, "rbr_avg")) : y, "se", "bn", "nonlinearity")
    },
    "yolov6.layers.common.RealVGGBlock": .chain("conv", "bn", "se", "relu"),
    "yolov6.layers.common.LinearAddBlock": Forward { block, x in
      let y = try block.add(block(x, "conv", "scale_conv"), block(x, "conv_1x1", "scale_1x1"))
      let sum = block.has("scale_identity") ? try block.add(y, block(x, "scale_identity")) : y
      return try block(sum, "bn", "se", "relu")
    },
    "yolov6.layers.common.ScaleLayer": Forward { layer, x in
      func spread(_ weight: Graph.Value) throws -> Graph.Value {
        try layer.reshape(weight, [.fixed(1), .fixed(layer.int("num_features")), .fixed(1), .fixed(1)])
      }
      let y = try layer.multiply(x, spread(layer.weight("weight")))
      return try layer.optionalWeight("bias").map { try layer.add(y, spread($0)) } ?? y
    },
    "yolov6.layers.common.RepBlock": Forward { block, x in
      let y = try block(x, "conv1")
      return block.has("block") ? try block(y, "block") : y
    },
    "yolov6.layers.common.BottleRep": Forward { try $0.scaledShortcut($1, $0($1, "conv1", "conv2")) },
    "yolov6.layers.common.BottleRep3": Forward { try $0.scaledShortcut($1, $0($1, "conv1", "conv2", "conv3")) },
    "yolov6.layers.common.BepC3": Forward { block, x in
      let y = try block(x, "cv1", "m")
      // The releases that have the attribute can leave the second branch out.
      guard block.module.attributes["concat"] == nil || block.isTrue("concat") else { return try block(y, "cv3") }
      return try block(block.concatenate([y, block(x, "cv2")]), "cv3")
    },
    "yolov6.layers.common.MBLABlock": Forward { block, x in
      guard let sizes = block.module.attributes["split_num"]?.intsValue else { throw block.missing("split_num") }
      let parts = try block.split(block(x, "cv1"), sizes)
      let branches = block.list("m")
      guard parts.count == branches.count + 1 else { throw block.missing("split_num") }
      let outputs = try zip(branches, parts.dropFirst()).flatMap { branch, part in
        try block.successive(block.list(branch), from: [part])
      }
      return try block(block.concatenate([parts[0]] + outputs), "cv2")
    },
    "yolov6.layers.common.BiFusion": .list { block, inputs in
      guard inputs.count == 3 else {
        throw ModelError(.mismatch, "takes three tensors, not \(inputs.count)", subject: block.path)
      }
      let parts = try [
        block(inputs[0], "upsample"), block(inputs[1], "cv1"), block(inputs[2], "cv2", "downsample"),
      ]
      return try block(block.concatenate(parts), "cv3")
    },
  ]

  /// Several classes that became a shell around a common one.
  private static func wrapped(_ child: String, or direct: Forward) -> Forward {
    .lists { block, inputs in
      block.has(child) ? try block.call(child, inputs) : try direct.run(block, inputs)
    }
  }

  private static let pooledThrice = Forward { block, x in
    try block(block.concatenate(block.successive(["m", "m", "m"], from: [block(x, "cv1")])), "cv2")
  }

  private static let cspPooledThrice = Forward { block, x in
    let pooled = try block.successive(["m", "m", "m"], from: [block(x, "cv1", "cv3", "cv4")])
    return try block(block.concatenate([block(x, "cv2"), block(block.concatenate(pooled), "cv5", "cv6")]), "cv7")
  }
}

extension ForwardCall {
  fileprivate func activated(_ x: Value) throws -> Value { has("act") ? try self(x, "act") : x }

  fileprivate func scaledShortcut(_ x: Value, _ y: Value) throws -> Value {
    guard isTrue("shortcut") else { return y }
    guard let alpha = optionalWeight("alpha") else { return try add(y, multiply(x, double("alpha"))) }
    return try add(y, multiply(alpha, x))
  }

  /// The branches of a RepVGG block added up, or the convolution that they were merged into.
  func reparameterized(_ x: Value) throws -> Value {
    if has("rbr_reparam") { return try self(x, "rbr_reparam") }
    let y = try add(self(x, "rbr_dense"), self(x, "rbr_1x1"))
    return has("rbr_identity") ? try add(y, self(x, "rbr_identity")) : y
  }
}
