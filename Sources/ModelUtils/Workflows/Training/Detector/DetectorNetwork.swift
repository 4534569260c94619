import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelDetection
import ModelGraph
import ModelRandom
import ModelSurgery
import ModelTraining

/// A detector as it is trained: its module, which of its outputs cost, by which loss, and by which groups its parameters
/// are updated.
struct DetectorNetwork {
  private(set) var module: Module
  let head: DetectionHead
  /// What gradients are multiplied by, by the paths of their parameters.
  let gradientMasks: [String: [Float]]
  /// What a user should know of where its weights come from.
  private(set) var notes: [String] = []

  /// A network with first weights.
  /// - Throws: `ModelError` for a name that is no detector's, a file without one, and heads that have no loss here.
  init(_ options: DetectorTrainingOptions, classNames: [String]) throws {
    var generator = TorchGenerator(seed: options.seed)
    var module: Module
    if Architecture.names.contains(options.model) {
      guard options.model.hasPrefix("yolo") else {
        throw ModelError(
          .unsupported, "is no detector, and the data are boxes", subject: options.model,
          advice: "take yolov6n, yolov5n or another YOLO, or a .pt with a whole detector")
      }
      module = try Architecture(named: options.model, hasAnchorBranch: options.fusesAnchors)
        .module(classes: classNames.count, using: &generator)
    } else if let described = try Self.description(options.model) {
      module = try described.module(classes: classNames.count, using: &generator)
    } else {
      module = try Self.module(inFile: options.model)
      if module.isUltralytics { try module.replaceDetectionClasses(classNames.count, using: &generator) }
    }
    var notes: [String] = []
    var masks: [String: [Float]] = [:]
    if RepOptimizer.isFor(module) || options.scales != nil {
      guard let scales = options.scales else {
        throw ModelError(
          .missing, "learns by RepOptimizer, which needs scales", subject: options.model,
          advice: "train a yolov6…_hs of the same size and give its best.pt with --scales")
      }
      let optimizer = try RepOptimizer(contentsOf: scales)
      if options.pretrained == nil { try optimizer.initialize(&module, using: &generator) }
      masks = try optimizer.masks(for: module)
    }
    if let pretrained = options.pretrained {
      let state = try Checkpoint(contentsOf: pretrained).preferred.stateDict()
      let report = try module.transfer(from: state)
      guard !report.transferred.isEmpty else {
        throw ModelError(
          .mismatch, "has no weights that fit \(options.model)", file: pretrained,
          advice: report.hint ?? "give the weights of such a network")
      }
      let missed = report.targetCount - report.transferred.count
      if missed > 0 {
        let names = report.skipped.lazy.filter { $0.reason != "not in target" }.prefix(3).map(\.name)
        notes.append(
          "\(missed) of \(report.targetCount) tensors begin anew, which \(pretrained) does not have in this shape: "
            + names.joined(separator: ", ") + (missed > 3 ? ", …" : ""))
      }
    }
    try self.init(module, options.model, masks)
    self.module.setDetection(classNames)
    self.module.setTrainedSize(side(of: options.imageSize))
    self.notes = notes
  }

  /// A side of inputs, rounded up to a multiple of the largest stride.
  func side(of size: Int) -> Int { (size + head.largestStride - 1) / head.largestStride * head.largestStride }

  /// A network that a state holds.
  init(_ module: Module, _ options: DetectorTrainingOptions) throws {
    let masks = try options.scales.map { try RepOptimizer(contentsOf: $0).masks(for: module) }
    try self.init(module, options.model, masks ?? [:])
  }

  private init(_ module: Module, _ name: String, _ masks: [String: [Float]]) throws {
    var module = module
    gradientMasks = masks
    do {
      head = try DetectionHead(of: module)
      let isKnown =
        switch head.family {
        case .yolov6: !head.className.contains("distill")
        case .yolov5: true
        case .ultralytics: head.className == "Detect" && !head.givesChosenBoxes
        case .yolov7, .yolov9, .rtdetr: false
        }
      guard isKnown, head.extra == .none else {
        throw ModelError(
          .unsupported,
          "a head \(head.className) has no loss here: those of YOLOv5, YOLOv6 and Ultralytics' Detect have",
          subject: head.path)
      }
    } catch let error as ModelError { throw error.file == nil ? error.inFile(name) : error }
    module.makeTrainable()
    module.dropUnknownAttributes()
    self.module = module
  }

