import ModelArchitectures
import ModelCore
import ModelData
import ModelDetection
import ModelEngine
import ModelGraph
import ModelRandom
import ModelTraining
import SystemPackage

/// A detector's training, from a set to `best.pt`, in a folder: YOLOv6's `Trainer`, release 0.4.0, whose order, rates,
/// updates, averages and evaluations it has, for YOLOv5's and Ultralytics' detectors as well.
///
/// A run depends on its seed, the number of threads and of ranks alone: samples draw from generators of their own. One
/// that was interrupted and goes on gives bit for bit what it would have given; the original's goes on from float16 and
/// gives another.
public final class DetectorTraining {
  /// The files of a run's folder.
  public enum FileName {
    /// Where the run stands; the weights that did best; and those that did best without mosaic.
    public static let last = "last.pt", best = "best.pt", bestPlain = "best_stop_aug.pt"

    /// The state behind an epoch that is kept.
    static func state(_ epoch: Int) -> String { "\(epoch).pt" }
  }

  /// How it is trained.
  public let options: DetectorTrainingOptions
  /// What is learned from and judged by.
  public let sets: DetectionSets
  /// Where it writes.
  public let folder: FilePath
  /// The side of inputs in pixels, a multiple of the network's largest stride.
  public let imageSize: Int
  private let network: DetectorNetwork
  private let objective: any DetectionObjective
  private let learner: Learner
  private let schedule: YOLOSchedule
  private let validation: DetectorValidation
  private var state: DetectorState
  private let loader: DetectionLoader
  private let communicator: any Communicator
  private let clock = ContinuousClock()
  private let notes: [String]

  /// A run that begins.
  /// - Parameters:
  ///   - folder: is made; it must not hold a run.
  ///   - workers: how many threads make batches.
  ///   - communicator: the ranks that divide the pictures.
  /// - Throws: `ModelError` for options out of range, a network without a known loss, weights that do not fit, and a
  ///   folder with a run in it.
  public convenience init(
    _ sets: DetectionSets, options: DetectorTrainingOptions, folder: some FileLocation,
    workers: Int = Parallel.threadCount, communicator: any Communicator = SingleProcess()
  ) throws {
    let folder = try folder.filePath
    if RunArguments.hasRun(folder) {
      throw ModelError(
        .invalid, "holds a run already", file: folder.string,
        advice: "go on with it by --resume, or give another folder")
    }
    try options.check()
    let network = try DetectorNetwork(options, classNames: sets.training.classNames)
    try self.init(sets, options, network, folder, workers, communicator, nil)
  }

  /// A run that goes on where its folder's `last.pt` stands.
  /// - Throws: `ModelError` where there is none, where it was stripped, and for other classes or another number of
  ///   pictures.
  public convenience init(
    _ sets: DetectionSets, resuming folder: some FileLocation, workers: Int = Parallel.threadCount,
    communicator: any Communicator = SingleProcess()
  ) throws {
    let folder = try folder.filePath
    let saved = try DetectorState.Saved(folder.appending(FileName.last))
    guard saved.names == sets.training.classNames else {
      throw ModelError(
        .mismatch, "has \(sets.training.classNames.count) classes that are not the run's \(saved.names.count)",
        file: sets.training.name)
    }
    guard saved.count == sets.training.count else {
      throw ModelError(
        .mismatch, "has \(sets.training.count) pictures, not the run's \(saved.count)", file: sets.training.name,
        advice: "go on with the pictures that it began with, or begin another run by --pretrained")
    }
    try saved.options.check()
    try self.init(
      sets, saved.options, DetectorNetwork(saved.module, saved.options), folder, workers, communicator,
      saved)
  }

