import ModelCore
import ModelGraph

extension Forward {
  /// Ultralytics' heads. Both branches of a head without non-maximum suppression run in evaluation, as they do there
  /// until it is fused.
  ///
  /// In training detection heads give what their convolutions give: for each level [batch, outputs, height, width], for
  /// all of them what else the head predicts, the same of the second branch, and prototypes of masks.
  static let ultralyticsHeads = ultralytics(
    "head",
    [
      "Detect": .detection(.boxes),
      "v10Detect": .detection(.boxes),
      "OBB": .detection(.angles),
      "OBB26": .detection(.rawAngles),
      "Pose": .detection(.keypoints),
      // Its flow judges keypoints in the loss.
      "Pose26": Forward.detection(.keypoints26).leaving("flow_model", "cv4_sigma", "one2one_cv4_sigma")
        .leavingInTraining("flow_model"),
      "Segment": .detection(.masks) { Array($0.prefix(1)) },
      "Segment26": .detection(.masks) { $0 },
      "WorldDetect": .detection(.boxes, takesTexts: true),
      "YOLOEDetect": .promptable(.detection(.boxes, takesTexts: true)),
      "YOLOESegment": .promptable(.detection(.masks, takesTexts: true) { Array($0.prefix(1)) }),
      "YOLOESegment26": .promptable(.detection(.masks, takesTexts: true) { $0 }).inferenceOnly,
      "Classify": .list { head, inputs in
        let x = inputs.count == 1 ? inputs[0] : try head.concatenate(inputs)
        let logits = try head(head.flatten(head(x, "conv", "pool")), "drop", "linear")
        return head.isTraining ? logits : try head.softmax(logits, axis: 1)
      },
      "SemanticSegment": Forward.lists { head, inputs in
        guard let first = inputs.first else { throw ModelError(.mismatch, "has no input", subject: head.path) }
        let logits = try head(first, "classifier")
        guard head.isTraining, head.has("aux_head") else { return [logits] }
        guard inputs.count > 1 else { throw ModelError(.mismatch, "takes two tensors, not one", subject: head.path) }
        return [logits, try head(inputs[1], "aux_head")]
      }.leaving("aux_head"),
      "Depth": .list { head, inputs in
        let levels = try head.levels("proj", inputs)
        var features = try zip(levels, inputs).map { try head($1, $0) }
        guard var y = features.popLast() else { throw ModelError(.mismatch, "has no input", subject: head.path) }
        for (index, feature) in features.enumerated().reversed() {
          let enlarged = try head.resize(y, scale: 2, mode: .linear, alignsCorners: true)
          y = try head(head.add(enlarged, feature), "refine.\(index)")
        }
        var logarithm = try head.unary(.clip(minimum: -4, maximum: 5), head(y, "head"))
        if !head.isTraining, let scale = head.optionalWeight("cal_a"), let shift = head.optionalWeight("cal_b") {
          logarithm = try head.add(head.multiply(scale, logarithm), shift)
        }
        return try head.unary(.exp, logarithm)
      },
    ])

  /// A head with children that make embeddings of prompts beforehand.
  private static func promptable(_ head: Forward) -> Forward {
    head.leaving("reprta", "savpe").leavingInTraining("reprta", "savpe")
  }

  /// A detection head; with a child `proto` where it is said which maps that takes.
  private static func detection(
    _ kind: DetectionKind, takesTexts: Bool = false, proto: (@Sendable ([Graph.Value]) -> [Graph.Value])? = nil
  ) -> Forward {
    Forward.lists { head, inputs in
      if head.has("lrpc") {
        throw ModelError(
          .unsupported, "which positions a head without prompts keeps depends on the picture", subject: head.path)
      }
      var inputs = inputs
      let texts = takesTexts ? inputs.popLast() : nil
      let branches = try DetectionBranches(head, inputs, kind, texts: texts)
      let predictions = head.isTraining ? try branches.raw(head) : [try branches.predictions(head)]
      return try predictions + (proto.map { try head.call("proto", $0(inputs)) } ?? [])
    }.leavingInTraining("dfl")
  }
}

/// What a detection head predicts beside boxes and classes.
enum DetectionKind: Sendable {
  case boxes, masks, angles, rawAngles, keypoints, keypoints26

  /// The lists of convolutions that predict it, one behind the other.
  var containers: [String] {
    switch self {
    case .boxes: []
    case .masks, .angles, .rawAngles, .keypoints: ["cv4"]
    case .keypoints26: ["cv4", "cv4_kpts"]
    }
  }
}

