import ModelCore

extension Forward {
  /// Ultralytics' blocks without attention: YOLOv8's, YOLOv9's, YOLOv10's and YOLO11's.
  static let ultralyticsBlocks = ultralytics(
    "block",
    [
      "DFL": .meanDistance,
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
      "SPPELAN": .sppELAN,
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
      "AConv": .aConv,
      "ADown": .aDown,
      "CBLinear": .cbLinear,
      "CBFuse": .cbFuse,
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