  /// A network that a YAML file describes; nil for any other file.
  static func description(_ name: String) throws -> Architecture? {
    guard FileFolder.exists(try name.filePath) else {
      throw ModelError(
        .missing, "is neither a built-in architecture nor a file", subject: name,
        advice: "the nearest are \(Architecture.names.nearest(to: name))")
    }
    let file = try FileBytes(mapping: name)
    return Architecture.recognizes(yaml: file) ? try Architecture(yaml: file) : nil
  }

  static func module(inFile name: String) throws -> Module {
    let checkpoint = try Checkpoint(contentsOf: name)
    if checkpoint.onnx != nil {
      throw ModelError(
        .unsupported, "is an ONNX model, which is not trained", file: name,
        advice: "give the PyTorch file that it was exported from")
    }
    guard case .module(let module) = checkpoint.preferred else {
      throw ModelError(
        .unsupported, "holds a state dict, of which no network can be made", file: name,
        advice: "name the architecture with --model, and give this as --pretrained")
    }
    return module
  }

  /// The strides of its levels.
  var strides: [Int] { head.strides }

  // MARK: Loss

  /// What is minimised.
  /// - Parameter imageSize: the side of inputs, which YOLOv5's loss depends on.
  /// - Throws: `ModelError` for a head that is not as its class is.
  func objective(_ recipe: DetectorRecipe, imageSize: Int) throws -> any DetectionObjective {
    guard let layer = module[head.path] else { throw ModelError(.missing, "is not there", subject: head.path) }
    let gains = DetectionGains(box: recipe.boxGain, classes: recipe.classGain, bins: recipe.binGain)
    switch head.family {
    case .yolov6:
      let bins = layer.attributes["use_dfl"] == .bool(true) ? layer.attributes["reg_max"]?.intValue.map { $0 + 1 } : nil
      return try YOLOv6Loss(
        classes: head.classes, strides: strides, bins: bins, overlap: recipe.overlap,
        warmupEpochs: Int(recipe.placedEpochs), fusesAnchors: hasAnchorBranch, gains: gains)
    case .yolov5:
      guard let anchors = layer.buffers["anchors"], anchors.shape.count == 3, anchors.shape[2] == 2,
        anchors.shape[0] == strides.count
      else { throw ModelError(.malformed, "has no usable anchors", subject: head.path) }
      let cells = try anchors.doubles()
      let count = anchors.shape[1]
      let sizes = strides.enumerated().map { level, stride in
        (0..<count).map { index in
          let place = (level * count + index) * 2
          return SIMD2(cells[place], cells[place + 1]) * Double(stride)
        }
      }
      return try YOLOv5Loss(
        classes: head.classes, strides: strides, anchors: sizes,
        gains: YOLOv5Loss.Gains(box: recipe.boxGain, objectness: recipe.objectnessGain, classes: recipe.classGain)
          .scaled(levels: strides.count, classes: head.classes, imageSize: imageSize),
        anchorThreshold: recipe.anchorThreshold)
    case .ultralytics, .yolov7, .yolov9, .rtdetr:
      return try YOLOv8Loss(
        classes: head.classes, strides: strides, bins: layer.attributes["reg_max"]?.intValue ?? 16, gains: gains)
    }
  }

  /// What the parts of its loss are called.
  var itemNames: [String] {
    switch head.family {
    case .yolov6: ["iou_loss", "dfl_loss", "cls_loss"]
    case .yolov5: ["box_loss", "obj_loss", "cls_loss"]
    case .ultralytics, .yolov7, .yolov9, .rtdetr: ["box_loss", "cls_loss", "dfl_loss"]
    }
  }

  private var hasAnchorBranch: Bool { module[head.path]?.children["cls_preds_ab"] != nil }

