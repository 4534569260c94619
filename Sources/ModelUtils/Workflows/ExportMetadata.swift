import ModelCore

extension Module {
  /// What YOLOv5's and Ultralytics' programs read of an exported model, in Python's notation; empty for others.
  func exportMetadata(
    shape: [Int], isDynamic: Bool, _ options: ExportOptions, file: String?
  ) -> OrderedDictionary<String, String> {
    var metadata: OrderedDictionary<String, String> = [:]
    let isUltralytics = className.module.hasPrefix("ultralytics.")
    guard isUltralytics || className.module.contains("models.yolo"), shape.count == 4 else { return [:] }
    let stride = attributes["stride"]?.doublesValue?.max() ?? 32
    let names = ClassNames(of: self)
    if isUltralytics {
      let head = self["model"]?.children.values.last
      metadata["description"] = "\(className.name)\(file.map { " of \($0)" } ?? "")"
      metadata["stride"] = PythonText.number(stride)
      metadata["task"] = attributes["task"]?.stringValue ?? ModelOverview.task(of: head?.className.name ?? "")
      metadata["head"] = head?.className.name
      metadata["batch"] = "\(shape[0])"
      metadata["imgsz"] = "[\(shape[2]), \(shape[3])]"
      metadata["names"] = PythonText.dictionary(names)
      metadata["args"] =
        "{'batch': \(shape[0]), 'dynamic': \(PythonText.bool(isDynamic)), 'half': \(PythonText.bool(options.dtype == .float16)), 'nms': False, 'opset': \(options.opset)}"
      metadata["channels"] = "\(shape[1])"
      metadata["end2end"] = PythonText.bool(head?.givesChosenBoxes ?? false)
      if let points = head?.attributes["kpt_shape"]?.intsValue { metadata["kpt_shape"] = "\(points)" }
    } else {
      metadata["stride"] = PythonText.number(stride)
      metadata["names"] = PythonText.dictionary(names)
      if trainedSize != nil { metadata["imgsz"] = "[\(shape[2]), \(shape[3])]" }
      // Without this a detector is taken for YOLOv5's.
      if let head = try? DetectionHead(of: self), head.family != .yolov5 { metadata["detector"] = head.family.rawValue }
    }
    return metadata
  }

  /// Whether a detection head chooses the best boxes by itself, so that nothing is left to suppress.
  var givesChosenBoxes: Bool {
    guard children["one2one_cv2"] != nil else { return false }
    return children["cv2"] == nil || attributes["_end2end"].map { !$0.isEmpty } == true
  }
}

extension ModelOverview {
  /// What Ultralytics calls the task of a head.
  static func task(of head: String) -> String {
    let tasks = [
      ("SemanticSegment", "semantic"), ("Segment", "segment"), ("Pose", "pose"), ("OBB", "obb"),
      ("Classify", "classify"), ("Depth", "depth"),
    ]
    return tasks.first { head.contains($0.0) }?.1 ?? "detect"
  }
}

/// Values as Python writes and `ast.literal_eval` reads them.
enum PythonText {
  static func bool(_ value: Bool) -> String { value ? "True" : "False" }

  /// A whole number where it is one.
  static func number(_ value: Double) -> String {
    guard value.magnitude < 0x1p53, value == value.rounded() else { return "\(value)" }
    return "\(Int(value))"
  }

  static func dictionary(_ names: ClassNames) -> String {
    "{\(names.all.map { "\($0.key): \(string($0.value))" }.joined(separator: ", "))}"
  }

  /// In single quotes.
  static func string(_ text: String) -> String {
    var quoted = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "'", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\x\(digits.count == 1 ? "0" : "")\(digits)"
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return "'\(quoted)'"
  }
}
