import ModelCore

extension Forward {
  /// Ultralytics' heads, in evaluation. Both branches of a head without non-maximum suppression run, as they do there
  /// until it is fused.
  static let ultralyticsHeads = ultralytics(
    "head",
    [
      "Detect": .list { try $0.predictions($1) },
      "v10Detect": .list { try $0.predictions($1) },
      "OBB": .list { try $0.predictions($1, extra: ["cv4"]) },
      "OBB26": .list { try $0.predictions($1, extra: ["cv4"]) },
      "Pose": .list { try $0.predictions($1, extra: ["cv4"]) },
      "Pose26": .list { try $0.predictions($1, extra: ["cv4", "cv4_kpts"]) },
      "Segment": .lists { try [$0.predictions($1, extra: ["cv4"]), $0(Array($1.prefix(1)), "proto")] },
      "Segment26": .lists { try [$0.predictions($1, extra: ["cv4"]), $0($1, "proto")] },
      "Classify": .list { head, inputs in
        let x = inputs.count == 1 ? inputs[0] : try head.concatenate(inputs)
        return try head.softmax(head(head.flatten(head(x, "conv", "pool")), "drop", "linear"), axis: 1)
      },
      "SemanticSegment": .list { head, inputs in
        guard let first = inputs.first else { throw ModelError("has no input", subject: head.path) }
        return try head(first, "classifier")
      },
      "Depth": .list { head, inputs in
        let levels = try head.levels("proj", inputs)
        var features = try zip(levels, inputs).map { try head($1, $0) }
        guard var y = features.popLast() else { throw ModelError("has no input", subject: head.path) }
        for (index, feature) in features.enumerated().reversed() {
          let enlarged = try head.emit(.upsample(Upsample(.scale([2]), mode: "bilinear")), y)
          y = try head(head.add(enlarged, feature), "refine.\(index)")
        }
        return try head.map("exp", head.map("clamp", head(y, "head")))
      },
    ])
}

extension ForwardCall {
  /// The children of a list, one for each input.
  fileprivate func levels(_ container: String, _ inputs: [Value]) throws -> [String] {
    let levels = list(container)
    guard levels.count == inputs.count, !levels.isEmpty else {
      throw ModelError("takes \(levels.count) tensors, not \(inputs.count)", subject: path)
    }
    return levels
  }

  /// A branch's outputs at every level, [batch, outputs, positions].
  private func branch(_ containers: [String], _ inputs: [Value]) throws -> Value {
    var values = inputs
    for container in containers { values = try zip(levels(container, values), values).map { try self($1, $0) } }
    return try concatenate(values.map { try flatten($0, start: 2) }, axis: 2)
  }

  /// Boxes, classes and what else a head predicts, [batch, 4 + classes + …, positions]; of a head that needs no
  /// suppression the best ones, [batch, positions, 6 + …].
  fileprivate func predictions(_ inputs: [Value], extra: [String] = []) throws -> Value {
    let hasOneToOne = has("one2one_cv2")
    let isOneToOne = hasOneToOne && (isTrue("_end2end") || !has("cv2"))
    let many = try branches("", inputs, extra)
    let one = hasOneToOne ? try branches("one2one_", inputs, extra) : nil
    guard let chosen = isOneToOne ? one : many else { throw ModelError("has no child 'cv2'", subject: path) }
    let boxes = try map("decode", chain(chosen.boxes, has("dfl") ? ["dfl"] : []))
    let scores = try activate(.sigmoid, chosen.scores)
    let others = try chosen.extra.map { [try map("decode", $0)] } ?? []
    guard isOneToOne else { return try concatenate([boxes, scores] + others) }
    return try best(boxes, scores, others)
  }

  private func branches(
    _ prefix: String, _ inputs: [Value], _ extra: [String]
  ) throws -> (boxes: Value, scores: Value, extra: Value?)? {
    // What older releases leave of a branch that is not needed is either nothing or identities.
    guard has("\(prefix)cv2"), has("\(prefix)cv3"), module["\(prefix)cv2.0"]?.layer != .identity else { return nil }
    let boxes = try branch(["\(prefix)cv2"], inputs)
    let scores = try branch(["\(prefix)cv3"], inputs)
    return (boxes, scores, extra.isEmpty ? nil : try branch(extra.map { prefix + $0 }, inputs))
  }

  /// The `max_det` best positions by their best class: box, score, class and what else there is.
  private func best(_ boxes: Value, _ scores: Value, _ others: [Value]) throws -> Value {
    let count = module.attributes["max_det"] == nil ? 300 : try int("max_det")
    let ranks = try permute(scores, [0, 2, 1])
    let places = try emit(.largest(axis: 1, count: count), emit(.reduce("max", axes: [2], keepsAxes: false), ranks))
    let score = try emit(.reduce("max", axes: [2], keepsAxes: true), gather(ranks, places))
    return try concatenate(
      [gather(permute(boxes, [0, 2, 1]), places), score, map("class", score)]
        + others.map { try gather(permute($0, [0, 2, 1]), places) }, axis: 2)
  }
}
