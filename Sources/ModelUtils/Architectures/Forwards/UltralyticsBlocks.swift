import ModelCore

extension Forward {
  /// Ultralytics' blocks without attention: YOLOv8's, YOLOv9's, YOLOv10's and YOLO11's.
  static let ultralyticsBlocks = ultralytics(
    "block",
    [
      "DFL": Forward { block, x in
        let bins = try block.reshape(
          x, [.of(operand: 0, axis: 0), .fixed(4), .fixed(block.int("c1")), .of(operand: 0, axis: 2)])
        let weights = try block.softmax(block.permute(bins, [0, 2, 1, 3]), axis: 1)
        return try block.reshape(
          block(weights, "conv"), [.of(operand: 0, axis: 0), .fixed(4), .of(operand: 0, axis: 3)])
      },
      "Proto": .chain("cv1", "upsample", "cv2", "cv3"),
      "Proto26": Forward.lists { block, inputs in
        guard var features = inputs.first else { throw ModelError(.mismatch, "has no input", subject: block.path) }
        for (index, name) in block.list("feat_refine").enumerated() {
          guard inputs.indices.contains(index + 1), index < 16 else {
            throw ModelError(.mismatch, "takes more than \(inputs.count) tensors", subject: block.path)
          }
          let refined = try block(inputs[index + 1], name)
          features = try block.add(features, block.resize(refined, scale: Double(2 << index)))
        }
        let prototypes = try block(features, "feat_fuse", "cv1", "upsample", "cv2", "cv3")
        return block.isTraining ? [prototypes, try block(features, "semseg")] : [prototypes]
      }.leaving("semseg"),
      "HGStem": Forward { block, x in
        let x = try block.pad(block(x, "stem1"), [0, 1, 0, 1])
        let y = try block(block.pad(block(x, "stem2a"), [0, 1, 0, 1]), "stem2b")
        return try block(block.concatenate([block(x, "pool"), y]), "stem3", "stem4")
      },
      "HGBlock": Forward { block, x in
        let y = try block(block.concatenate(block.successive(block.list("m"), from: [x])), "sc", "ec")
        return block.isTrue("add") ? try block.add(y, x) : y
      },
      "SPP": .spp,
      "SPPF": Forward { block, x in
        let count = block.module.attributes["n"] == nil ? 3 : try block.int("n")
        guard (0...1024).contains(count) else { throw block.missing("n") }
        let pools = [String](repeating: "m", count: count)
        let y = try block(block.concatenate(block.successive(pools, from: [block(x, "cv1")])), "cv2")
        return block.isTrue("add") ? try block.add(y, x) : y
      },
      "SPPELAN": Forward { block, x in
        try block(block.concatenate(block.successive(["cv2", "cv3", "cv4"], from: [block(x, "cv1")])), "cv5")
      },
      "C1": Forward { block, x in
        let y = try block(x, "cv1")
        return try block.add(block(y, "m"), y)
      },
      "C2": Forward { block, x in
        let parts = try block.chunks(block(x, "cv1"), 2)
        return try block(block.concatenate([block(parts[0], "m"), parts[1]]), "cv2")
      },
      "C2f": .c2f,
      "C2f.forward_split": .c2f,
      "C3k2": .c2f,
      "C3k2.forward_split": .c2f,
      "C2fCIB": .c2f,
      "C2fCIB.forward_split": .c2f,
      "C2fPSA": .c2f,
      "C2fPSA.forward_split": .c2f,
      "C3": .c3,
      "C3x": .c3,
      "C3k": .c3,
      "C3TR": .c3,
      "C3Ghost": .c3,
      "RepCSP": .c3,
      "C3f": Forward { block, x in
        try block(
          block.concatenate(block.successive(block.list("m"), from: [block(x, "cv2"), block(x, "cv1")])), "cv3")
      },
      "RepC3": Forward { block, x in
        try block(block.add(block(x, "cv1", "m"), block(x, "cv2")), "cv3")
      },
      "GhostBottleneck": .ghostBottleneck,
      "Bottleneck": .bottleneck,
      "RepBottleneck": .bottleneck,
      "BottleneckCSP": .bottleneckCSP,
      "ResNetBlock": Forward { block, x in
        try block.relu(block.add(block(x, "cv1", "cv2", "cv3"), block(x, "shortcut")))
      },
      "ResNetLayer": .chain("layer"),
      "RepNCSPELAN4": .elan,
      "RepNCSPELAN4.forward_split": .elan,
      "ELAN1": .elan,
      "ELAN1.forward_split": .elan,
      "AConv": Forward { try $0($0.averagePool($1, kernel: 2, stride: 1), "cv1") },
      "ADown": Forward { block, x in
        let parts = try block.chunks(block.averagePool(x, kernel: 2, stride: 1), 2)
        let pooled = try block.maxPool(parts[1], kernel: 3, stride: 2, padding: 1)
        return try block.concatenate([block(parts[0], "cv1"), block(pooled, "cv2")])
      },
      "CBLinear": .lists { block, inputs in
        guard inputs.count == 1 else {
          throw ModelError(.mismatch, "takes one tensor, not \(inputs.count)", subject: block.path)
        }
        guard let sizes = block.module.attributes["c2s"]?.intsValue else { throw block.missing("c2s") }
        return try block.split(block(inputs[0], "conv"), sizes)
      },
      // Which output of each layer it takes is chosen where layers are routed.
      "CBFuse": .list { block, inputs in
        guard let target = inputs.last else { throw ModelError(.mismatch, "has no input", subject: block.path) }
        let resized = try inputs.dropLast().map { try block.resize($0, like: target) }
        return try block.emit(.reduce(.sum, axes: [0], keepsAxes: false), block.stack(resized + [target]))
      },
      "RepVGGDW": Forward { block, x in
        try block(block.add(block(x, "conv"), block(x, "conv1")), "act")
      },
      "RepVGGDW.forward_fuse": .chain("conv", "act"),
      "CIB": Forward { block, x in
        let y = try block(x, "cv1")
        return block.isTrue("add") ? try block.add(x, y) : y
      },
      "SCDown": .chain("cv1", "cv2"),
      "Silence": Forward { $1 },
      "TorchVision": .lists { block, inputs in
        guard block.isTrue("split") else { return try block.call("m", inputs) }
        return try block.successive(block.list("m"), from: inputs)
      },
    ])

  private static let c2f = Forward { block, x in
    try block(block.concatenate(block.successive(block.list("m"), from: block.chunks(block(x, "cv1"), 2))), "cv2")
  }

  private static let elan = Forward { block, x in
    try block(
      block.concatenate(block.successive(["cv2", "cv3"], from: block.chunks(block(x, "cv1"), 2))), "cv4")
  }
}

extension ForwardCall {
  /// Calls each child with what the one before it gave, the first with the last of `values`; everything is kept.
  func successive(_ children: [String], from values: [Value]) throws -> [Value] {
    guard var last = values.last else { throw ModelError(.mismatch, "has no input", subject: path) }
    return try values
      + children.map { child in
        last = try self(last, child)
        return last
      }
  }
}
