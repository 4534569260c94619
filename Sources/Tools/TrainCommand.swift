import ArgumentParser
import ModelUtils
import SystemPackage

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a classifier or a detector on pictures.",
    discussion: """
      DATA for a classifier is a folder with a folder of pictures for each class (or such folders in train and val), a folder of MNIST's \
      files, an .npz with x_train, y_train, x_test and y_test, or a .csv; for a detector it is a YOLO description, data.yaml, or a folder with one. \
      The run's folder gets last.pt, where the run stands, best.pt, the weights that did best, results.csv, TensorBoard's events, \
      args.yaml and report.html. torch loads a classifier's files with weights_only=True; a detector's are whole modules, which its \
      original's programs load.

      A run depends on its seed and the number of threads alone. Interrupted, it finishes its step, writes and exits with 130; with --resume it goes on, with as many \
      threads, and gives what it would have given.

      A detector is trained as YOLOv6's Trainer does, by the recipe that its network was published with; sets of a few hundred pictures want --recipe small. \
      It is any yolov6… or yolov5… by name, or the whole module in a .pt of YOLOv5, YOLOv6 or Ultralytics. \
      best_stop_aug.pt gets the weights that did best in the last epochs, which go without mosaic. At the end last.pt is stripped, unless --keep-state says no.

      In a build with --traits MPI, mpirun's ranks divide each batch; classifiers learn what one process learns, up to rounding.

      Examples:
        mutils train pictures --model resnet18 --epochs 20 -o runs/first
        mutils train pictures --resume runs/first
        mutils val runs/first/best.pt pictures
        mutils train data.yaml --model yolov6n --image-size 320 --recipe small -o runs/boxes
        mpirun -n 2 mutils train pictures --batch-size 128 -o runs/second
      """)

  @Argument(help: "The pictures with their classes, or a description of pictures with boxes.", completion: .file())
  var data: String

  @OptionGroup var report: ReportOptions
  @OptionGroup var recipe: TrainingArguments
  @OptionGroup(title: "Detectors") var detection: DetectionArguments

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The run's folder.", valueName: "folder"), completion: .directory)
  var output: String?

  @Option(
    help: ArgumentHelp("Go on with the run in this folder, by its own options.", valueName: "folder"),
    completion: .directory)
  var resume: String?

  @Option(help: ArgumentHelp("How many threads make batches. Default: as --threads.", valueName: "n"))
  var workers: Int?

  func validate() throws {
    guard output == nil || resume == nil else {
      throw ValidationError("A run goes on in its own folder; leave -o out.")
    }
    guard output != "", resume != "" else { throw ValidationError("The run's folder has no name.") }
    guard output != nil || resume != nil else {
      throw ValidationError("Give the run's folder with -o, or go on with one with --resume.")
    }
    if resume != nil, let given = recipe.given.first ?? detection.given.first {
      throw ValidationError("A run goes on by its own options; leave \(given) out.")
    }
    if let workers, !(1...1024).contains(workers) {
      throw ValidationError("--workers takes a number from 1 to 1024")
    }
  }

  func run() throws {
    let world = try currentCommunicator()
    let resumed = try resumedFolder()
    let begunWith = resumed.flatMap { RunArguments.threadCount(of: $0) }
    try report.withThreads(among: world.localSize, usual: begunWith) {
      if let begunWith, begunWith != Parallel.threadCount, world.rank == 0 {
        report.note("begun with --threads \(begunWith): with another number the last bits of what is learned differ")
        Terminal.printNotes()
      }
      if try DetectionSets.recognizes(data) {
        try trainDetector(world, resuming: resumed)
      } else {
        try trainClassifier(world, resuming: resumed)
      }
    }
  }

  /// The folder of the run to go on with, of which its `last.pt` may be given.
  private func resumedFolder() throws -> FilePath? {
    guard let path = resume.map({ FilePath($0) }), path.extension?.lowercased() == "pt" else {
      return resume.map { FilePath($0) }
    }
    guard path.lastComponent?.string == "last.pt" else {
      throw ModelError(
        .invalid, "is not where a run stands", file: path.string, advice: "give the run's folder, or last.pt in it")
    }
    return path.removingLastComponent().isEmpty ? "." : path.removingLastComponent()
  }

  private var workerCount: Int { workers ?? Parallel.threadCount }

  private func trainClassifier(_ world: any Communicator, resuming resumed: FilePath?) throws {
    if let other = detection.given.first {
      throw ModelError(
        .invalid, "\(other) is for detectors, and the data are no description of boxes", file: data)
    }
    let sets = try ClassificationSets(contentsOf: data)
    let training: ClassifierTraining
    if let resumed {
      training = try ClassifierTraining(sets, resuming: resumed, workers: workerCount, communicator: world)
    } else {
      training = try ClassifierTraining(
        sets, options: recipe.classifierOptions(), folder: output ?? "", workers: workerCount, communicator: world)
    }
    let lines = TrainingLines(report, speaks: world.rank == 0)
    if sets.validation == nil { lines.note("no pictures to judge by: the best is found by those learned from") }
    lines.print(
      "\(training.options.model) at \(training.imageSize.map(String.init).joined(separator: "x")): \(sets.training.count) pictures of \(sets.training.classNames.count) classes, "
        + steps(training.stepsPerEpoch, world))
    lines.print(EpochLine.header)
    let outcome = try Signals.endingGracefully { isAsked in
      try training.run(shouldStop: isAsked) { event in
        switch event {
        case .step(let epoch, let done, let count, let loss, let rate):
          lines.step(
            epoch: epoch, "\(epoch)/\(training.options.epochs)", done: done, of: count, loss: loss,
            items: ["loss": loss], rates: rate)
        case .judged: break
        case .epoch(let result):
          lines.epoch(EpochLine.line(result, of: training.options.epochs), result.epoch, result.metrics)
        }
      }
    }
    try end(
      lines, training.folder, count: training.options.epochs, ran: outcome.epochs.count, outcome.isInterrupted, world)
  }

  private func trainDetector(_ world: any Communicator, resuming resumed: FilePath?) throws {
    if let other = recipe.givenForClassifiers.first {
      throw ModelError(.invalid, "\(other) is for classifiers, and the data are boxes", file: data)
    }
    let sets = try DetectionSets(contentsOf: data)
    let training: DetectorTraining
    let lines = TrainingLines(report, speaks: world.rank == 0)
    if let resumed {
      training = try DetectorTraining(sets, resuming: resumed, workers: workerCount, communicator: world)
    } else {
      let (options, notes) = try detection.options(recipe)
      for note in notes { lines.note(note) }
      training = try DetectorTraining(
        sets, options: options, folder: output ?? "", workers: workerCount, communicator: world)
    }
    for note in sets.notes { lines.note(note) }
    if sets.validation == nil { lines.note("no pictures to judge by: best.pt holds the last weights") }
    lines.print(
      "\(training.options.model) at \(training.imageSize): \(sets.training.count) pictures of \(sets.training.classNames.count) classes, "
        + steps(training.stepsPerEpoch, world))
    lines.print(DetectorLine.header(training.itemNames))
    let outcome = try Signals.endingGracefully { isAsked in
      try training.run(shouldStop: isAsked) { event in
        switch event {
        case .step(let step):
          lines.step(
            epoch: step.epoch, DetectorLine.place(step.epoch, of: training.options.epochs), done: step.done,
            of: step.count, loss: step.total,
            items: Dictionary(step.items.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }),
            rates: step.learningRates)
        case .judged(let done, let count): lines.judged(done, of: count)
        case .epoch(let result):
          lines.epoch(
            DetectorLine.line(result, of: training.options.epochs), result.epoch,
            result.scores.map { DetectionValReport($0).metrics })
        case .note(let text): lines.note(text)
        }
      }
    }
    try end(
      lines, training.folder, count: training.options.epochs, ran: outcome.epochs.count, outcome.isInterrupted, world)
  }

  private func steps(_ count: Int, _ world: any Communicator) -> String {
    "\(count) \(count == 1 ? "step" : "steps") an epoch" + (world.worldSize > 1 ? ", \(world.worldSize) ranks" : "")
  }

  private func end(
    _ lines: TrainingLines, _ folder: FilePath, count: Int, ran: Int, _ isInterrupted: Bool, _ world: any Communicator
  ) throws {
    lines.finish()
    world.close()
    // The status is the first rank's: one of another's, before that, would make mpirun end the first.
    guard world.rank == 0 else { return }
    if report.json { try Results.print(json: TrainingEnd(folder, isInterrupted: isInterrupted)) }
    if isInterrupted {
      Terminal.note("interrupted: go on with mutils train \(data) --resume \(folder)")
      Terminal.printNotes()
      throw ExitCode(130)
    }
    if ran == 0 { lines.note("the run has had its \(count) epochs already") }
    lines.print("Saved \(folder.appending("best.pt")) and \(folder.appending("last.pt"))")
  }
}
