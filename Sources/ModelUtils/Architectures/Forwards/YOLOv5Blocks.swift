import ModelCore
import ModelGraph

extension Forward {
  /// The blocks of YOLOv5's models/common.py and models/experimental.py, from 1.0 to 7.0.
  static let yolov5Blocks: [String: Forward] = [
    "models.common.Conv": .chain("conv", "bn", "act"),
    "models.common.Conv.forward_fuse": .chain("conv", "act"),
    "models.common.Conv.fuseforward": .chain("conv", "act"),
    "models.common.DWConv": .chain("conv", "bn", "act"),
    "models.common.DWConv.forward_fuse": .chain("conv", "act"),
    "models.common.DWConvTranspose2d": .ownLayer,
    "models.common.Focus": .focus,
    "models.common.Bottleneck": .bottleneck,
    "models.common.CrossConv": .bottleneck,
    "models.experimental.CrossConv": .bottleneck,
    "models.common.BottleneckCSP": .bottleneckCSP,
    "models.common.C3": .c3,
    "models.common.C3x": .c3,
    "models.common.C3TR": .c3,
    "models.common.C3SPP": .c3,
    "models.common.C3Ghost": .c3,
    "models.common.SPP": .spp,
    "models.common.SPPF": Forward { block, x in
      try block(block.concatenate(block.successive(["m", "m", "m"], from: [block(x, "cv1")])), "cv2")
    },
    "models.common.GhostConv": .ghostConv,
    "models.experimental.GhostConv": .ghostConv,
    "models.common.GhostBottleneck": .ghostBottleneck,
    "models.experimental.GhostBottleneck": .ghostBottleneck,
    "models.common.TransformerLayer": .transformerLayer,
    "models.common.TransformerBlock": .transformerBlock,
    "models.common.Contract": Forward { block, x in
      let gain = try block.int("gain")
      let parts = try block.reshape(
        x,
        [
          .of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2, divisor: gain), .fixed(gain),
          .of(operand: 0, axis: 3, divisor: gain), .fixed(gain),
        ])
      return try block.reshape(
        block.permute(parts, [0, 3, 5, 1, 2, 4]),
        [.of(operand: 0, axis: 0), .inferred, .of(operand: 0, axis: 4), .of(operand: 0, axis: 5)])
    },
    "models.common.Expand": Forward { block, x in
      let gain = try block.int("gain")
      let parts = try block.reshape(
        x,
        [
          .of(operand: 0, axis: 0), .fixed(gain), .fixed(gain), .inferred, .of(operand: 0, axis: 2),
          .of(operand: 0, axis: 3),
        ])
      return try block.reshape(
        block.permute(parts, [0, 3, 4, 1, 5, 2]),
        [
          .of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .of(operand: 1, axis: 2, multiple: gain),
          .of(operand: 1, axis: 3, multiple: gain),
        ], like: x)
    },
    "models.common.Concat": .list { try $0.concatenate($1, axis: $0.int("d")) },
    "models.experimental.Sum": .list { block, inputs in
      guard let first = inputs.first, block.isTrue("weight") else { return try block.sum(inputs) }
      let weights = try block.multiply(block.sigmoid(block.weight("w")), 2)
      return try inputs.dropFirst().enumerated().reduce(first) { sum, next in
        let weight = try block.slice(weights, axis: 0, from: next.offset, to: next.offset + 1)
        return try block.add(sum, block.multiply(next.element, weight))
      }
    },
    "models.experimental.MixConv2d": Forward { block, x in
      try block(block.concatenate(block.list("m").map { try block(x, $0) }), "bn", "act")
    },
    "models.common.Proto": .chain("cv1", "upsample", "cv2", "cv3"),
    "models.common.Flatten": Forward { try $0.flatten($1) },
    "models.yolo.Flatten": Forward { try $0.flatten($1) },
    "models.activations.SiLU": Forward { try $0.unary(.silu, $1) },
    "utils.activations.SiLU": Forward { try $0.unary(.silu, $1) },
    "models.activations.Hardswish": Forward { try $0.unary(.hardswish, $1) },
    "utils.activations.Hardswish": Forward { try $0.unary(.hardswish, $1) },
  ]
}
