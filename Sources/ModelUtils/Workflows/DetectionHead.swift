import ModelCore

/// What the last module of a detector gives, and by which original's rules it is read.
struct DetectionHead: Sendable {
  /// Whose program detects with it.
  enum Family: String, Sendable { case yolov5, yolov6, yolov7, yolov9, ultralytics, rtdetr }

  /// What stands behind a box and its classes.
  enum Extra: Sendable, Hashable {
    case none, angle
    case masks(Int)
    case keypoints(count: Int, values: Int)

    var count: Int {
      switch self {
      case .none: 0
      case .angle: 1
      case .masks(let count): count
      case .keypoints(let count, let values): count * values
      }
    }
  }

  let family: Family
  /// Its dotted path in the model.
  let path: String
  let className: String
  /// Whether it chooses the best boxes by itself.
  let givesChosenBoxes: Bool
  let extra: Extra
  let classes: Int
  /// The sizes of the levels' cells in pixels.
  let strides: [Int]
  /// Which of the graph's outputs has the boxes.
  let output: Int

  /// Whether boxes have a confidence beside their classes, [batch, positions, 5 + classes + …].
  var hasConfidence: Bool { family == .yolov5 || family == .yolov6 || family == .yolov7 }
  /// The sides of a picture are multiples of this.
  var stride: Int { family == .yolov7 || family == .yolov6 ? largestStride : max(32, largestStride) }
  var largestStride: Int { strides.max() ?? 32 }
  /// The most boxes that its original keeps.
  var limit: Int { family == .ultralytics || family == .rtdetr || family == .yolov7 ? 300 : 1000 }
  /// How far apart in pixels classes are put, so that their boxes do not meet.
  var classOffset: Float { family == .yolov6 || family == .yolov7 ? 4096 : 7680 }

  /// Whether its original merges the views of test-time augmentation, and then whether it leaves out the coarsest boxes
  /// of the largest view and the finest of the smallest.
  var augmentation: (isKnown: Bool, clips: Bool) {
    switch family {
    case .yolov5: (extra == .none, true)
    case .yolov7: (true, false)
    case .ultralytics: (className == "Detect", true)
    case .yolov6, .yolov9, .rtdetr: (false, false)
    }
  }

  /// The head of a model.
  /// - Throws: `ModelError` where there is none that is known, or it does not say what is needed to read it.
  init(of model: Module) throws {
    var found: (path: String, module: Module, family: Family)?
    model.forEachModule { path, module in
      if let family = Self.family(of: module) { found = (path, module, family) }
    }
    guard let (path, head, family) = found else {
      throw ModelError(
        .unsupported, "has no detection head that is known, so it finds no boxes",
        advice: "mutils classify names what a picture shows; mutils run gives what any model computes")
    }
    func missing(_ name: String) -> ModelError {
      ModelError(.missing, "\(head.className) has no usable attribute '\(name)'", subject: path)
    }
    func positive(_ name: String) throws -> Int {
      guard let number = head.attributes[name]?.intValue, (1...1 << 20).contains(number) else { throw missing(name) }
      return number
    }
    if head.attributes["xyxy"]?.boolValue == true {
      throw ModelError(.unsupported, "a head that was set to give corners cannot be read", subject: path)
    }
    self.family = family
    self.path = path
    className = head.className.name
    givesChosenBoxes = head.givesChosenBoxes
    classes = try positive("nc")
    if family == .rtdetr {
      strides = [32]
    } else {
      let sizes = head.attributes["stride"]?.doublesValue ?? []
      guard !sizes.isEmpty, sizes.allSatisfy({ (1...65536.0).contains($0) }) else { throw missing("stride") }
      strides = sizes.map { Int($0) }
    }
    let name = className
    if name.hasPrefix("OBB") {
      extra = .angle
    } else if name.hasPrefix("Pose") {
      guard let shape = head.attributes["kpt_shape"]?.intsValue, shape.count == 2, (1...1 << 12).contains(shape[0]),
        (2...3).contains(shape[1])
      else { throw missing("kpt_shape") }
      extra = .keypoints(count: shape[0], values: shape[1])
    } else if name.contains("Segment") || name == "Panoptic" {
      extra = .masks(try positive("nm"))
    } else {
      extra = .none
    }
    // Those that help in training come first.
    output = name.hasPrefix("Dual") ? 1 : name == "TripleDetect" ? 2 : 0
  }

  fileprivate static func family(of module: Module) -> Family? {
    let name = module.className
    if name.module.hasPrefix("ultralytics.nn.modules") {
      if name.name == "RTDETRDecoder" { return .rtdetr }
      let heads: Set = [
        "Detect", "v10Detect", "OBB", "OBB26", "Pose", "Pose26", "Segment", "Segment26", "WorldDetect",
      ]
      return heads.contains(name.name) ? .ultralytics : nil
    }
    if name.hasSuffix("models.yolo.IDetect") { return .yolov7 }
    for head in ["Detect", "Segment"] where name.hasSuffix("models.yolo.\(head)") {
      return module.children["m"] == nil ? .yolov9 : .yolov5
    }
    for head in ["DDetect", "DualDetect", "DualDDetect", "TripleDetect", "TripleDDetect", "Panoptic"]
    where name.hasSuffix("models.yolo.\(head)") {
      return .yolov9
    }
    return name.name == "Detect" && name.module.contains("models.") && name.module.contains("effidehead")
      ? .yolov6 : nil
  }
}

extension Module {
  /// Whether it ends in a detection head that is known, so that `Detector` and `DetectorValidation` take it.
  public var isDetector: Bool {
    var isFound = false
    forEachModule { _, module in isFound = isFound || DetectionHead.family(of: module) != nil }
    return isFound
  }
}
