import ModelArchitectures
import ModelCore
import ModelData
import ModelDetection
import ModelTraining

/// The hyper-parameters of a detector's training, by the originals' names.
public struct DetectorRecipe: Codable, Sendable, Hashable {
  /// What updates the weights.
  public enum OptimizerName: String, Codable, Sendable, CaseIterable {
    /// Gradient descent with Nesterov's momentum, Adam, and Adam with a decay apart from the gradient.
    case sgd, adam, adamw
  }

  /// What updates the weights.
  public var optimizer = OptimizerName.sgd
  /// `lr0`: the first rate, of a batch of `referenceBatch` pictures.
  public var learningRate = 0.01
  /// `lrf`: the share of the first rate at the end.
  public var finalShare = 0.01
  /// `momentum`; of Adam the first beta.
  public var momentum = 0.937
  /// `weight_decay`, of an update of `nominalBatch` pictures.
  public var weightDecay = 5e-4
  /// How the rate falls.
  public var schedule = YOLOSchedule.Form.cosine
  /// Whether rates are one epoch late behind the warm-up, as YOLOv6's.
  public var isLate = true
  /// `warmup_epochs`: how long rates rise, and `warmupMinimumSteps` at least.
  public var warmupEpochs = 3.0
  /// The least steps of a warm-up.
  public var warmupMinimumSteps = 1000.0
  /// `warmup_momentum`: the momentum that a run begins with.
  public var warmupMomentum = 0.8
  /// `warmup_bias_lr`: the rate of biases that a run begins with.
  public var warmupBiasRate = 0.1
  /// `nbs`: how many pictures an update stands for; smaller batches add up, and the decay follows. 0 for one batch, of
  /// whatever size.
  public var nominalBatch = 64.0
  /// `bs_per_gpu`: the batch that the first rate is for; it grows and falls with the batch. 0 leaves the rate.
  public var referenceBatch = 32.0
  /// What happens to pictures.
  public var augmentation = DetectionAugmentation()
  /// `box`: what boxes cost, times this.
  public var boxGain = 2.5
  /// `cls`: what classes cost, times this.
  public var classGain = 1.0
  /// `dfl`: what distributions of distances cost, times this.
  public var binGain = 0.5
  /// `obj`: what YOLOv5's objectness costs, times this.
  public var objectnessGain = 1.0
  /// `anchor_t`: how many times larger or smaller than an anchor of YOLOv5's a box may be.
  public var anchorThreshold = 4.0
  /// `iou_type`: by which overlap YOLOv6's boxes are judged.
  public var overlap = BoxOverlap.Form.giou
  /// `atss_warmup_epoch`: how many epochs YOLOv6's boxes are assigned by their places alone.
  public var placedEpochs = 0.0
  /// The decay of the running average, and the updates over which it comes near to it.
  public var averageDecay = 0.9999, averageRise = 2000.0

  /// YOLOv6's where nothing else is said.
  public init() {}

  // MARK: The originals'

  /// The recipe that an architecture was published with.
  /// - Parameter name: such as `yolov6n`, or `yolov5s`; any other takes Ultralytics'.
  public static func published(for name: String) -> DetectorRecipe {
    if name.hasPrefix("yolov6lite") { return lite }
    if name.hasPrefix("yolov6") { return yolov6(name.dropFirst(6)) }
    return name.hasPrefix("yolov5") ? .yolov5 : .ultralytics
  }

  /// The recipe of a built-in architecture, or of the family that a file's network is of: a description's or a whole
  /// module's.
  /// - Throws: `ModelError` where there is no such file, or it holds no detector.
  public static func fitting(_ model: String) throws -> DetectorRecipe {
    if Architecture.names.contains(model) { return published(for: model) }
    let module =
      try DetectorNetwork.description(model)?.module(classes: 1) ?? DetectorNetwork.module(inFile: model)
    return switch try DetectionHead(of: module).family {
    case .yolov6: DetectorRecipe()
    case .yolov5: .yolov5
    case .yolov7, .yolov9, .ultralytics, .rtdetr: .ultralytics
    }
  }

