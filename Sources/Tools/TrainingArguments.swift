import ArgumentParser
import ModelUtils

/// The options of a recipe, nil where they are not given.
struct TrainingArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A built-in architecture; for boxes also a .yaml that describes one, or a detector's .pt. Default: resnet18, for boxes yolov6n.",
      valueName: "name"))
  var model: String?

  @Option(
    help: ArgumentHelp("Weights to begin with, for any number of classes. Default: drawn.", valueName: "file"),
    completion: .file())
  var pretrained: String?

  @Option(help: ArgumentHelp("How often the whole set is gone through. Default: 10, for boxes 400.", valueName: "n"))
  var epochs: Int?

  @Option(help: ArgumentHelp("Pictures of a step. Default: 64, for boxes 32.", valueName: "n"))
  var batchSize: Int?

  @Option(
    help: ArgumentHelp("What the network sees. Default: the set's size or 224, for boxes 640.", valueName: "size"))
  var imageSize: ImageSize?

  @Option(help: ArgumentHelp("sgd, adam, adamw or, for classifiers, rmsprop. Default: sgd.", valueName: "name"))
  var optimizer: ClassifierTrainingOptions.OptimizerName?

  @Option(
    name: [.customLong("lr")], parsing: .unconditional,
    help: ArgumentHelp(
      "The first learning rate. Default: 0.05 for sgd, else 0.001; for boxes the recipe's.", valueName: "rate"))
  var learningRate: Double?

  @Option(help: ArgumentHelp("Of sgd and rmsprop. Default: 0.9, for boxes the recipe's.", valueName: "share"))
  var momentum: Double?

  @Flag(help: "Nesterov's momentum, for sgd.")
  var nesterov = false

  @Option(help: ArgumentHelp("Default: 0.0001, for boxes the recipe's.", valueName: "share"))
  var weightDecay: Double?

  @Option(
    help: ArgumentHelp(
      "cosine, linear, constant or, for classifiers, step. Default: cosine, for boxes the recipe's.", valueName: "name")
  )
  var schedule: ClassifierTrainingOptions.ScheduleName?

  @Option(
    help: ArgumentHelp(
      "The share of the rate at the end of cosine and linear. Default: 0.01, for boxes the recipe's.",
      valueName: "share"))
  var finalShare: Double?

  @Option(
    help: ArgumentHelp("Epochs over which the rate rises from 0. Default: 0, for boxes the recipe's.", valueName: "n"))
  var warmupEpochs: Double?

  @Option(help: ArgumentHelp("How much of a label goes to all classes. Default: 0.", valueName: "share"))
  var labelSmoothing: Double?

  @Option(help: ArgumentHelp("Clip gradients to this norm.", valueName: "norm"))
  var clipNorm: Double?

  @Option(
    help: ArgumentHelp(
      "Keep and judge a running average of this decay, such as 0.999. Default: none, for boxes 0.9999; 0 keeps none.",
      valueName: "decay"))
  var ema: Double?

  @Flag(help: "Keep less of the forward and compute it again for the gradients: the same results in less memory.")
  var checkpointActivations = false

  @Option(
    help: ArgumentHelp(
      "What to multiply in: float32, or bfloat16 where the processor has it; weights stay float32. Default: float32.",
      valueName: "type"))
  var precision: Precision?

  @Flag(
    name: .customLong("sync-batch-norm"), inversion: .prefixedNo,
    help: "Whether batch norms take their statistics over the pictures of all ranks. Default: a classifier's do.")
  var synchronizesBatchNorms: Bool?

  @Flag(help: "Neither cut nor mirror pictures at random.")
  var noAugmentation = false

  @Option(help: ArgumentHelp("What everything random is drawn by. Default: 0.", valueName: "n"))
  var seed: UInt64?

  /// The options that were given.
  var given: [String] {
    givenForClassifiers
      + names([
        ("--model", model != nil), ("--pretrained", pretrained != nil), ("--epochs", epochs != nil),
        ("--batch-size", batchSize != nil), ("--image-size", imageSize != nil), ("--optimizer", optimizer != nil),
        ("--lr", learningRate != nil), ("--momentum", momentum != nil), ("--weight-decay", weightDecay != nil),
        ("--schedule", schedule != nil), ("--final-share", finalShare != nil),
        ("--warmup-epochs", warmupEpochs != nil), ("--clip-norm", clipNorm != nil), ("--ema", ema != nil),
        ("--checkpoint-activations", checkpointActivations), ("--precision", precision != nil),
        ("--sync-batch-norm", synchronizesBatchNorms != nil), ("--no-augmentation", noAugmentation),
        ("--seed", seed != nil),
      ])
  }

  /// Those that only classifiers have.
  var givenForClassifiers: [String] {
    names([
      ("--nesterov", nesterov), ("--label-smoothing", labelSmoothing != nil),
      ("--optimizer rmsprop", optimizer == .rmsprop), ("--schedule step", schedule == .step),
    ])
  }

  private func names(_ options: [(String, Bool)]) -> [String] { options.filter(\.1).map(\.0) }

  func classifierOptions() -> ClassifierTrainingOptions {
    var options = ClassifierTrainingOptions()
    options.model = model ?? options.model
    options.pretrained = pretrained
    options.epochs = epochs ?? options.epochs
    options.batchSize = batchSize ?? options.batchSize
    options.imageSize = imageSize.map { [$0.height, $0.width] }
    options.optimizer = optimizer ?? options.optimizer
    options.learningRate = learningRate
    options.momentum = momentum ?? options.momentum
    options.nesterov = nesterov
    options.weightDecay = weightDecay ?? options.weightDecay
    options.schedule = schedule ?? options.schedule
    options.finalShare = finalShare ?? options.finalShare
    options.warmupEpochs = warmupEpochs ?? options.warmupEpochs
    options.labelSmoothing = labelSmoothing ?? options.labelSmoothing
    options.clipNorm = clipNorm
    options.ema = ema == 0 ? nil : ema
    options.checkpointsActivations = checkpointActivations
    options.precision = precision ?? options.precision
    options.synchronizesBatchNorms = synchronizesBatchNorms ?? options.synchronizesBatchNorms
    options.augments = !noAugmentation
    options.seed = seed ?? options.seed
    return options
  }
}

extension ClassifierTrainingOptions.OptimizerName: Choice {}
extension ClassifierTrainingOptions.ScheduleName: Choice {}
