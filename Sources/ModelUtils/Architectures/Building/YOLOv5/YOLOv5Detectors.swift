import ModelCore

/// YOLOv5's heads.
extension YOLOv5LayerParser {
  /// `Detect` or `Segment`, whose strides are not known yet.
  func head(_ name: String, _ given: [YOLOv5Argument], _ sources: [Int]) -> Module {
    var arguments = YOLOv5Arguments(given.map(resolved), of: name, make)
    let classes = arguments.int(in: 1...1 << 20)
    let anchors = arguments.sizes(levels: sources.count)
    var masks = (count: 0, prototypes: 0)
    if name == "Segment" { masks = (arguments.int(), scaled(arguments.int())) }
    arguments.end()
    let count = (anchors.first?.count ?? 0) / 2
    // The original makes the head of a detector first and replaces it.
    var outputs = classes + 5
    var levels = convolutions(sources, count * outputs)
    var children: OrderedDictionary<String, Module> = ["m": levels]
    if name == "Segment" {
      outputs += masks.count
      levels = convolutions(sources, count * outputs)
      children = ["m": levels, "proto": prototypes(sources.first ?? 1, masks.prototypes, masks.count)]
    }
    var head = make.module(
      YOLOv5Blocks.className(name, in: "yolo"),
      attributes: [
        "nc": .int(classes), "no": .int(outputs), "nl": .int(sources.count), "na": .int(count),
        "grid": .list(noGrids(sources.count)), "anchor_grid": .list(noGrids(sources.count)),
        "inplace": .bool(configuration.isInPlace),
      ], children)
    if name == "Segment" {
      head.attributes["nm"] = .int(masks.count)
      head.attributes["npr"] = .int(masks.prototypes)
      head.attributes["detect"] = .unboundMethod(YOLOv5Blocks.className("Detect", in: "yolo"), "forward")
    }
    let values = anchors.flatMap { $0 }.map { Float($0) }
    head.buffers["anchors"] = make.tensor(.float32, [sources.count, count, 2]) { bytes in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
    return head
  }

  /// Made for the size of a picture when the first one comes in evaluation.
  private func noGrids(_ levels: Int) -> [Attribute] {
    (0..<levels).map { _ in .tensor(.init(make.tensor(.float32, [0]) { _ in })) }
  }

  private func resolved(_ argument: YOLOv5Argument) -> YOLOv5Argument {
    guard case .variable(let variable) = argument else { return argument }
    switch variable {
    case .classes: return .int(configuration.classes)
    case .anchorCount: return .int(configuration.anchors.perLevel)
    case .outputCount: return .int(configuration.outputCount)
    case .anchors:
      switch configuration.anchors {
      case .count(let count): return .int(count)
      case .sizes(let levels): return .list(levels.map { .list($0.map { .double($0) }) })
      }
    }
  }

  private func convolutions(_ sources: [Int], _ outputs: Int) -> Module {
    make.moduleList(sources.map { make.conv2d($0, outputs, 1) })
  }

  /// `Proto`: the masks that a segmentation is a mixture of.
  private func prototypes(_ inputs: Int, _ hidden: Int, _ outputs: Int) -> Module {
    make.module(
      YOLOv5Blocks.className("Proto"),
      [
        "cv1": blocks.conv(inputs, hidden, 3), "upsample": make.upsample(.scale([2]), mode: "nearest"),
        "cv2": blocks.conv(hidden, hidden, 3), "cv3": blocks.conv(hidden, outputs),
      ])
  }

  /// `Classify`, as it stands on a backbone.
  func classifier(_ inputs: Int, classes: Int) -> Module {
    let conv = blocks.conv(inputs, 1280)
    var pool = make.adaptiveAvgPool2d(1)
    pool.attributes["output_size"] = .int(1)
    return make.module(
      YOLOv5Blocks.className("Classify"),
      [
        "conv": conv, "pool": pool, "drop": make.dropout(0, inplace: true),
        "linear": make.linear(1280, classes),
      ])
  }
}
