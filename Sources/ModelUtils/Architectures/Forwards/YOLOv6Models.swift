import ModelCore

extension Forward {
  /// YOLOv6's backbones, necks and head, from 0.2 to 0.4.
  static let yolov6Models: [String: Forward] = [
    "yolov6.models.yolo.Model": .lists { model, inputs in
      let features = try model.call("neck", model.call("backbone", inputs))
      return try model.call("detect", features) + features
    },
    "yolov6.models.efficientrep.EfficientRep": .stages(2...5),
    "yolov6.models.efficientrep.EfficientRep6": .stages(2...6),
    "yolov6.models.efficientrep.CSPBepBackbone": .stages(2...5),
    "yolov6.models.efficientrep.CSPBepBackbone_P6": .stages(2...6),
    "yolov6.models.reppan.RepPANNeck": .pathAggregation(fusing: false),
    "yolov6.models.reppan.CSPRepPANNeck": .pathAggregation(fusing: false),
    "yolov6.models.reppan.RepBiFPANNeck": .pathAggregation(fusing: true),
    "yolov6.models.reppan.CSPRepBiFPANNeck": .pathAggregation(fusing: true),
    "yolov6.models.effidehead.Detect": .list { head, inputs in
      guard !head.has("obj_preds"), head.list("stems").count == inputs.count else {
        throw ModelError("this form of the head is not known", subject: head.path)
      }
      var (boxes, scores): ([Graph.Value], [Graph.Value]) = ([], [])
      for (index, input) in inputs.enumerated() {
        let x = try head(input, "stems.\(index)")
        scores.append(
          try head.activate(
            .sigmoid, head.flatten(head(x, "cls_convs.\(index)", "cls_preds.\(index)"), start: 2)))
        let regression = try head(x, "reg_convs.\(index)", "reg_preds.\(index)")
        boxes.append(try head.flatten(head.expectedDistances(regression), start: 2))
      }
      let decoded = try head.map("decode", head.concatenate(boxes, axis: 2))
      let confidence = try head.map("one", head.slice(decoded, axis: 1, to: 1))
      return try head.permute(
        head.concatenate([decoded, confidence, head.concatenate(scores, axis: 2)]), [0, 2, 1])
    },
  ]

  /// A stem and stages, whose outputs are given from the third on, or from the second where a neck fuses that too.
  private static func stages(_ stages: ClosedRange<Int>) -> Forward {
    .lists { net, inputs in
      guard inputs.count == 1 else { throw ModelError("takes one tensor, not \(inputs.count)", subject: net.path) }
      let names = stages.map { "ERBlock_\($0)" }
      let outputs = try net.successive(names, from: [net(inputs[0], "stem")])
      return Array(outputs.dropFirst(net.isTrue("fuse_P2") ? 1 : 2))
    }
  }

  /// Down from the coarsest level and up again; the outputs are given from the finest on.
  /// - Parameter fusing: whether levels meet in a BiFusion of three instead of being joined.
  private static func pathAggregation(fusing: Bool) -> Forward {
    .lists { neck, inputs in
      guard inputs.count == (fusing ? 4 : 3) else {
        throw ModelError("takes \(fusing ? 4 : 3) tensors, not \(inputs.count)", subject: neck.path)
      }
      let levels = Array(inputs.reversed())
      func meet(_ x: Graph.Value, _ level: Int) throws -> Graph.Value {
        try fusing
          ? neck([x, levels[level + 1], levels[level + 2]], "Bifusion\(level)")
          : neck.concatenate([neck(x, "upsample\(level)"), levels[level + 1]])
      }
      let coarse = try neck(levels[0], "reduce_layer0")
      let middle = try neck(meet(coarse, 0), "Rep_p4", "reduce_layer1")
      let first = try neck(meet(middle, 1), "Rep_p3")
      let second = try neck(neck.concatenate([neck(first, "downsample2"), middle]), "Rep_n3")
      return [first, second, try neck(neck.concatenate([neck(second, "downsample1"), coarse]), "Rep_n4")]
    }
  }
}

extension ForwardCall {
  /// The mean of each side's distribution of distances, where the head predicts distributions.
  fileprivate func expectedDistances(_ regression: Value) throws -> Value {
    guard isTrue("use_dfl") else { return regression }
    let bins = try reshape(regression, [.of(operand: 0, axis: 0), .fixed(4), .fixed(int("reg_max") + 1), .inferred])
    let means = try self(softmax(permute(bins, [0, 2, 1, 3]), axis: 1), "proj_conv")
    return try reshape(means, [.of(operand: 0, axis: 0), .fixed(4), .of(operand: 0, axis: 3)])
  }
}
