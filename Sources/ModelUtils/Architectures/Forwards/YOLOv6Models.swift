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
    "yolov6.models.effidehead.Detect": Forward.lists { try $0.detect($1) }
      .leaving("proj_conv").leavingInTraining("proj_conv"),
  ]

  /// A stem and stages, whose outputs are given from the third on, or from the second where a neck fuses that too.
  private static func stages(_ stages: ClosedRange<Int>) -> Forward {
    .lists { net, inputs in
      guard inputs.count == 1 else {
        throw ModelError(.mismatch, "takes one tensor, not \(inputs.count)", subject: net.path)
      }
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
        throw ModelError(.mismatch, "takes \(fusing ? 4 : 3) tensors, not \(inputs.count)", subject: neck.path)
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
  /// Boxes (centre, size, in pixels), a confidence of 1 and the classes' scores, [batch, positions, 5 + classes]; in
  /// training what comes behind the stems, the scores and the distributions of distances.
  fileprivate func detect(_ inputs: [Value]) throws -> [Value] {
    guard !has("obj_preds"), list("stems").count == inputs.count, !inputs.isEmpty else {
      throw ModelError(.unsupported, "this form of the head is not known", subject: path)
    }
    let strides = try doubles("stride")
    guard strides.count == inputs.count else { throw missing("stride") }
    var (stems, boxes, scores, distances): ([Value], [Value], [Value], [Value]) = ([], [], [], [])
    for (index, input) in inputs.enumerated() {
      let x = try self(input, "stems.\(index)")
      stems.append(x)
      let classes = try self(x, "cls_convs.\(index)", "cls_preds.\(index)")
      let regression = try self(x, "reg_convs.\(index)", "reg_preds.\(index)")
      scores.append(try flatten(sigmoid(classes), start: 2))
      if isTraining {
        distances.append(try flatten(regression, start: 2))
      } else {
        boxes.append(try self.boxes(expectedDistances(regression), like: regression, stride: strides[index]))
      }
    }
    func rows(_ levels: [Value]) throws -> Value { try permute(concatenate(levels, axis: 2), [0, 2, 1]) }
    if isTraining { return try stems + [rows(scores), rows(distances)] }
    let decoded = try concatenate(boxes, axis: 2)
    let confidence = try expand(
      constant([1], [1, 1, 1]), [.of(operand: 1, axis: 0), .fixed(1), .of(operand: 1, axis: 2)], like: decoded)
    return [try rows([concatenate([decoded, confidence, concatenate(scores, axis: 2)])])]
  }

  /// Left, top, right and bottom distances from the middle of each cell, in cells, as centre and size in pixels:
  /// [batch, 4, positions] to the same.
  private func boxes(_ distances: Value, like level: Value, stride: Double) throws -> Value {
    let middles = try flatten(add(grid(level, rows: 2, columns: 3, stackedOn: 1), 0.5), start: 2)
    let parts = try split(flatten(distances, start: 2), [2, 2])
    let (low, high) = (try subtract(middles, parts[0]), try add(middles, parts[1]))
    let corners = try concatenate([multiply(add(low, high), 0.5), subtract(high, low)])
    return try multiply(corners, stride)
  }

  /// The mean of each side's distribution of distances, where the head predicts distributions.
  private func expectedDistances(_ regression: Value) throws -> Value {
    guard isTrue("use_dfl") else { return regression }
    let bins = try reshape(regression, [.of(operand: 0, axis: 0), .fixed(4), .fixed(int("reg_max") + 1), .inferred])
    let means = try self(softmax(permute(bins, [0, 2, 1, 3]), axis: 1), "proj_conv")
    return try reshape(means, [.of(operand: 0, axis: 0), .fixed(4), .of(operand: 0, axis: 3)])
  }
}
