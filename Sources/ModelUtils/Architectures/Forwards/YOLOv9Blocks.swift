import ModelCore
import ModelGraph

extension Forward {
  /// What YOLOv9's repository adds to YOLOv5's and YOLOv7's names.
  static let yolov9Blocks: [String: Forward] = [
    "models.common.AConv": .aConv,
    "models.common.ADown": .aDown,
    "models.common.RepConvN": .repConv,
    "models.common.RepConvN.forward_fuse": .chain("conv", "act"),
    "models.common.ConvTranspose": .chain("conv_transpose", "bn", "act"),
    "models.common.DFL": .meanDistance,
    "models.common.BottleneckBase": .bottleneck,
    "models.common.RBottleneckBase": .bottleneck,
    "models.common.RepNRBottleneckBase": .bottleneck,
    "models.common.RepNBottleneck": .bottleneck,
    "models.common.Res": .residual,
    "models.common.RepNRes": .residual,
    "models.common.CSP": .c3,
    "models.common.RepNCSP": .c3,
    "models.common.CSPBase": .c3,
    // The last convolution sees the mean of the picture.
    "models.common.ASPP": Forward { block, x in
      let branches = block.list("aspp")
      guard let last = branches.last, branches.count > 1, try block.int("aspp_num") == branches.count else {
        throw block.missing("aspp_num")
      }
      let pictures = try branches.dropLast().map { try block.relu(block(x, $0)) }
      let mean = try block.relu(block(x, "gap", last))
      let spread = try block.expand(mean, (0..<4).map { .of(operand: 1, axis: $0) }, like: pictures[pictures.count - 1])
      return try block.concatenate(pictures + [spread])
    },
    "models.common.Silence": .lists { $1 },
    "models.common.SPPELAN": .sppELAN,
    "models.common.RepNCSPELAN4": .elan,
    "models.common.RepNCSPELAN4.forward_split": .elan,
    "models.common.CBLinear": .cbLinear,
    "models.common.CBFuse": .cbFuse,
    "models.common.UConv": .chain("cv1", "cv2", "up"),
  ]

  private static let residual = Forward { block, x in
    let y = try block(x, "cv1", "cv2", "cv3")
    return block.isTrue("add") ? try block.add(x, y) : y
  }

  /// YOLOv9's heads, whose boxes are distances to their sides; those of YOLOv5's names are told apart in `yolov5Heads`.
  ///
  /// Several groups of levels have convolutions of their own: those that help in training come first.
  static let yolov9Heads: [String: Forward] = [
    "models.yolo.DDetect": .distances(groups: 1) { $0 },
    "models.yolo.DualDetect": .distances(groups: 2) { $0 },
    "models.yolo.DualDDetect": .distances(groups: 2) { $0 },
    "models.yolo.TripleDetect": .distances(groups: 3) { $0 },
    // It computes the others' boxes but does not give them.
    "models.yolo.TripleDDetect": .distances(groups: 3) { $0.suffix(1) },
    "models.yolo.Panoptic": Forward.lists { try $0.maskedDetections($1, and: ["uconv"]) }.leavingInTraining("dfl"),
  ]

  private static func distances(
    groups: Int, giving chosen: @escaping @Sendable ([Graph.Value]) -> [Graph.Value]
  ) -> Forward {
    lists { head, inputs in
      let detections = try head.distanceDetections(inputs, groups: groups)
      return head.isTraining ? detections : chosen(detections)
    }.leavingInTraining("dfl", "dfl2", "dfl3")
  }
}

extension ForwardCall {
  /// For each group of levels boxes (middle, size, in pixels) and the classes' scores, [batch, 4 + classes, positions];
  /// in training for each level what the convolutions give.
  func distanceDetections(_ inputs: [Value], groups: Int = 1) throws -> [Value] {
    guard !inputs.isEmpty, inputs.count % groups == 0 else {
      throw ModelError(.mismatch, "cannot divide \(inputs.count) tensors into \(groups) groups", subject: path)
    }
    let count = inputs.count / groups
    let branches = try (0..<groups).map { group in
      let levels = Array(inputs[group * count..<(group + 1) * count])
      return try (boxes: each("cv\(2 + 2 * group)", levels), scores: each("cv\(3 + 2 * group)", levels))
    }
    if isTraining { return try branches.flatMap { try zip($0.boxes, $0.scores).map { try concatenate([$0, $1]) } } }
    let grid = try grid(Array(inputs.prefix(count)))
    return try branches.enumerated().map { group, branch in
      let distances = try self(flat(branch.boxes), group == 0 ? "dfl" : "dfl\(group + 1)")
      return try concatenate([boxes(at: distances, grid), sigmoid(flat(branch.scores))])
    }
  }

  /// Detections with the coefficients of masks behind them, and prototypes of masks; in training the levels, the
  /// coefficients, the prototypes. What further children make of the finest level comes last.
  func maskedDetections(_ inputs: [Value], and children: [String] = []) throws -> [Value] {
    guard let first = inputs.first else { throw ModelError(.mismatch, "has no input", subject: path) }
    let pictures = try (["proto"] + children).map { try self(first, $0) }
    let masks = try flat(each("cv4", inputs))
    let detections = try distanceDetections(inputs)
    return try (isTraining ? detections + [masks] : [concatenate(detections + [masks])]) + pictures
  }

  /// Boxes by their middles and sizes, from the distances of the cells' middles to their sides.
  private func boxes(at distances: Value, _ grid: (middles: Value, strides: Value)) throws -> Value {
    let parts = try split(distances, [2, 2])
    let (near, far) = (try subtract(grid.middles, parts[0]), try add(grid.middles, parts[1]))
    return try multiply(concatenate([multiply(add(near, far), 0.5), subtract(far, near)]), grid.strides)
  }
}