  private static func yolov6(_ name: Substring) -> DetectorRecipe {
    var recipe = DetectorRecipe()
    let isBase = name.hasSuffix("_base")
    if name.hasPrefix("n"), !isBase { recipe.learningRate = 0.02 }
    if !isBase, name.hasPrefix("n") || name.hasPrefix("_tiny") { recipe.overlap = .siou }
    if ["m", "l", "x"].contains(name.prefix(1)) { recipe.augmentation = .yolov6m }
    if name.hasPrefix("l6") { recipe.augmentation = .yolov6l6 }
    if name.dropFirst(1).hasPrefix("6") { (recipe.placedEpochs, recipe.referenceBatch) = (4, 16) }
    // RepOptimizer's rates do not follow the batch.
    if name.hasSuffix("_opt") { recipe.referenceBatch = 0 }
    return recipe
  }

  private static var lite: DetectorRecipe {
    var recipe = DetectorRecipe()
    (recipe.learningRate, recipe.momentum, recipe.weightDecay) = (0.4, 0.9, 4e-5)
    recipe.overlap = .siou
    return recipe
  }

  /// YOLOv5's hyp.scratch-low.
  public static var yolov5: DetectorRecipe {
    var recipe = DetectorRecipe()
    (recipe.schedule, recipe.isLate, recipe.referenceBatch) = (.linear, false, 0)
    recipe.warmupMinimumSteps = 100
    (recipe.boxGain, recipe.classGain, recipe.objectnessGain) = (0.05, 0.5, 1)
    return recipe
  }

  /// Ultralytics'.
  public static var ultralytics: DetectorRecipe {
    var recipe = DetectorRecipe.yolov5
    (recipe.boxGain, recipe.classGain, recipe.binGain) = (7.5, 0.5, 1.5)
    return recipe
  }

  /// YOLOv6's to go on from trained weights.
  public var forFinetuning: DetectorRecipe {
    var recipe = self
    (recipe.learningRate, recipe.finalShare, recipe.momentum, recipe.weightDecay) = (0.0032, 0.12, 0.843, 3.6e-4)
    (recipe.warmupEpochs, recipe.warmupMomentum, recipe.warmupBiasRate) = (2, 0.5, 0.05)
    recipe.augmentation = .yolov6Finetune
    return recipe
  }

  /// For sets of a few hundred pictures, where the originals' recipes do not come to anything: AdamW, an update for each
  /// batch behind a warm-up of 50 steps, and pictures that are turned over and mirrored alone.
  public var forSmallSets: DetectorRecipe {
    var recipe = self
    (recipe.optimizer, recipe.learningRate, recipe.momentum) = (.adamw, 0.002, 0.9)
    (recipe.schedule, recipe.isLate, recipe.referenceBatch, recipe.nominalBatch) = (.cosine, false, 0, 0)
    (recipe.warmupEpochs, recipe.warmupMinimumSteps) = (0, 50)
    (recipe.warmupBiasRate, recipe.warmupMomentum) = (0, 0.9)
    recipe.placedEpochs = 0
    recipe.augmentation = DetectionAugmentation(
      hue: 0, saturation: 0, value: 0, translate: 0, scale: 0, flipUpDown: 0.5, flipLeftRight: 0.5, mosaic: 0)
    return recipe
  }

  // MARK: By name

  /// The names of the numbers, YOLOv5's and YOLOv6's.
  public static var names: [String] { numbers.map(\.name) }

  /// The numbers in their order, as they are.
  public var values: [(name: String, value: Double)] { Self.numbers.map { ($0.name, self[keyPath: $0.path]) } }

  /// Sets a number by its name.
  /// - Throws: `ModelError` for a name that is none.
  public mutating func set(_ name: String, to value: Double) throws {
    guard let path = Self.numbers.first(where: { $0.name == name })?.path else {
      throw ModelError(
        .missing, "there is no hyper-parameter of this name", subject: name,
        advice: "the nearest are \(Self.names.nearest(to: name))")
    }
    self[keyPath: path] = value
  }

