import ModelCore

extension Forward {
  /// The blocks of YOLOv5's models/common.py and models/experimental.py, from 5.0 to 7.0.
  static let yolov5Blocks: [String: Forward] = [
    "models.common.Conv": .chain("conv", "bn", "act"),
    "models.common.Conv.forward_fuse": .chain("conv", "act"),
    "models.common.Conv.fuseforward": .chain("conv", "act"),
    "models.common.DWConv": .chain("conv", "bn", "act"),
    "models.common.DWConv.forward_fuse": .chain("conv", "act"),
    "models.common.DWConvTranspose2d": .ownLayer,
    "models.common.Focus": Forward { focus, x in
      let rows = try [0, 1].map { try focus.slice(x, axis: 2, from: $0, step: 2) }
      let parts = try [0, 1].flatMap { column in
        try rows.map { try focus.slice($0, axis: 3, from: column, step: 2) }
      }
      return try focus(focus.concatenate(parts), "conv")
    },
    "models.common.Bottleneck": .bottleneck,
    "models.common.CrossConv": .bottleneck,
    "models.experimental.CrossConv": .bottleneck,
    "models.common.BottleneckCSP": Forward { block, x in
      let both = try block.concatenate([block(x, "cv1", "m", "cv3"), block(x, "cv2")])
      return try block(both, "bn", "act", "cv4")
    },
    "models.common.C3": .c3,
    "models.common.C3x": .c3,
    "models.common.C3TR": .c3,
    "models.common.C3SPP": .c3,
    "models.common.C3Ghost": .c3,
    "models.common.SPP": Forward { block, x in
      let x = try block(x, "cv1")
      return try block(block.concatenate([x] + block.list("m").map { try block(x, $0) }), "cv2")
    },
    "models.common.SPPF": Forward { block, x in
      var parts = [try block(x, "cv1")]
      for _ in 0..<3 { parts.append(try block(parts[parts.count - 1], "m")) }
      return try block(block.concatenate(parts), "cv2")
    },
    "models.common.GhostConv": Forward { block, x in
      let y = try block(x, "cv1")
      return try block.concatenate([y, block(y, "cv2")])
    },
    "models.experimental.GhostConv": Forward { block, x in
      let y = try block(x, "cv1")
      return try block.concatenate([y, block(y, "cv2")])
    },
    "models.common.GhostBottleneck": Forward { try $0.add($0($1, "conv"), $0($1, "shortcut")) },
    "models.experimental.GhostBottleneck": Forward { try $0.add($0($1, "conv"), $0($1, "shortcut")) },
    "models.common.TransformerLayer": Forward { layer, x in
      let y = try layer.add(
        layer([layer(x, "q"), layer(x, "k"), layer(x, "v")], "ma"), x)
      return try layer.add(layer(y, "fc1", "fc2"), y)
    },
    "models.common.TransformerBlock": Forward { block, x in
      let x = block.has("conv") ? try block(x, "conv") : x
      let p = try block.permute(block.flatten(x, start: 2), [2, 0, 1])
      let y = try block.permute(block(block.add(p, block(p, "linear")), "tr"), [1, 2, 0])
      return try block.reshape(
        y, [.of(input: 1, axis: 0), .fixed(block.int("c2")), .of(input: 1, axis: 2), .of(input: 1, axis: 3)], like: x)
    },
    "models.common.Contract": Forward { block, x in
      let gain = try block.int("gain")
      let parts = try block.reshape(
        x,
        [
          .of(input: 0, axis: 0), .of(input: 0, axis: 1), .of(input: 0, axis: 2, divisor: gain), .fixed(gain),
          .of(input: 0, axis: 3, divisor: gain), .fixed(gain),
        ])
      return try block.reshape(
        block.permute(parts, [0, 3, 5, 1, 2, 4]),
        [.of(input: 0, axis: 0), .inferred, .of(input: 0, axis: 4), .of(input: 0, axis: 5)])
    },
    "models.common.Expand": Forward { block, x in
      let gain = try block.int("gain")
      let parts = try block.reshape(
        x,
        [
          .of(input: 0, axis: 0), .fixed(gain), .fixed(gain), .inferred, .of(input: 0, axis: 2),
          .of(input: 0, axis: 3),
        ])
      return try block.reshape(
        block.permute(parts, [0, 3, 4, 1, 5, 2]),
        [
          .of(input: 0, axis: 0), .of(input: 0, axis: 1), .of(input: 1, axis: 2, multiple: gain),
          .of(input: 1, axis: 3, multiple: gain),
        ], like: x)
    },
    "models.common.Concat": .list { try $0.concatenate($1, axis: $0.int("d")) },
    "models.experimental.Sum": .list { sum, inputs in
      guard let first = inputs.first else { throw ModelError("has no input", subject: sum.path) }
      return try inputs.dropFirst().reduce(first) { try sum.add($0, $1) }
    },
    "models.experimental.MixConv2d": Forward { block, x in
      try block(block.concatenate(block.list("m").map { try block(x, $0) }), "bn", "act")
    },
    "models.common.Proto": .chain("cv1", "upsample", "cv2", "cv3"),
    "models.common.Flatten": Forward { try $0.flatten($1) },
    "models.yolo.Flatten": Forward { try $0.flatten($1) },
    "models.activations.SiLU": Forward { try $0.activate(.silu, $1) },
    "utils.activations.SiLU": Forward { try $0.activate(.silu, $1) },
    "models.activations.Hardswish": Forward { try $0.activate(.hardswish, $1) },
    "utils.activations.Hardswish": Forward { try $0.activate(.hardswish, $1) },
  ]

  /// YOLO's Bottleneck and its heirs: two blocks and a shortcut where the attribute says so.
  static let bottleneck = Forward { block, x in
    let y = try block(x, "cv1", "cv2")
    return block.isTrue("add") ? try block.add(x, y) : y
  }

  private static let c3 = Forward { block, x in
    try block(block.concatenate([block(x, "cv1", "m"), block(x, "cv2")]), "cv3")
  }
}
