import ModelCore

/// A whole YOLOv5 model, as its constructors make it.
struct YOLOv5Model {
  private let make: ModuleBuilder
  private let configuration: YOLOv5Configuration

  init(_ make: ModuleBuilder, _ configuration: YOLOv5Configuration) {
    (self.make, self.configuration) = (make, configuration)
  }

  /// The picture of zeros that a constructor measures strides with.
  private static let side = 256

  /// `DetectionModel` or, when its head segments, `SegmentationModel`.
  func detector() -> Module { build().root }

  /// `ClassificationModel` of the detector's first ten layers, the last of which gives way to the classifier.
  func classifier(classes: Int) -> Module {
    let cutoff = 10
    let (detector, parser) = build()
    guard let layers = detector.children["model"]?.children, layers.count >= cutoff else {
      make.refuse("a classifier is made of the first \(cutoff) layers of a detector")
      return detector
    }
    var kept = Array(layers.values.prefix(cutoff))
    // What the last layer takes: its own convolution's channels, or its first one's.
    let last = kept[cutoff - 1]
    let first = last["conv"] ?? last["cv1.conv"]
    guard case .convolution(let convolution)? = first?.layer else {
      make.refuse("the layer before a classifier must begin with a convolution")
      return detector
    }
    make.freshStatistics = .untouched
    var head = parser.classifier(convolution.inChannels, classes: classes)
    head.attributes["i"] = last.attributes["i"]
    head.attributes["f"] = last.attributes["f"]
    head.attributes["type"] = .string("models.common.Classify")
    // The activation that all blocks share works in place already.
    head.children["conv"]?.children["act"] = kept[0].children["act"] ?? parser.blocks.standardActivation
    kept[cutoff - 1] = head
    var attributes: OrderedDictionary<String, Attribute> = ["save": .list([]), "nc": .int(classes)]
    attributes["stride"] = detector.attributes["stride"]
    return make.module(
      YOLOv5Blocks.className("ClassificationModel", in: "yolo"), attributes: attributes,
      ["model": make.sequential(kept)])
  }

  private func build() -> (root: Module, parser: YOLOv5LayerParser) {
    make.freshStatistics = .afterZeros
    var parser = YOLOv5LayerParser(make, configuration)
    let repeats = configuration.layers.reduce(0) {
      $0 + YOLOv5LayerParser.scaledRepeats($1.repeats, configuration.depthMultiple)
    }
    guard repeats <= 4 * YOLOv5Configuration.repeatLimit else {
      make.refuse(
        "its layers are repeated \(repeats) times in all; at most \(4 * YOLOv5Configuration.repeatLimit) are built")
      return (make.identity(), parser)
    }
    var layers: [Module] = []
    for layer in configuration.layers where make.failure == nil { layers.append(parser.module(layer)) }
    make.place = nil
    guard make.failure == nil, var head = layers.popLast() else { return (make.identity(), parser) }
    let isDetector = ["Detect", "Segment"].contains(head.className.name)
    guard isDetector else {
      make.refuse("its last layer must be Detect or Segment")
      return (make.identity(), parser)
    }
    var root = make.module(
      YOLOv5Blocks.className(head.className.name == "Segment" ? "SegmentationModel" : "DetectionModel", in: "yolo"),
      attributes: [
        "yaml": configuration.attribute, "save": .list(saved.map { .int($0) }),
        "names": .list((0..<configuration.classes).map { .string(String($0)) }),
        "inplace": .bool(configuration.isInPlace),
      ], ["model": make.sequential(layers + [head])])
    if let file = configuration.file {
      root.attributes.updateValue(.string(file), forKey: "yaml_file", insertingAt: 0)
    }
    do {
      let pass = try YOLOv5ConstructorPass(root, channels: configuration.channels, side: Self.side)
      let strides = try pass.strides(of: head)
      settle(&head, strides)
      root.attributes["stride"] = head.attributes["stride"]
      root.children["model"] = make.sequential(layers + [head])
      pass.settleStatistics(in: &root, make)
    } catch {
      make.refuse(error)
    }
    root.initializeWeights()
    return (root, parser)
  }

