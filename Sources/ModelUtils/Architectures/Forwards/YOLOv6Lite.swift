import ModelCore
import ModelGraph

extension Forward {
  /// YOLOv6-lite: what it has instead of 0.4's larger models.
  static let yolov6Lite: [String: Forward] = [
    "yolov6.models.yolo_lite.Model": .lists { model, inputs in
      let features = try model.call("neck", model.call("backbone", inputs))
      return try model.call("detect", features) + features
    },
    "yolov6.models.efficientrep.Lite_EffiBackbone": .lists { net, inputs in
      let names = (1...4).map { "lite_effiblock_\($0)" }
      return Array(try net.successive(names, from: [net(net.only(inputs), "conv_0")]).dropFirst(2))
    },
    "yolov6.models.reppan.Lite_EffiNeck": .lists { neck, inputs in
      try neck.check(inputs, count: 3)
      // From the coarsest on.
      let levels = try inputs.reversed().enumerated().map { try neck($1, "reduce_layer\($0)") }
      let middle = try neck(neck.concatenate([neck(levels[0], "upsample0"), levels[1]]), "Csp_p4")
      let p3 = try neck(neck.concatenate([neck(middle, "upsample1"), levels[2]]), "Csp_p3")
      let p4 = try neck(neck.concatenate([neck(p3, "downsample2"), middle]), "Csp_n3")
      let p5 = try neck(neck.concatenate([neck(p4, "downsample1"), levels[0]]), "Csp_n4")
      return [p3, p4, p5, try neck.add(neck(levels[0], "p6_conv_1"), neck(p5, "p6_conv_2"))]
    },
    "yolov6.layers.common.SEBlock": Forward { block, x in
      try block.multiply(x, block(x, "avg_pool", "conv1", "relu", "conv2", "hardsigmoid"))
    },
    "yolov6.layers.common.Lite_EffiBlockS1": Forward { block, x in
      let half = Extent.of(operand: 0, axis: 1, divisor: 2)
      let parts = try block.emitAll(.split(axis: 1, .extents([half, half])), [x])
      let y = try block(parts[1], "conv_pw_1", "conv_dw_1", "se", "conv_1")
      return try block.channelShuffle(block.concatenate([parts[0], y]), groups: 2)
    },
    "yolov6.layers.common.Lite_EffiBlockS2": Forward { block, x in
      let branches = try [block(x, "conv_dw_1", "conv_1"), block(x, "conv_pw_2", "conv_dw_2", "se", "conv_2")]
      return try block(block.concatenate(branches), "conv_dw_3", "conv_pw_3")
    },
    "yolov6.layers.common.DPBlock": .chain("conv_dw_1", "bn_1", "act_1", "conv_pw_1", "bn_2", "act_2"),
    "yolov6.layers.common.DPBlock.forward_fuse": .chain("conv_dw_1", "act_1", "conv_pw_1", "act_2"),
    "yolov6.layers.common.DarknetBlock": .chain("conv_1", "conv_2"),
    "yolov6.layers.common.CSPBlock": Forward { block, x in
      try block(block.concatenate([block(x, "conv_1", "blocks"), block(x, "conv_2")]), "conv_3")
    },
  ]
}
