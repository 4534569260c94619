import ArgumentParser
import ModelUtils

/// What only a detector's training has, nil where it is not given.
struct DetectionArguments: ParsableArguments {
  enum RecipeName: String, ExpressibleByArgument, CaseIterable { case published, finetune, small }

  @Option(
    help: ArgumentHelp(
      "published: what the network was published with; finetune: YOLOv6's, to go on from trained weights; small: for a few hundred pictures. Default: published.",
      valueName: "name"))
  var recipe: RecipeName?

  @Option(
    help: ArgumentHelp("Hyper-parameters by YOLOv5's and YOLOv6's names, a YAML file.", valueName: "file"),
    completion: .file())
  var hyp: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A hyper-parameter, such as mosaic=0.5; may be repeated.", valueName: "name=value"))
  var settings: [String] = []

  @Option(help: ArgumentHelp("What boxes are judged by: iou, giou, diou, ciou or siou, for YOLOv6.", valueName: "name"))
  var iouType: BoxOverlap.Form?

  @Option(
    help: ArgumentHelp(
      "What a yolov6…_hs of the same size was trained to, for a yolov6…_opt: RepOptimizer's scales.", valueName: "file"),
    completion: .file())
  var scales: String?

  @Flag(help: "Give a YOLOv6 a branch of anchors that helps in training.")
  var fuseAb = false

  @Option(help: ArgumentHelp("Judge every so manyth epoch. Default: 20.", valueName: "n"))
  var evalInterval: Int?

  @Option(help: ArgumentHelp("How many epochs at the end are judged every third time. Default: 50.", valueName: "n"))
  var heavyEvalRange: Int?

  @Flag(help: "Judge the last epoch alone.")
  var evalFinalOnly = false

  @Option(help: ArgumentHelp("How many epochs at the end go without mosaic and mixup. Default: 15.", valueName: "n"))
  var stopAugLastNEpoch: Int?

  @Option(help: ArgumentHelp("How many epochs at the end keep a state of their own. Default: 0.", valueName: "n"))
  var saveCkptOnLastNEpoch: Int?

  @Flag(help: "Leave last.pt as it is at the end, so that nothing is lost.")
  var keepState = false

  /// The options that were given.
  var given: [String] {
    let all: [(String, Bool)] = [
      ("--recipe", recipe != nil), ("--hyp", hyp != nil), ("--set", !settings.isEmpty), ("--iou-type", iouType != nil),
      ("--scales", scales != nil), ("--fuse-ab", fuseAb), ("--eval-interval", evalInterval != nil),
      ("--heavy-eval-range", heavyEvalRange != nil),
      ("--eval-final-only", evalFinalOnly), ("--stop-aug-last-n-epoch", stopAugLastNEpoch != nil),
      ("--save-ckpt-on-last-n-epoch", saveCkptOnLastNEpoch != nil), ("--keep-state", keepState),
    ]
    return all.filter(\.1).map(\.0)
  }

  /// What is asked for, with notes.
  func options(_ common: TrainingArguments) throws -> (DetectorTrainingOptions, [String]) {
    var options = DetectorTrainingOptions()
    var notes: [String] = []
    options.model = common.model ?? options.model
    options.recipe = try .fitting(options.model)
    switch recipe {
    case .published, nil: break
    case .finetune: options.recipe = options.recipe.forFinetuning
    case .small: options.recipe = options.recipe.forSmallSets
    }
    if let hyp {
      let others = try options.recipe.set(from: FileBytes(mapping: hyp))
      if !others.isEmpty { notes.append("\(hyp) has hyper-parameters that are none here: \(Text.list(others))") }
    }
    try take(common, &options.recipe)
    for setting in settings {
      let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, let value = Double(parts[1]), value.isFinite else {
        throw ModelError(.invalid, "--set takes a name and a number, as mosaic=0.5", subject: setting)
      }
      try options.recipe.set(parts[0], to: value)
    }
    options.recipe.overlap = iouType ?? options.recipe.overlap
    options.pretrained = common.pretrained
    options.fusesAnchors = fuseAb
    options.scales = scales
    options.epochs = common.epochs ?? options.epochs
    options.batchSize = common.batchSize ?? options.batchSize
    if let size = common.imageSize {
      guard size.height == size.width else {
        throw ModelError(.invalid, "boxes are learned in squares, so --image-size takes one number")
      }
      options.imageSize = size.height
    } else {
      options.imageSize = try DetectorTrainingOptions.imageSize(of: options.model) ?? options.imageSize
    }
    options.clipNorm = common.clipNorm
    options.averages = common.ema != 0
    options.checkpointsActivations = common.checkpointActivations
    options.precision = common.precision ?? options.precision
    options.synchronizesBatchNorms = common.synchronizesBatchNorms ?? options.synchronizesBatchNorms
    options.seed = common.seed ?? options.seed
    options.interval = evalInterval ?? options.interval
    options.heavyEpochs = heavyEvalRange ?? options.heavyEpochs
    options.judgesLastAlone = evalFinalOnly
    options.plainEpochs = stopAugLastNEpoch ?? options.plainEpochs
    options.keptEpochs = saveCkptOnLastNEpoch ?? options.keptEpochs
    options.keepsState = keepState
    return (options, notes)
  }

  private func take(_ common: TrainingArguments, _ recipe: inout DetectorRecipe) throws {
    switch common.optimizer {
    case .sgd: recipe.optimizer = .sgd
    case .adam: recipe.optimizer = .adam
    case .adamw: recipe.optimizer = .adamw
    case .rmsprop, nil: break
    }
    switch common.schedule {
    case .cosine: recipe.schedule = .cosine
    case .linear: recipe.schedule = .linear
    case .constant: recipe.schedule = .constant
    case .step, nil: break
    }
    recipe.learningRate = common.learningRate ?? recipe.learningRate
    recipe.momentum = common.momentum ?? recipe.momentum
    recipe.weightDecay = common.weightDecay ?? recipe.weightDecay
    recipe.finalShare = common.finalShare ?? recipe.finalShare
    recipe.warmupEpochs = common.warmupEpochs ?? recipe.warmupEpochs
    if let ema = common.ema, ema != 0 { recipe.averageDecay = ema }
    if common.noAugmentation { recipe.augmentation = .none }
  }
}

extension BoxOverlap.Form: Choice {}