  private init(
    _ sets: DetectionSets, _ options: DetectorTrainingOptions, _ network: DetectorNetwork, _ folder: FilePath,
    _ workers: Int, _ communicator: any Communicator, _ saved: DetectorState.Saved?
  ) throws {
    let stride = network.head.largestStride
    let size = network.side(of: options.imageSize)
    let (rank, world) = (communicator.rank, communicator.worldSize)
    let share = options.batchSize / world
    guard share >= 1 else {
      throw ModelError(
        .invalid, "a batch of \(options.batchSize) pictures is too small for \(world) ranks",
        advice: "give a larger --batch-size")
    }
    guard network.head.classes == sets.training.classNames.count else {
      throw ModelError(
        .mismatch, "tells \(network.head.classes) classes apart, where the set has \(sets.training.classNames.count)",
        file: options.model, advice: "name a built-in architecture, and give this file as --pretrained")
    }
    guard sets.training.samples.contains(where: { !$0.labels.isEmpty }) else {
      throw ModelError(.invalid, "has not one box, so there is nothing to learn", file: sets.training.name)
    }
    let perRank = (sets.training.count + world - 1) / world
    let batch = min(share, perRank)
    let last = perRank % batch == 0 ? batch : perRank % batch
    guard size > stride || min(batch, last) > 1 else {
      throw ModelError(
        .invalid, "of one picture of \(size) pixels batch norms learn nothing, and a batch would be that",
        advice: "give a larger --image-size, or another --batch-size")
    }
    let inputs = [TensorType(.float32, [batch, 3, size, size])]
    let rates = (options.initialRate, options.weightDecay)
    learner = try Learner(
      network.module, inputs: inputs, rule: options.recipe.rule(rate: rates.0, decay: 0),
      groups: { _ in
        network.groups({ options.recipe.rule(rate: rates.0, decay: $0 ? rates.1 : 0) }, rate: rates.0)
      },
      averageDecay: options.averages ? options.recipe.averageDecay : nil, averageRise: options.recipe.averageRise,
      seed: options.seed, checkpointsActivations: options.checkpointsActivations, precision: options.precision,
      ranks: RankExchange(
        communicator, synchronizesBatchNorms: options.synchronizesBatchNorms, timeout: ClassifierTraining.patience),
      lossOf: { try network.lossOutputs(&$0, $1) })
    learner.gradientMasks = network.gradientMasks
    objective = try network.objective(options.recipe, imageSize: size)
    (self.sets, self.options, self.network, self.folder) = (sets, options, network, folder)
    (imageSize, self.communicator) = (size, communicator)
    schedule = try options.schedule(stepsPerEpoch: (perRank + batch - 1) / batch)
    var validation = DetectorValidation(try .init(of: network.module))
    validation.imageSize = size
    validation.batchSize = min(2 * share, max(1, sets.validation?.count ?? 1))
    self.validation = validation
    loader = try DetectionLoader(
      sets.training, imageSize: size, augmentation: options.recipe.augmentation,
      seed: options.seed &+ UInt64(rank) << 32, threads: workers)
    state = saved?.state ?? DetectorState()
    var notes = network.notes
    if size != options.imageSize {
      notes.append("pictures come as \(size) pixels, the next multiple of the network's stride \(stride)")
    }
    if options.plainEpochs > options.epochs, options.recipe.augmentation.mosaic > 0 {
      notes.append("all \(options.epochs) epochs are among the last \(options.plainEpochs), which go without mosaic")
    }
    self.notes = notes
    try saved?.restore(learner)
    try first { try FileFolder.make(folder) }
  }

  /// How many batches an epoch has.
  public var stepsPerEpoch: Int { schedule.stepsPerEpoch }
  /// The names of the parts of the loss, which the table and the events have.
  public var itemNames: [String] { network.itemNames }

  // MARK: The loop

  /// Trains to the end, or until it is asked to stop.
  /// - Parameters:
  ///   - shouldStop: is asked after each step; the run can go on from there.
  ///   - observe: is told what happens.
  /// - Throws: `ModelError` for a picture that cannot be read, behind the steps before it, which are written: once it is
  ///   mended or replaced the run goes on. For a loss that is not finite and what cannot be written; the folder keeps the
  ///   last state that was written.
  public func run(shouldStop: () -> Bool = { false }, observing observe: (Event) -> Void = { _ in }) throws -> Outcome {
    for note in notes { observe(.note(note)) }
    var results: [EpochResult] = []
    let files = try first {
      try DetectorRunFiles(folder, options, sets.training, items: itemNames, through: state.epoch)
    }
    while state.epoch < options.epochs {
      let start = clock.now
      guard try runEpoch(files, shouldStop, observe) else {
        try first { try save() }
        return Outcome(epochs: results, best: state.best, isInterrupted: true)
      }
      let result = try evaluateAndSave(files, start, observe)
      results.append(result)
      observe(.epoch(result))
    }
    if !options.keepsState { try first { try strip() } }
    return Outcome(epochs: results, best: state.best, isInterrupted: false)
  }

