import ModelCore

/// YOLOv5's own models: two shapes of network, five sizes of each, and three kinds of head.
enum YOLOv5Family {
  enum Task: Sendable { case detect, segment, classify }

  static let architectures: [Architecture] =
    sizes.map { architecture("yolov5\($0.name)", $0, p5, .detect) }
    + sizes.map { architecture("yolov5\($0.name)6", $0, p6, .detect) }
    + sizes.map { architecture("yolov5\($0.name)-seg", $0, p5, .segment) }
    + sizes.map { architecture("yolov5\($0.name)-cls", $0, p5, .classify) }

  private typealias Size = (name: String, depth: Double, width: Double)
  private static let sizes: [Size] = [
    ("n", 0.33, 0.25), ("s", 0.33, 0.50), ("m", 0.67, 0.75), ("l", 1.0, 1.0), ("x", 1.33, 1.25),
  ]

  /// The stages after the stem, each of half the size before it, and the anchors of the last three or four.
  private struct Shape {
    let stages: [(channels: Int, repeats: Int)]
    let anchors: [[Double]]
  }

  private static let p5 = Shape(
    stages: [(128, 3), (256, 6), (512, 9), (1024, 3)],
    anchors: [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]])
  private static let p6 = Shape(
    stages: [(128, 3), (256, 6), (512, 9), (768, 3), (1024, 3)],
    anchors: [
      [19, 27, 44, 40, 38, 94], [96, 68, 86, 152, 180, 137], [140, 301, 303, 264, 238, 542],
      [436, 615, 739, 380, 925, 792],
    ])

  private static func architecture(_ name: String, _ size: Size, _ shape: Shape, _ task: Task) -> Architecture {
    var configuration = configuration(size, shape, task)
    configuration.file = "\(name).yaml"
    return Architecture(name, classes: task == .classify ? 1000 : 80) { [configuration] make, classes in
      if task == .classify { return YOLOv5Model(make, configuration).classifier(classes: classes) }
      var configuration = configuration
      configuration.classes = classes
      return YOLOv5Model(make, configuration).detector()
    }
  }

  private static func configuration(_ size: Size, _ shape: Shape, _ task: Task) -> YOLOv5Configuration {
    var layers: [YOLOv5Configuration.Layer] = []
    func add(_ from: [Int] = [-1], _ repeats: Int = 1, _ module: String, _ arguments: [YOLOv5Argument]) {
      layers.append(.init(from: from, repeats, module, arguments))
    }
    // Down: the stem, then each stage; where each stage ends is remembered for the way up.
    add([-1], 1, "Conv", [.int(64), .int(6), .int(2), .int(2)])
    var ends: [Int] = []
    for stage in shape.stages {
      add([-1], 1, "Conv", [.int(stage.channels), .int(3), .int(2)])
      add([-1], stage.repeats, "C3", [.int(stage.channels)])
      ends.append(layers.count - 1)
    }
    add([-1], 1, "SPPF", [.int(1024), .int(5)])
    let backbone = layers.count
    // Up: joined with the stages on the way.
    var laterals: [Int] = []
    for level in stride(from: shape.stages.count - 2, through: 1, by: -1) {
      let channels = shape.stages[level].channels
      add([-1], 1, "Conv", [.int(channels), .int(1), .int(1)])
      laterals.append(layers.count - 1)
      add([-1], 1, "nn.Upsample", [.none, .int(2), .string("nearest")])
      add([-1, ends[level]], 1, "Concat", [.int(1)])
      add([-1], 3, "C3", [.int(channels), .bool(false)])
    }
    // Down again: joined with what was there before each step up.
    var outputs = [layers.count - 1]
    for level in 1..<shape.stages.count - 1 {
      add([-1], 1, "Conv", [.int(shape.stages[level].channels), .int(3), .int(2)])
      add([-1, laterals.removeLast()], 1, "Concat", [.int(1)])
      add([-1], 3, "C3", [.int(shape.stages[level + 1].channels), .bool(false)])
      outputs.append(layers.count - 1)
    }
    let head: [YOLOv5Argument] = [.variable(.classes), .variable(.anchors)]
    if task == .segment {
      add(outputs, 1, "Segment", head + [.int(32), .int(256)])
    } else {
      add(outputs, 1, "Detect", head)
    }
    return YOLOv5Configuration(
      classes: 80, depthMultiple: size.depth, widthMultiple: size.width, anchors: .sizes(shape.anchors),
      backbone: Array(layers[..<backbone]), head: Array(layers[backbone...]))
  }
}
