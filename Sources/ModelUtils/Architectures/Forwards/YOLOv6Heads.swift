import ModelCore
import ModelGraph

extension Forward {
  /// YOLOv6's heads, from 0.2 to 0.4. In training they give what comes behind the stems, then scores and distances.
  static let yolov6Heads: [String: Forward] = [
    "yolov6.models.effidehead.Detect": .decoupled(.plain).leaving("proj_conv").leavingInTraining("proj_conv"),
    "yolov6.models.heads.effidehead_lite.Detect": .decoupled(.plain),
    // In training it predicts distributions as well.
    "yolov6.models.heads.effidehead_distill_ns.Detect": .decoupled(.distilled)
      .leaving("proj_conv", "reg_preds").leavingInTraining("proj_conv"),
    // In training it has anchors as well. The anchor-free predictors are called `_af` in some releases.
    "yolov6.models.heads.effidehead_fuseab.Detect": .decoupled(.anchored)
      .leaving("proj_conv", "cls_preds_ab", "reg_preds_ab").leavingInTraining("proj_conv"),
  ]

  private static func decoupled(_ kind: DecoupledHead) -> Forward {
    lists { head, inputs in
      guard !head.has("obj_preds"), head.list("stems").count == inputs.count, !inputs.isEmpty else {
        throw ModelError(.unsupported, "this form of the head is not known", subject: head.path)
      }
      return try head.isTraining ? head.rawDistances(inputs, kind) : [head.detections(inputs, kind)]
    }
  }
}

private enum DecoupledHead {
  case plain, distilled, anchored
}

extension ForwardCall {
  /// What comes behind a level's stem, and the two branches behind that.
  private func branches(_ input: Value, _ level: Int) throws -> (stem: Value, classes: Value, distances: Value) {
    let stem = try self(input, "stems.\(level)")
    return (stem, try self(stem, "cls_convs.\(level)"), try self(stem, "reg_convs.\(level)"))
  }

  /// All levels' maps [batch, outputs, height, width] as [batch, positions, outputs].
  private func rows(_ levels: [Value]) throws -> Value { try permute(flat(levels), [0, 2, 1]) }

  private func freeSuffix(_ kind: DecoupledHead) -> String {
    kind == .anchored && !list("cls_preds_af").isEmpty ? "_af" : ""
  }

  // MARK: Evaluation

  /// Boxes (centre, size, in pixels), a confidence of 1 and the classes' scores, [batch, positions, 5 + classes].
  fileprivate func detections(_ inputs: [Value], _ kind: DecoupledHead) throws -> Value {
    let strides = try doubles("stride")
    guard strides.count == inputs.count else { throw missing("stride") }
    var (boxes, scores): ([Value], [Value]) = ([], [])
    for (index, input) in inputs.enumerated() {
      let x = try branches(input, index)
      let suffix = freeSuffix(kind)
      scores.append(try sigmoid(self(x.classes, "cls_preds\(suffix).\(index)")))
      let list = kind == .distilled ? "reg_preds_lrtb" : "reg_preds\(suffix)"
      let distances = try self(x.distances, "\(list).\(index)")
      boxes.append(
        try self.boxes(
          kind == .distilled ? distances : expectedDistances(distances), like: distances, stride: strides[index]))
    }
    let decoded = try concatenate(boxes, axis: 2)
    let confidence = try expand(
      constant([1], [1, 1, 1]), [.of(operand: 1, axis: 0), .fixed(1), .of(operand: 1, axis: 2)], like: decoded)
    return try permute(concatenate([decoded, confidence, flat(scores)]), [0, 2, 1])
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

  // MARK: Training

  fileprivate func rawDistances(_ inputs: [Value], _ kind: DecoupledHead) throws -> [Value] {
    let levels = try inputs.enumerated().map { try branches($1, $0) }
    let (classes, distances) = (levels.map(\.classes), levels.map(\.distances))
    let suffix = freeSuffix(kind)
    let anchored = kind == .anchored ? try anchorBoxes(levels.map { ($0.classes, $0.distances) }) : []
    let scores = try rows(each("cls_preds\(suffix)", classes).map { try sigmoid($0) })
    let raw = try rows(each("reg_preds\(suffix)", distances))
    let direct = kind == .distilled ? [try rows(each("reg_preds_lrtb", distances))] : []
    return levels.map(\.stem) + anchored + [scores, raw] + direct
  }

  /// Scores and boxes of every anchor: the middle as it is predicted, the size in cells.
  private func anchorBoxes(_ levels: [(classes: Value, distances: Value)]) throws -> [Value] {
    let (anchors, sizes) = (try int("na"), try doubles("anchors_init"))
    guard anchors > 0, sizes.count == levels.count * anchors * 2 else { throw missing("anchors_init") }
    func spread(_ map: Value) throws -> Value {
      let parts = try reshape(
        map, [.of(operand: 0, axis: 0), .fixed(anchors), .inferred, .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)])
      return try permute(parts, [0, 1, 3, 4, 2])
    }
    let scores = try each("cls_preds_ab", levels.map(\.classes)).map {
      try flatten(spread(sigmoid($0)), start: 1, end: 3)
    }
    let boxes = try each("reg_preds_ab", levels.map(\.distances)).enumerated().map { index, map in
      let parts = try split(spread(map), [2, 2], axis: 4)
      let size = try constant(
        Array(sizes[index * anchors * 2..<(index + 1) * anchors * 2]), [1, anchors, 1, 1, 2])
      let extents = try multiply(unary(.square, multiply(sigmoid(parts[1]), 2)), size)
      return try flatten(concatenate([parts[0], extents], axis: 4), start: 1, end: 3)
    }
    return [try concatenate(scores), try concatenate(boxes)]
  }
}