  /// - Returns: whether it came to its end.
  private func runEpoch(
    _ files: DetectorRunFiles?, _ shouldStop: () -> Bool, _ observe: (Event) -> Void
  ) throws -> Bool {
    if state.step == 0 { learner.dropGradients() }
    let all = try batches(of: state.epoch)
    let samples = all.prefix(state.step).reduce(0) { $0 + $1.count }
    let batches = try keeping {
      try loader.batches(
        epoch: state.epoch, Array(all.dropFirst(state.step)), from: samples,
        augmentation: options.augmentation(of: state.epoch))
    }
    defer { batches.stop() }
    while let batch = try keeping({ try batches.next() }) {
      try runStep(batch, files, observe)
      let isAsked = try communicator.sum([shouldStop() ? 1 : 0], timeout: ClassifierTraining.patience)[0] > 0
      // From its first step on a run can be gone on with.
      if learner.updates == 1, state.step == 1 { try first { try save() } }
      if isAsked, state.step < stepsPerEpoch { return false }
    }
    return true
  }

  private func runStep(
    _ batch: DetectionBatch, _ files: DetectorRunFiles?, _ observe: (Event) -> Void
  ) throws {
    let number = state.epoch * stepsPerEpoch + state.step
    let targets = try DetectionTargets(batch.targets())
    var found: DetectionLoss?
    do {
      try learner.backward([batch.tensor()]) { outputs in
        let loss = try objective(outputs, targets, height: imageSize, width: imageSize, epoch: state.epoch)
        found = loss
        return (loss.total, loss.gradients)
      }
    } catch let error as ModelError {
      let names = batch.files.prefix(3).map(\.string).joined(separator: ", ")
      throw error.inFile(names + (batch.files.count > 3 ? ", …" : ""))
    }
    guard let loss = found else { return }
    let rates = try setRates(number)
    let isUpdate = number - state.lastUpdate >= schedule.accumulation(at: number)
    if isUpdate {
      try learner.update(clipping: options.clipNorm.map { .norm(maximum: $0) })
      state.lastUpdate = number
    }
    if state.losses.count != loss.items.count || state.step == 0 {
      state.losses = loss.items.map { _ in 0 }
    }
    let step = Double(state.step)
    state.losses = zip(state.losses, loss.items).map { ($0 * step + $1.value) / (step + 1) }
    state.step += 1
    if number == 0 { try first { try files?.add(first: batch) } }
    observe(
      .step(
        Step(
          epoch: state.epoch + 1, done: state.step, count: stepsPerEpoch, number: number, items: loss.items,
          total: loss.total, means: state.losses, learningRates: rates, isUpdate: isUpdate)))
  }

  /// What the schedule says of a step.
  private func setRates(_ step: Int) throws -> [Double] {
    let biases = network.biasGroup
    var rates: [Double] = []
    let momentum = schedule.momentum(at: step, target: options.recipe.momentum)
    try learner.optimizer.updateGroups { group in
      let rate = schedule.learningRate(
        at: step, initial: group.initialLearningRate ?? 0, isBias: rates.count == biases)
      group.rule.learningRate = rate
      if group.rule.momentum != nil { group.rule.momentum = momentum }
      rates.append(rate)
    }
    return rates
  }

  /// This rank's batches of an epoch: those of the epochs before it are drawn again.
  private func batches(of epoch: Int) throws -> [[Int]] {
    let (count, world) = (sets.training.count, communicator.worldSize)
    var order: [Int] = []
    if world > 1 {
      order = try SampleOrder.distributed(
        count, rank: communicator.rank, of: world, epoch: epoch, seed: options.seed)
    } else {
      var generator = TorchGenerator(seed: options.seed)
      SampleOrder.skipBaseSeed(of: &generator)
      for _ in 0...epoch { order = try SampleOrder.continued(count, drawing: &generator) }
    }
    return try SampleOrder.batches(order, size: options.batchSize / world)
  }