  /// The outputs that the loss takes, of all that the network gives in training mode.
  func lossOutputs(_ graph: inout Graph, _ outputs: [Graph.Value]) throws -> [Graph.Value] {
    let levels = strides.count
    switch head.family {
    case .yolov6:
      let count = hasAnchorBranch ? 4 : 2
      guard outputs.count >= levels + count else { throw unexpected(outputs.count) }
      return Array(outputs[levels..<levels + count])
    case .yolov5:
      guard outputs.count >= levels else { throw unexpected(outputs.count) }
      return Array(outputs.prefix(levels))
    case .ultralytics, .yolov7, .yolov9, .rtdetr:
      guard outputs.count >= levels else { throw unexpected(outputs.count) }
      let bins = module[head.path]?.attributes["reg_max"]?.intValue ?? 16
      let rows = try outputs.prefix(levels).map {
        try graph.append(.flatten(Flatten(start: 2, end: -1)), [$0], scope: 0)[0]
      }
      let joined = try graph.append(.concatenate(axis: 2), rows, scope: 0)[0]
      return try graph.append(.split(axis: 1, .sizes([4 * bins, head.classes])), [joined], scope: 0)
    }
  }

  private func unexpected(_ count: Int) -> ModelError {
    ModelError(.mismatch, "gives \(count) tensors in training, too few for its head", subject: head.path)
  }

  // MARK: Parameters

  /// The groups that the originals make: norms' weights and biases do not decay. YOLOv6 trains what is called `weight` and
  /// `bias` alone, the others everything.
  func groups(_ rule: (_ decays: Bool) -> OptimizerRule, rate: Double) -> [ParameterGroup] {
    var (norms, weights, biases): ([String], [String], [String]) = ([], [], [])
    var seen: Set<Identity> = []
    module.forEachModule { path, layer in
      for (name, parameter) in layer.parameters where seen.insert(parameter.identity).inserted {
        let full = path.isEmpty ? name : "\(path).\(name)"
        switch name {
        case "bias": biases.append(full)
        case "weight" where layer.layer.isNorm: norms.append(full)
        case "weight": weights.append(full)
        default: if head.family != .yolov6 { weights.append(full) }
        }
      }
    }
    let ordered =
      head.family == .yolov6
      ? [(norms, false), (weights, true), (biases, false)] : [(biases, false), (weights, true), (norms, false)]
    return ordered.map { ParameterGroup($0.0, rule($0.1), initialLearningRate: rate) }
  }

  /// Which of the groups is that of biases.
  var biasGroup: Int { head.family == .yolov6 ? 2 : 0 }
}

extension Layer {
  /// Whether its weight scales what was normalised.
  fileprivate var isNorm: Bool {
    switch self {
    case .batchNorm, .layerNorm, .groupNorm, .instanceNorm, .rmsNorm, .localResponseNorm: true
    default: false
    }
  }
}

extension Module {
  fileprivate var isUltralytics: Bool {
    var found = false
    forEachModule { _, module in found = found || module.className.module.hasPrefix("ultralytics.") }
    return found
  }

  /// Lets everything be trained but what a head's distances are projected by.
  fileprivate mutating func makeTrainable() {
    updateModules { path, module in
      let isFixed = path.split(separator: ".").contains { $0 == "dfl" || $0 == "proj_conv" }
      for (name, parameter) in module.parameters where parameter.tensor.dtype.isFloatingPoint {
        module.parameters[name]?.requiresGrad = !isFixed && name != "proj"
      }
    }
  }

  /// Leaves out what was not understood when it was read, which could not be written into a state.
  fileprivate mutating func dropUnknownAttributes() {
    updateModules { _, module in
      for (name, attribute) in module.attributes where attribute.opaquePart != nil { module.attributes[name] = nil }
    }
  }

  /// What it calls its classes, where its original's programs look for it.
  fileprivate mutating func setDetection(_ names: [String]) {
    attributes["nc"] = .int(names.count)
    attributes["names"] =
      isUltralytics
      ? .dict(names.enumerated().map { .init(key: .int($0), value: .string($1)) })
      : .list(names.map { .string($0) })
  }
}
