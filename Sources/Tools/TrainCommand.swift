import ArgumentParser
import ModelUtils
import SystemPackage

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a classifier on pictures.",
    discussion: """
      DATA is a folder with a folder of pictures for each class (or such folders in train and val), a folder of MNIST's files, an \
      .npz with x_train, y_train, x_test and y_test, or a .csv. The run's folder gets last.pt, where the run stands, best.pt, the \
      weights that did best (torch loads both with weights_only=True), results.csv, TensorBoard's events, args.yaml and report.html.

      A run depends on its seed and the number of threads alone. Interrupted, it finishes its step, writes and exits with 130; with --resume it goes on and gives what it \
      would have given.

      In a build with --traits MPI, mpirun's ranks divide each batch and learn what one process learns, up to rounding.

      Examples:
        mutils train pictures --model resnet18 --epochs 20 -o runs/first
        mutils train pictures --resume runs/first
        mutils val runs/first/best.pt pictures
        mpirun -n 2 mutils train pictures --batch-size 128 -o runs/second
      """)

  @Argument(help: "The pictures with their classes.", completion: .file())
  var data: String

  @OptionGroup var report: ReportOptions
  @OptionGroup var recipe: TrainingArguments

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The run's folder.", valueName: "folder"), completion: .directory)
  var output: String?

  @Option(
    help: ArgumentHelp("Go on with the run in this folder, by its own options.", valueName: "folder"),
    completion: .directory)
  var resume: String?

  func validate() throws {
    guard output == nil || resume == nil else {
      throw ValidationError("A run goes on in its own folder; leave -o out.")
    }
    guard output != "", resume != "" else { throw ValidationError("The run's folder has no name.") }
    guard output != nil || resume != nil else {
      throw ValidationError("Give the run's folder with -o, or go on with one with --resume.")
    }
    if resume != nil, let given = recipe.firstGiven {
      throw ValidationError("A run goes on by its own options; leave \(given) out.")
    }
  }

  func run() throws {
    let world = try currentCommunicator()
    try report.withThreads(among: world.localSize) {
      let sets = try ClassificationSets(contentsOf: data)
      let training: ClassifierTraining
      if let resume {
        training = try ClassifierTraining(sets, resuming: resume, communicator: world)
      } else {
        training = try ClassifierTraining(sets, options: recipe.options(), folder: output ?? "", communicator: world)
      }
      let speaks = world.rank == 0
      if speaks, sets.validation == nil {
        report.note("no pictures to judge by: the best is found by those learned from")
      }
      if speaks, !report.json {
        Terminal.print(
          "\(training.options.model) at \(training.imageSize.map(String.init).joined(separator: "x")): \(sets.training.count) pictures of \(sets.training.classNames.count) classes, "
            + "\(training.stepsPerEpoch) \(training.stepsPerEpoch == 1 ? "step" : "steps") an epoch"
            + (world.worldSize > 1 ? ", \(world.worldSize) ranks" : ""))
        Terminal.print(EpochLine.header)
      }
      var progress: Progress?
      let outcome = try Signals.endingGracefully { isAsked in
        try training.run(shouldStop: isAsked) { event in
          guard speaks else { return }
          switch event {
          case .step(let epoch, let done, let count, _, _):
            if progress == nil { progress = Progress("steps of epoch \(epoch)", of: count, isShown: !report.quiet) }
            progress?.reach(done, of: count)
          case .judged: break
          case .epoch(let result):
            progress?.finish()
            progress = nil
            if !report.json { Terminal.print(EpochLine.line(result, of: training.options.epochs)) }
          }
        }
      }
      progress?.finish()
      world.close()
      // The status is the first rank's: one of another's, before that, would make mpirun end the first.
      guard speaks else { return }
      let folder = training.folder
      if report.json { try Terminal.print(json: TrainingReport(outcome, folder: folder)) }
      if outcome.isInterrupted {
        Terminal.note("interrupted: go on with mutils train \(data) --resume \(folder)")
        Terminal.printNotes()
        throw ExitCode(130)
      }
      if outcome.epochs.isEmpty, !report.json {
        report.note("the run has had its \(training.options.epochs) epochs already")
      }
      if !report.json { Terminal.print("Saved \(folder.appending("best.pt")) and \(folder.appending("last.pt"))") }
    }
  }
}

/// The options of a recipe, nil where they are not given.
struct TrainingArguments: ParsableArguments {
  @Option(help: ArgumentHelp("A built-in architecture. Default: resnet18.", valueName: "name"))
  var model: String?

  @Option(
    help: ArgumentHelp("Weights to begin with, for any number of classes. Default: drawn.", valueName: "file"),
    completion: .file())
  var pretrained: String?

  @Option(help: ArgumentHelp("How often the whole set is gone through. Default: 10.", valueName: "n"))
  var epochs: Int?

  @Option(help: ArgumentHelp("Pictures of a step. Default: 64.", valueName: "n"))
  var batchSize: Int?

  @Option(help: ArgumentHelp("What the network sees. Default: the set's size, or 224.", valueName: "size"))
  var imageSize: ImageSize?