  // MARK: Evaluation and files

  /// The original's `eval_and_save`.
  private func evaluateAndSave(
    _ files: DetectorRunFiles?, _ start: ContinuousClock.Instant, _ observe: (Event) -> Void
  ) throws -> EpochResult {
    let epoch = state.epoch
    let judged = try learner.updated(averaged: learner.isAveraged)
    if let ranks = learner.ranks, try !learner.variables.areEqual(on: ranks) {
      throw ModelError(
        .system, "after epoch \(epoch + 1) the ranks hold different weights",
        advice: "run them on processors of one kind, by one build")
    }
    var scores: DetectionScores?
    if let set = sets.validation, options.isJudged(epoch) {
      scores = try keeping { [self] in
        guard communicator.rank == 0 else { return nil }
        return try validation.scores(of: judged, on: set) { observe(.judged($0, of: set.count)) }
      }
    }
    let result = EpochResult(
      epoch: epoch + 1, items: zip(itemNames, state.losses).map { DetectionLoss.Item(name: $0, value: $1) },
      scores: scores, learningRates: learner.optimizer.groups.map(\.rule.learningRate),
      seconds: seconds(since: start))
    state.epoch += 1
    (state.step, state.losses) = (0, [])
    try first {
      // The state last: what was written before it is written anew by a run that goes on.
      try files?.add(result, step: state.epoch * stepsPerEpoch)
      try keepBest(scores, judged, epoch)
      if epoch >= options.epochs - options.keptEpochs { try save(as: FileName.state(epoch)) }
      try save()
      try files?.report(best: state.best, sets.validation, scores)
    }
    return result
  }

  /// Writes the judged weights where they are the best so far; without anything to judge by, the last.
  private func keepBest(_ scores: DetectionScores?, _ judged: Module, _ epoch: Int) throws {
    var isBest = sets.validation == nil && state.epoch == options.epochs
    var isBestPlain = false
    if let scores {
      let ap = scores.averagePrecision
      state.results = [scores.averagePrecision50, ap]
      isBest = state.best.map { ap >= $0 } ?? true
      isBestPlain = options.isPlain(epoch) && state.bestPlain.map { ap > $0 } ?? (ap > 0)
      if isBest { state.best = ap }
      if isBestPlain { state.bestPlain = ap }
    }
    for (name, isWanted) in [(FileName.best, isBest), (FileName.bestPlain, isBestPlain)] where isWanted {
      try state.writeStripped(judged, to: folder.appending(name), options: options, of: sets.training)
    }
  }

  /// Lets the first rank do what one does for all.
  @discardableResult
  private func first<Result>(_ body: () throws -> Result) throws -> Result? {
    try communicator.together(timeout: ClassifierTraining.patience) { communicator.rank == 0 ? try body() : nil }
  }

  /// What reads pictures: where one cannot be read, on any rank, what was learned until then is not lost.
  private func keeping<R>(_ read: () throws -> R) throws -> R {
    do { return try communicator.together(timeout: ClassifierTraining.patience, read) } catch let error as ModelError
      where error.file != nil || communicator.worldSize > 1
    {
      if learner.updates > 0 {
        // Nobody ends before it is written: the launcher would end the others.
        defer { _ = try? communicator.maximum(0, timeout: ClassifierTraining.patience) }
        if communicator.rank == 0 { try save() }
        if error.file != nil, error.advice == nil {
          var error = error
          error.advice = "mend it, then go on by --resume; mutils dataset check finds such pictures"
          throw error
        }
      }
      throw error
    }
  }

  private func save(as name: String = FileName.last) throws {
    try state.write(to: folder.appending(name), learner, options: options, of: sets.training)
  }

  /// The original's `strip_model`, of the last state; the best is so already.
  private func strip() throws {
    let judged = try learner.updated(averaged: learner.isAveraged)
    try state.writeStripped(judged, to: folder.appending(FileName.last), options: options, of: sets.training)
  }

  private func seconds(since start: ContinuousClock.Instant) -> Double {
    let duration = clock.now - start
    return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }
}