/// What the convolutions of a detection head give for each level, [batch, outputs, height, width].
struct DetectionBranch {
  let boxes: [Graph.Value]
  let scores: [Graph.Value]
  /// All levels, [batch, outputs, positions].
  let extra: Graph.Value?
  /// How uncertain keypoints are, in training.
  var sigma: Graph.Value?
}

/// The branches of a detection head.
private struct DetectionBranches {
  let kind: DetectionKind
  let inputs: [Graph.Value]
  let many: DetectionBranch?
  let one: DetectionBranch?
  let isOneToOne: Bool

  init(_ head: ForwardCall, _ inputs: [Graph.Value], _ kind: DetectionKind, texts: Graph.Value?) throws {
    (self.kind, self.inputs) = (kind, inputs)
    let hasOneToOne = head.has("one2one_cv2")
    isOneToOne = hasOneToOne && (head.isTrue("_end2end") || !head.has("cv2"))
    many = try head.branch("", inputs, kind, texts)
    one = hasOneToOne ? try head.branch("one2one_", inputs, kind, texts) : nil
  }

  /// Boxes, classes and what else a head predicts, [batch, 4 + classes + …, positions]; of a head that needs no
  /// suppression the best ones, [batch, positions, 6 + …].
  func predictions(_ head: ForwardCall) throws -> Graph.Value {
    guard let chosen = isOneToOne ? one : many else {
      throw ModelError(.missing, "\(head.module.className) has no child 'cv2'", subject: head.path)
    }
    let grid = try head.grid(inputs)
    let corners = isOneToOne || head.isTrue("xyxy")
    let boxes = try head.boxes(head.flat(chosen.boxes), grid, kind, extra: chosen.extra, corners: corners)
    let scores = try head.sigmoid(head.flat(chosen.scores))
    let others = try chosen.extra.map { [try head.decodeExtra($0, grid, kind)] } ?? []
    guard isOneToOne else { return try head.concatenate([boxes, scores] + others) }
    return try head.best(boxes, scores, others)
  }

  func raw(_ head: ForwardCall) throws -> [Graph.Value] {
    try [many, one].compactMap { $0 }.flatMap { branch in
      try zip(branch.boxes, branch.scores).map { try head.concatenate([$0, $1]) }
        + [branch.extra, branch.sigma].compactMap { $0 }
    }
  }
}

extension ForwardCall {
  /// The children of a list, one for each input.
  fileprivate func levels(_ container: String, _ inputs: [Value]) throws -> [String] {
    let levels = list(container)
    guard levels.count == inputs.count, !levels.isEmpty else {
      throw ModelError(.mismatch, "takes \(levels.count) tensors, not \(inputs.count)", subject: path)
    }
    return levels
  }

  /// A list's outputs at every level.
  func each(_ container: String, _ inputs: [Value]) throws -> [Value] {
    try zip(levels(container, inputs), inputs).map { try self($1, $0) }
  }

  /// The levels' maps as one tensor [batch, outputs, positions].
  func flat(_ maps: [Value]) throws -> Value { try concatenate(maps.map { try flatten($0, start: 2) }, axis: 2) }

  fileprivate func branch(
    _ prefix: String, _ inputs: [Value], _ kind: DetectionKind, _ texts: Value?
  ) throws -> DetectionBranch? {
    // What older releases leave of a branch that is not needed is either nothing or identities.
    guard has("\(prefix)cv2"), has("\(prefix)cv3"), module["\(prefix)cv2.0"]?.layer != .identity else { return nil }
    let boxes = try each("\(prefix)cv2", inputs)
    var scores = try each("\(prefix)cv3", inputs)
    if let texts { scores = try zip(levels("\(prefix)cv4", scores), scores).map { try self([$1, texts], $0) } }
    let containers = texts != nil && kind == .masks ? ["cv5"] : kind.containers
    guard let first = containers.first else { return DetectionBranch(boxes: boxes, scores: scores, extra: nil) }
    let features = try each(prefix + first, inputs)
    let maps = try containers.dropFirst().reduce(features) { try each(prefix + $1, $0) }
    var extra = try flat(maps)
    if kind == .angles { extra = try multiply(add(sigmoid(extra), -0.25), .pi) }
    var branch = DetectionBranch(boxes: boxes, scores: scores, extra: extra)
    if kind == .keypoints26, isTraining { branch.sigma = try flat(each("\(prefix)cv4_sigma", features)) }
    return branch
  }
}