  /// The layers whose outputs later ones take, in order.
  private var saved: [Int] {
    configuration.layers.enumerated().flatMap { index, layer in
      layer.from.filter { $0 != -1 }.map { $0 < 0 ? index + $0 : $0 }
    }.sorted()
  }

  /// With the strides come anchors in cells and the biases of a rare object.
  private func settle(_ head: inout Module, _ strides: [Int]) {
    let pixels = strides.map { Float($0) }
    head.attributes["stride"] = .tensor(
      .init(
        make.tensor(.float32, [strides.count]) { bytes in
          pixels.withUnsafeBytes { bytes.copyMemory(from: $0) }
        }))
    guard let anchors = head.attributes["na"]?.intValue, let classes = head.attributes["nc"]?.intValue,
      let outputs = head.attributes["no"]?.intValue, let sizes = try? head.buffers["anchors"]?.floats()
    else { return }
    let perLevel = anchors * 2
    var levels = strides.indices.map { Array(sizes[$0 * perLevel..<($0 + 1) * perLevel]) }
    if Self.isReversed(levels, strides) { levels.reverse() }
    let cells = zip(levels, strides).flatMap { level, stride in level.map { $0 / Float(stride) } }
    head.buffers["anchors"] = make.tensor(.float32, [strides.count, anchors, 2]) { bytes in
      cells.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
    for (name, pixels) in zip(head.children["m"]?.children.keys.elements ?? [], strides) {
      // Eight objects in a picture of 640, computed in float32 but for the logarithm.
      let cellsPerSide = 640 / Float(pixels)
      let object = Float(CMath.log(Double(8 / (cellsPerSide * cellsPerSide))))
      let other = Float(CMath.log(0.6 / (Double(classes) - 0.99999)))
      make.set(
        head["m.\(name)"]?.parameters["bias"],
        to: .edited { bias in
          for start in stride(from: 0, to: bias.count, by: outputs) {
            bias[start + 4] += object
            for index in start + 5..<start + 5 + classes { bias[index] += other }
          }
        })
    }
  }

  /// Whether the anchors' mean area grows where the strides shrink.
  private static func isReversed(_ levels: [[Float]], _ strides: [Int]) -> Bool {
    guard let first = levels.first, let last = levels.last else { return false }
    func area(_ sizes: [Float]) -> Float {
      let areas = stride(from: 0, to: sizes.count, by: 2).map { sizes[$0] * sizes[$0 + 1] }
      return areas.reduce(0, +) / Float(areas.count)
    }
    let growth = area(last) - area(first)
    let step = strides[strides.count - 1] - strides[0]
    return growth != 0 && (growth > 0 ? 1 : -1) != step.signum()
  }
}

extension YOLOv5Configuration {
  /// The description as the attribute `yaml` of a pickled model.
  fileprivate var attribute: Attribute {
    func entry(_ key: String, _ value: Attribute) -> Attribute.Entry { .init(key: .string(key), value: value) }
    if var description {
      description["nc"] = .int(classes)
      description["ch"] = .int(channels)
      return .dict(description.map { entry($0.key, $0.value) })
    }
    let anchors: Attribute =
      switch anchors {
      case .count(let count): .int(count)
      case .sizes(let levels):
        .list(levels.map { .list($0.map { Int(exactly: $0).map { .int($0) } ?? .double($0) }) })
      }
    return .dict([
      entry("nc", .int(classes)), entry("depth_multiple", .double(depthMultiple)),
      entry("width_multiple", .double(widthMultiple)), entry("anchors", anchors),
      entry("backbone", .list(backbone.map(\.attribute))), entry("head", .list(head.map(\.attribute))),
      entry("ch", .int(channels)),
    ])
  }
}

extension YOLOv5Configuration.Layer {
  fileprivate var attribute: Attribute {
    .list([
      isFromList ? .list(from.map { .int($0) }) : .int(from[0]), .int(repeats), .string(module),
      .list(arguments.map(\.attribute)),
    ])
  }
}