  @Option(help: ArgumentHelp("sgd, adam, adamw or rmsprop. Default: sgd.", valueName: "name"))
  var optimizer: TrainingOptions.OptimizerName?

  @Option(
    name: [.customLong("lr")], parsing: .unconditional,
    help: ArgumentHelp("The first learning rate. Default: 0.05 for sgd, else 0.001.", valueName: "rate"))
  var learningRate: Double?

  @Option(help: ArgumentHelp("Of sgd and rmsprop. Default: 0.9.", valueName: "share"))
  var momentum: Double?

  @Flag(help: "Nesterov's momentum, for sgd.")
  var nesterov = false

  @Option(help: ArgumentHelp("Default: 0.0001.", valueName: "share"))
  var weightDecay: Double?

  @Option(help: ArgumentHelp("cosine, linear, constant or step. Default: cosine.", valueName: "name"))
  var schedule: TrainingOptions.ScheduleName?

  @Option(
    help: ArgumentHelp("The share of the rate at the end of cosine and linear. Default: 0.01.", valueName: "share"))
  var finalShare: Double?

  @Option(help: ArgumentHelp("Epochs over which the rate rises from 0. Default: 0.", valueName: "n"))
  var warmupEpochs: Double?

  @Option(help: ArgumentHelp("How much of a label goes to all classes. Default: 0.", valueName: "share"))
  var labelSmoothing: Double?

  @Option(help: ArgumentHelp("Clip gradients to this norm.", valueName: "norm"))
  var clipNorm: Double?

  @Option(help: ArgumentHelp("Keep and judge a running average of this decay, such as 0.999.", valueName: "decay"))
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
    help: "Whether batch norms take their statistics over the pictures of all ranks. Default: they do.")
  var synchronizesBatchNorms: Bool?

  @Flag(help: "Neither cut nor mirror pictures at random.")
  var noAugmentation = false

  @Option(help: ArgumentHelp("What everything random is drawn by. Default: 0.", valueName: "n"))
  var seed: UInt64?

  /// An option that was given.
  var firstGiven: String? {
    let given: [(String, Bool)] = [
      ("--model", model != nil), ("--pretrained", pretrained != nil), ("--epochs", epochs != nil),
      ("--batch-size", batchSize != nil), ("--image-size", imageSize != nil), ("--optimizer", optimizer != nil),
      ("--lr", learningRate != nil), ("--momentum", momentum != nil), ("--nesterov", nesterov),
      ("--weight-decay", weightDecay != nil), ("--schedule", schedule != nil), ("--final-share", finalShare != nil),
      ("--warmup-epochs", warmupEpochs != nil), ("--label-smoothing", labelSmoothing != nil),
      ("--clip-norm", clipNorm != nil), ("--ema", ema != nil),
      ("--checkpoint-activations", checkpointActivations), ("--precision", precision != nil),
      ("--sync-batch-norm", synchronizesBatchNorms != nil),
      ("--no-augmentation", noAugmentation),
      ("--seed", seed != nil),
    ]
    return given.first { $0.1 }?.0
  }

  func options() -> TrainingOptions {
    var options = TrainingOptions()
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
    options.ema = ema
    options.checkpointsActivations = checkpointActivations
    options.precision = precision ?? options.precision
    options.synchronizesBatchNorms = synchronizesBatchNorms ?? options.synchronizesBatchNorms
    options.augments = !noAugmentation
    options.seed = seed ?? options.seed
    return options
  }
}

extension TrainingOptions.OptimizerName: ExpressibleByArgument {}
extension TrainingOptions.ScheduleName: ExpressibleByArgument {}

/// Epochs one under the other.
enum EpochLine {
  static let header = "   epoch  train loss  train top1   val loss  val top1  val top5       lr  seconds"

  static func line(_ result: ClassifierTraining.EpochResult, of count: Int) -> String {
    func share(_ value: Double?) -> String { value.map { CFormat.string("%9.2f", $0 * 100) + "%" } ?? "         -" }
    func loss(_ value: Double) -> String { CFormat.string(abs(value) < 1e5 ? "%11.4f" : "%11.3e", value) }
    let place = "\(result.epoch)/\(count)"
    return String(repeating: " ", count: max(0, 8 - place.count)) + place + " " + loss(result.trainLoss)
      + "  " + share(result.trainTop1) + (result.loss.map(loss) ?? "          -") + share(result.top1)
      + share(result.top5) + CFormat.string("%9.2g%9.1f", result.learningRate, result.seconds)
  }
}

/// What `train --json` prints.
struct TrainingReport: Encodable {
  let folder: String
  let epochs: [ClassifierTraining.EpochResult]
  let best: Double?
  let isInterrupted: Bool

  init(_ outcome: ClassifierTraining.Outcome, folder: FilePath) {
    self.folder = folder.string
    (epochs, best, isInterrupted) = (outcome.epochs, outcome.best, outcome.isInterrupted)
  }

  private enum CodingKeys: String, CodingKey {
    case folder, epochs, best
    case isInterrupted = "interrupted"
  }
}
