import ModelCore

extension Forward {
  /// YOLOv5's heads, in evaluation.
  static let yolov5Heads: [String: Forward] = [
    "models.yolo.Detect": .list { try $0.concatenate($0.anchorPredictions($1)) },
    "models.yolo.Segment": .lists { head, inputs in
      guard let first = inputs.first else { throw ModelError("has no input", subject: head.path) }
      let masks = try head(first, "proto")
      return [try head.concatenate(head.anchorPredictions(inputs)), masks]
    },
    "models.common.Classify": .list { head, inputs in
      let x = inputs.count == 1 ? inputs[0] : try head.concatenate(inputs)
      guard head.has("linear") else {
        // Before 6.2 a 1x1 convolution on what each input is pooled to.
        let pooled = try head.concatenate(inputs.map { try head($0, "aap") })
        return try head(pooled, "conv", "flat")
      }
      let pooled = try head.flatten(head(x, "conv", "pool"))
      return try head.chain(pooled, head.has("drop") ? ["drop", "linear"] : ["linear"])
    },
  ]
}

extension ForwardCall {
  /// For each level the head's convolution, [batch, anchors · outputs, height, width], as boxes [batch, anchors ·
  /// height · width, outputs].
  /// - Parameter isImplicit: whether learned values are added before each convolution and multiplied after it, as
  ///   YOLOv7 does.
  func anchorPredictions(_ inputs: [Value], isImplicit: Bool = false) throws -> [Value] {
    let levels = list("m")
    guard inputs.count == levels.count else {
      throw ModelError("takes \(levels.count) tensors, not \(inputs.count)", subject: path)
    }
    let (anchors, outputs) = (try int("na"), try int("no"))
    return try zip(levels, inputs).enumerated().map { index, pair in
      let (level, input) = pair
      let raw = try chain(input, isImplicit ? ["ia.\(index)", level, "im.\(index)"] : [level])
      let boxes = try reshape(
        raw, [.of(operand: 0, axis: 0), .fixed(anchors), .fixed(outputs), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)])
      let decoded = try map("decode", activate(.sigmoid, permute(boxes, [0, 1, 3, 4, 2])))
      return try reshape(decoded, [.of(operand: 0, axis: 0), .inferred, .fixed(outputs)])
    }
  }
}
