import ModelCore

extension Forward {
  /// What YOLOv7's repository adds to YOLOv5's names.
  static let yolov7Blocks: [String: Forward] = [
    "models.common.MP": .chain("m"),
    "models.common.SP": .chain("m"),
    "models.common.ReOrg": Forward { try $0.spaceToDepth($1) },
    "models.common.Chuncat": .list { block, inputs in
      let parts = try inputs.map { try block.chunks($0, 2) }
      return try block.concatenate(parts.map { $0[0] } + parts.map { $0[1] })
    },
    "models.common.Shortcut": .list { block, inputs in
      guard inputs.count >= 2 else {
        throw ModelError(.mismatch, "takes two tensors, not \(inputs.count)", subject: block.path)
      }
      return try block.add(inputs[0], inputs[1])
    },
    "models.common.Foldcut": Forward { block, x in
      let parts = try block.chunks(x, 2)
      return try block.add(parts[0], parts[1])
    },
    "models.common.SPPCSPC": Forward { block, x in
      let y = try block(x, "cv1", "cv3", "cv4")
      let pooled = try block.concatenate([y] + block.list("m").map { try block(y, $0) })
      return try block(block.concatenate([block(pooled, "cv5", "cv6"), block(x, "cv2")]), "cv7")
    },
    "models.common.DownC": Forward { block, x in
      try block.concatenate([block(x, "cv1", "cv2"), block(x, "mp", "cv3")])
    },
    "models.common.RepConv": Forward { try $0($0.reparameterized($1), "act") },
    "models.common.ImplicitA": Forward { try $0.add($0.implicit(), $1) },
    "models.common.ImplicitM": Forward { try $0.multiply($0.implicit(), $1) },
    "models.yolo.IDetect": .lists { try $0.anchorDetections($0.anchorOutputs($1, isImplicit: true)) },
    "models.yolo.IDetect.fuseforward": .lists { try $0.anchorDetections($0.anchorOutputs($1)) },
  ]
}

extension ForwardCall {
  fileprivate func implicit() throws -> Value { try weight("implicit") }
}
