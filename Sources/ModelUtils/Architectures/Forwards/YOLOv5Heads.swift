import ModelCore
import ModelGraph

extension Forward {
  /// YOLOv5's heads. YOLOv9's repository has the same names for heads of another form, which have no anchors.
  static let yolov5Heads: [String: Forward] = [
    "models.yolo.Detect": Forward.lists { head, inputs in
      if head.isAnchorFree { return try head.distanceDetections(inputs) }
      return try head.anchorDetections(head.anchorOutputs(inputs))
    }.leavingInTraining("dfl"),
    "models.yolo.Segment": Forward.lists { head, inputs in
      if head.isAnchorFree { return try head.maskedDetections(inputs) }
      guard let first = inputs.first else { throw ModelError(.mismatch, "has no input", subject: head.path) }
      let masks = try head(first, "proto")
      return try head.anchorDetections(head.anchorOutputs(inputs), masks: head.int("nm")) + [masks]
    }.leavingInTraining("dfl"),
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
  fileprivate var isAnchorFree: Bool { has("cv2") && !has("m") }

  /// For each level the head's convolution, [batch, anchors · outputs, height, width], as [batch, anchors, height,
  /// width, outputs].
  /// - Parameter isImplicit: whether learned values are added before each convolution and multiplied after it, as
  ///   YOLOv7 does.
  func anchorOutputs(_ inputs: [Value], isImplicit: Bool = false) throws -> [Value] {
    let levels = list("m")
    guard inputs.count == levels.count else {
      throw ModelError(.mismatch, "takes \(levels.count) tensors, not \(inputs.count)", subject: path)
    }
    let (anchors, outputs) = (try int("na"), try int("no"))
    return try zip(levels, inputs).enumerated().map { index, pair in
      let (level, input) = pair
      let raw = try chain(input, isImplicit ? ["ia.\(index)", level, "im.\(index)"] : [level])
      let boxes = try reshape(
        raw,
        [
          .of(operand: 0, axis: 0), .fixed(anchors), .fixed(outputs), .of(operand: 0, axis: 2),
          .of(operand: 0, axis: 3),
        ])
      return try permute(boxes, [0, 1, 3, 4, 2])
    }
  }

  /// All levels' boxes (centre, size, in pixels), confidences, classes and coefficients of masks, [batch, anchors ·
  /// positions, outputs]; in training the levels as they are.
  func anchorDetections(_ levels: [Value], masks: Int = 0) throws -> [Value] {
    if isTraining { return levels }
    let (anchors, outputs) = (try int("na"), try int("no"))
    let strides = try doubles("stride")
    let sizes = try doubles("anchors")
    guard strides.count == levels.count, anchors > 0, sizes.count == levels.count * anchors * 2 else {
      throw missing(strides.count == levels.count ? "anchors" : "stride")
    }
    guard masks >= 0, outputs >= 5 + masks else { throw missing("no") }
    let predictions = try levels.enumerated().map { index, level in
      let parts = masks > 0 ? try split(level, [outputs - masks, masks], axis: 4) : [level]
      let shares = try split(sigmoid(parts[0]), [2, 2, outputs - masks - 4], axis: 4)
      // The anchors are in cells of their level.
      let anchor = try constant(
        sizes[index * anchors * 2..<(index + 1) * anchors * 2].map { $0 * strides[index] }, [1, anchors, 1, 1, 2])
      let cells = try add(grid(level, rows: 2, columns: 3, stackedOn: 4), -0.5)
      let centres = try multiply(add(multiply(shares[0], 2), cells), strides[index])
      let extents = try multiply(unary(.square, multiply(shares[1], 2)), anchor)
      let row = [centres, extents, shares[2]] + parts.dropFirst()
      return try reshape(
        concatenate(row, axis: 4), [.of(operand: 0, axis: 0), .inferred, .fixed(outputs)])
    }
    return [try concatenate(predictions)]
  }

  /// The columns and rows (x, y) of a tensor's cells, next to each other on an axis: of the tensor's rank, 2 long on
  /// that axis, 1 on those that are neither rows nor columns.
  func grid(_ input: Value, rows: Int, columns: Int, stackedOn axis: Int) throws -> Value {
    let rank = Swift.max(rows, columns, axis) + 1
    let planes = try [columns, rows].map { along in
      let line = try reshape(
        emit(.coordinates(axis: along), input), (0..<rank).map { $0 == along ? .inferred : .fixed(1) })
      return try expand(
        line, (0..<rank).map { $0 == rows || $0 == columns ? .of(operand: 1, axis: $0) : .fixed(1) }, like: input)
    }
    return try concatenate(planes, axis: axis)
  }
}