  /// Sets the numbers of a YAML file of names and values, as YOLOv5's `--hyp` takes. Names of other trainers' numbers
  /// are told.
  /// - Returns: the names in the file that are none here.
  /// - Throws: `ModelError` for what is no such file.
  public mutating func set(from file: FileBytes) throws -> [String] {
    do {
      guard let entries = try YAMLDocument(file.bytes).root.entries else {
        throw ModelError(.malformed, "is no mapping of names to values", subject: "line 1")
      }
      var unknown: [String] = []
      for (name, node) in entries {
        guard Self.names.contains(name) else {
          unknown.append(name)
          continue
        }
        guard let value = node.text.flatMap({ Double($0) }), value.isFinite else {
          throw ModelError(.malformed, "'\(name)' must be a number", subject: "line \(node.line)")
        }
        try set(name, to: value)
      }
      return unknown
    } catch let error as ModelError { throw error.inFile(file.name) }
  }

  private static var numbers: [(name: String, path: WritableKeyPath<DetectorRecipe, Double>)] {
    [
      ("lr0", \.learningRate), ("lrf", \.finalShare), ("momentum", \.momentum), ("weight_decay", \.weightDecay),
      ("warmup_epochs", \.warmupEpochs), ("warmup_steps", \.warmupMinimumSteps),
      ("warmup_momentum", \.warmupMomentum), ("warmup_bias_lr", \.warmupBiasRate), ("nbs", \.nominalBatch),
      ("bs_per_gpu", \.referenceBatch), ("box", \.boxGain), ("cls", \.classGain), ("dfl", \.binGain),
      ("obj", \.objectnessGain), ("anchor_t", \.anchorThreshold), ("atss_warmup_epoch", \.placedEpochs),
      ("ema_decay", \.averageDecay), ("ema_tau", \.averageRise),
      ("hsv_h", \.augmentation.hue), ("hsv_s", \.augmentation.saturation), ("hsv_v", \.augmentation.value),
      ("degrees", \.augmentation.degrees), ("translate", \.augmentation.translate), ("scale", \.augmentation.scale),
      ("shear", \.augmentation.shear), ("flipud", \.augmentation.flipUpDown),
      ("fliplr", \.augmentation.flipLeftRight), ("mosaic", \.augmentation.mosaic), ("mixup", \.augmentation.mixup),
    ]
  }

  /// Refuses numbers out of their ranges.
  /// - Throws: `ModelError` that names the number.
  public func check() throws {
    func require(_ name: String, _ value: Double, _ holds: Bool, _ range: String) throws {
      if !holds { throw ModelError(.invalid, "is \(value), where it is \(range)", subject: name) }
    }
    try require("lr0", learningRate, learningRate > 0 && learningRate.isFinite, "finite and above 0")
    try require("lrf", finalShare, (0...1).contains(finalShare), "0 to 1")
    try require(
      "momentum", momentum, (0..<1).contains(momentum) && (momentum > 0 || optimizer != .sgd), "above 0 and below 1")
    for (name, value) in values where !["lr0", "lrf", "momentum"].contains(name) {
      try require(name, value, value >= 0 && value <= 1e9, "0 to 1000000000")
    }
    try require("warmup_momentum", warmupMomentum, warmupMomentum <= 1, "0 to 1")
    try require("nbs", nominalBatch, nominalBatch == nominalBatch.rounded(), "a whole number of pictures")
    try require("ema_decay", averageDecay, averageDecay < 1, "0 up to 1")
    try require("ema_tau", averageRise, averageRise > 0, "above 0")
    try require("anchor_t", anchorThreshold, anchorThreshold > 0, "above 0")
    try augmentation.check()
  }

  /// The rule of the optimizer.
  /// - Parameters:
  ///   - rate: the first one, scaled.
  ///   - decay: scaled; 0 for parameters that do not decay.
  func rule(rate: Double, decay: Double) -> OptimizerRule {
    switch optimizer {
    case .sgd: .sgd(SGD(learningRate: rate, momentum: momentum, weightDecay: decay, nesterov: true))
    case .adam: .adam(Adam(learningRate: rate, beta1: momentum, beta2: 0.999, weightDecay: decay))
    case .adamw: .adam(.adamW(learningRate: rate, beta1: momentum, beta2: 0.999, weightDecay: decay))
    }
  }
}
