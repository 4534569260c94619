import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelData
import ModelEngine
import ModelGraph
import ModelRandom
import ModelSurgery
import ModelTraining
import SystemPackage

/// A classifier's training, from a set to `best.pt`, in a folder: torchvision's recipe with YOLO's running average.
///
/// Each epoch goes through the set in the order that torch's `DataLoader(shuffle=True, generator=…)` with a generator of
/// the seed has; each picture is cut and mirrored by a generator of its own. So a run depends on its seed alone, and one
/// that was interrupted and goes on gives bit for bit what it would have given.
///
/// Several ranks divide each batch, so that they learn what one process learns, up to rounding and to what networks drop
/// at random; rank 0 judges and writes.
public final class ClassifierTraining {
  /// The files of a run's folder.
  public enum FileName {
    /// Where the run stands, and the best weights so far.
    public static let last = "last.pt", best = "best.pt"
  }

  /// What happens in a run.
  public enum Event: Sendable {
    /// A step: batches of the epoch that are done, of how many, and the last one's loss.
    case step(epoch: Int, done: Int, of: Int, loss: Double, learningRate: Double)
    /// Pictures that are judged, of how many.
    case judged(Int, of: Int)
    /// An epoch, with its place among the others.
    case epoch(EpochResult)
  }

  /// What an epoch gave.
  public struct EpochResult: Codable, Sendable, Hashable {
    /// From 1.
    public let epoch: Int
    /// The mean loss of the steps, with smoothing, and the share that was right while learning.
    public let trainLoss, trainTop1: Double
    /// Of the validation set; nil without one.
    public let loss, top1, top5: Double?
    /// The rate of the last step.
    public let learningRate: Double
    /// How long it took, evaluation included.
    public let seconds: Double
  }

  /// How the run ended.
  public struct Outcome: Sendable {
    /// Of the epochs that this call went through.
    public let epochs: [EpochResult]
    /// The best accuracy of all epochs; the training set's where there is no other.
    public let best: Double?
    /// Whether it was asked to stop.
    public let isInterrupted: Bool
    /// Of the last evaluation.
    public let scores: ClassificationScores?
  }

  /// How it is trained.
  public let options: ClassifierTrainingOptions
  /// What is learned from and judged by.
  public let sets: ClassificationSets
  /// What the network is.
  public let module: Module
  /// Where it writes.
  public let folder: FilePath
  /// [height, width] of what the network sees.
  public let imageSize: [Int]
  /// What the network sees of pictures, in training and in evaluation.
  public let training, evaluation: PicturePreprocessing
  private let learner: Learner
  private var state = ClassifierState()
  private let loader: BatchLoader
  private let communicator: any Communicator
  private let clock = ContinuousClock()

  /// A run that begins.
  /// - Parameters:
  ///   - folder: is made; it must not hold a run.
  ///   - workers: how many threads make batches.
  ///   - communicator: the ranks that divide the batches.
  /// - Throws: `ModelError` for options out of range, a set that cannot be trained on, weights that do not fit, and a
  ///   folder with a run in it.
  public convenience init(
    _ sets: ClassificationSets, options: ClassifierTrainingOptions, folder: some FileLocation,
    workers: Int = Parallel.threadCount, communicator: any Communicator = SingleProcess()
  ) throws {
    let folder = try folder.filePath
    if RunArguments.hasRun(folder) {
      throw ModelError(
        .invalid, "holds a run already", file: folder.string,
        advice: "go on with it by --resume, or give another folder")
    }
    try self.init(sets, options, folder, workers, communicator)
  }

  /// A run that goes on where its folder's `last.pt` stands.
  /// - Throws: `ModelError` where there is none, where it was stripped, and for other classes or another number of
  ///   pictures.
  public convenience init(
    _ sets: ClassificationSets, resuming folder: some FileLocation, workers: Int = Parallel.threadCount,
    communicator: any Communicator = SingleProcess()
  ) throws {
    let folder = try folder.filePath
    let saved = try ClassifierState.Saved(folder.appending(FileName.last))
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
    try self.init(sets, saved.options, folder, workers, communicator)
    state = saved.state
    try saved.restore(learner)
  }

  private init(
    _ sets: ClassificationSets, _ options: ClassifierTrainingOptions, _ folder: FilePath, _ workers: Int,
    _ communicator: any Communicator
  ) throws {
    try options.check()
    guard options.batchSize >= communicator.worldSize else {
      throw ModelError(
        .invalid, "a batch of \(options.batchSize) pictures is too small for \(communicator.worldSize) ranks",
        advice: "give a larger --batch-size")
    }
    guard sets.training.classNames.count > 1 else {
      throw ModelError(
        .invalid, "has one class alone (\(sets.training.classNames.first ?? "")), of which there is nothing to learn",
        file: sets.training.name, advice: "give a folder with a folder of pictures for each class")
    }
    (self.sets, self.options, self.folder) = (sets, options, folder)
    self.communicator = communicator
    let set = sets.training
    let channels = 3
    let own = try set.pictureSize
    let size = options.imageSize ?? own ?? [224, 224]
    imageSize = size
    training = try .classifier(size: size, own: own, augments: options.augments)
    evaluation = try .evaluation(of: set, imageSize: options.imageSize)
    let weights: ClassifierWeights = options.pretrained.map { .file($0) } ?? .random
    module = try loadClassifier(
      options.model, classes: set.classNames.count, weights: weights, head: .initialized, seed: options.seed
    ).module
    let classes = set.classNames.count
    let smoothing = options.labelSmoothing
    let inputs = [TensorType(.float32, [min(options.batchSize, set.count), channels] + size)]
    try module.requireTraining(on: inputs)
    learner = try Learner(
      module, inputs: inputs, rule: options.rule,
      averageDecay: options.ema, seed: options.seed, checkpointsActivations: options.checkpointsActivations,
      precision: options.precision,
      ranks: RankExchange(
        communicator, synchronizesBatchNorms: options.synchronizesBatchNorms, timeout: Self.patience)
    ) { graph, outputs in
      let labels = graph.addInput("labels")
      return try graph.crossEntropy(outputs[0], labels, classes: classes, smoothing: smoothing)
    }
    loader = try BatchLoader(set, training, seed: options.seed, threads: workers)
    try first { try FileFolder.make(folder) }
  }

  /// How long ranks wait for the one that writes.
  static let patience = Duration.seconds(7200)

  /// How many batches an epoch has. A last one of a single picture is left out, of which batch norms learn nothing, and
  /// one that does not give each rank a picture.
  public var stepsPerEpoch: Int {
    let (whole, left) = sets.training.count.quotientAndRemainder(dividingBy: options.batchSize)
    return whole + (left >= max(2, communicator.worldSize) ? 1 : 0)
  }

  /// Trains to the end, or until it is asked to stop.
  /// - Parameters:
  ///   - shouldStop: is asked after each step; the run can go on from there.
  ///   - observe: is told what happens.
  /// - Throws: `ModelError` for a picture that cannot be read, behind the steps before it, which are written: once it is
  ///   mended or replaced the run goes on. For a loss that is not finite and what cannot be written; the folder keeps the
  ///   last state that was written.
  public func run(shouldStop: () -> Bool = { false }, observing observe: (Event) -> Void = { _ in }) throws -> Outcome {
    guard stepsPerEpoch > 0 else {
      throw ModelError(.invalid, "a single picture is too few to train on", file: sets.training.name)
    }
    var results: [EpochResult] = []
    var scores: ClassificationScores?
    let files = try first { try ClassifierRunFiles(folder, options, sets.training, through: state.epoch) }
    while state.epoch < options.epochs {
      let start = clock.now
      guard try runEpoch(shouldStop, observe) else {
        try first { try save() }
        return Outcome(epochs: results, best: state.best, isInterrupted: true, scores: scores)
      }
      let judged = try learner.updated(averaged: learner.isAveraged)
      scores = try keeping {
        try sets.validation.map { set in
          try judged.evaluate(on: set, evaluation, batchSize: options.batchSize, communicator: communicator) {
            observe(.judged($0, of: set.count))
          }
        }
      }
      let seen = Double(min(stepsPerEpoch * options.batchSize, sets.training.count))
      let accuracy = scores?.top1 ?? Double(state.rightCount) / seen
      let (loss, trained) = (state.lossSum / Double(stepsPerEpoch), Double(state.rightCount) / seen)
      let isBest = state.best.map { accuracy >= $0 } ?? true
      state = ClassifierState(epoch: state.epoch + 1, best: isBest ? accuracy : state.best)
      let result = EpochResult(
        epoch: state.epoch, trainLoss: loss, trainTop1: trained, loss: scores?.loss, top1: scores?.top1,
        top5: scores?.top5,
        learningRate: try options.learningRate(step: state.epoch * stepsPerEpoch - 1, stepsPerEpoch: stepsPerEpoch),
        seconds: seconds(since: start))
      if let ranks = learner.ranks, try !learner.variables.areEqual(on: ranks) {
        throw ModelError(
          .system, "after epoch \(state.epoch) the ranks hold different weights",
          advice: "run them on processors of one kind, by one build")
      }
      try first {
        // The state last: what was written before it is written anew by a run that goes on.
        try files?.add(result)
        if isBest { try saveBest(judged, accuracy) }
        try save()
        try files?.report(best: state.best, judged: sets.validation, scores)
      }
      results.append(result)
      observe(.epoch(result))
    }
    return Outcome(epochs: results, best: state.best, isInterrupted: false, scores: scores)
  }

  /// Lets the first rank do what one does for all.
  @discardableResult
  private func first<Result>(_ body: () throws -> Result) throws -> Result? {
    try communicator.together(timeout: Self.patience) { communicator.rank == 0 ? try body() : nil }
  }

  /// This rank's part of a batch.
  private func part(of batch: [Int]) -> [Int] {
    let (rank, count) = (communicator.rank, communicator.worldSize)
    return Array(batch[batch.count * rank / count..<batch.count * (rank + 1) / count])
  }

  /// - Returns: whether it came to its end.
  private func runEpoch(_ shouldStop: () -> Bool, _ observe: (Event) -> Void) throws -> Bool {
    let batches = Array(
      try SampleOrder.batches(try order(state.epoch), size: options.batchSize).prefix(stepsPerEpoch).dropFirst(
        state.step))
    let epoch = try keeping { try loader.batches(epoch: state.epoch, batches.map(part)) }
    defer { epoch.stop() }
    while let batch = try keeping({ try epoch.next() }) {
      let rate = try options.learningRate(
        step: state.epoch * stepsPerEpoch + state.step, stepsPerEpoch: stepsPerEpoch)
      try learner.optimizer.updateGroups { $0.rule.learningRate = rate }
      let labels = try Tensor(batch.labels.map { Int64($0) })
      let step: Learner.StepResult
      do {
        step = try learner.step(
          [batch.tensor(), labels], share: Double(batch.indices.count) / Double(batches[batch.number].count),
          clipping: options.clipNorm.map { .norm(maximum: $0) })
      } catch let error as ModelError {
        let names = batch.indices.prefix(3).map { sets.training.location(of: $0) }
        throw error.inFile(names.joined(separator: ", ") + (batch.indices.count > 3 ? ", …" : ""))
      }
      state.step += 1
      state.lossSum += step.loss
      observe(
        .step(
          epoch: state.epoch + 1, done: state.step, of: stepsPerEpoch, loss: step.loss, learningRate: rate))
      let right = try step.outputs[0].floats().rightCount(batch.labels)
      let sums = try communicator.sum([Double(right), shouldStop() ? 1 : 0], timeout: Self.patience)
      state.rightCount += Int(sums[0])
      // From its first step on a run can be gone on with.
      if learner.updates == 1 { try first { try save() } }
      if sums[1] > 0, state.step < stepsPerEpoch { return false }
    }
    return true
  }

  /// The samples of an epoch: those of the epochs before it are drawn again.
  private func order(_ epoch: Int) throws -> [Int] {
    var generator = TorchGenerator(seed: options.seed)
    for _ in 0..<epoch { _ = try SampleOrder.shuffled(sets.training.count, from: &generator) }
    return try SampleOrder.shuffled(sets.training.count, from: &generator)
  }

  /// What reads pictures: where one cannot be read, on any rank, what was learned until then is not lost.
  private func keeping<R>(_ read: () throws -> R) throws -> R {
    do { return try communicator.together(timeout: Self.patience, read) } catch let error as ModelError
      where error.file != nil || communicator.worldSize > 1
    {
      if learner.updates > 0 {
        // Nobody ends before it is written: the launcher would end the others.
        defer { _ = try? communicator.maximum(0, timeout: Self.patience) }
        if communicator.rank == 0 { try save() }
      }
      throw error
    }
  }

  private func save() throws {
    try state.write(
      to: folder.appending(FileName.last), learner, module, options: options, of: sets.training, imageSize: imageSize)
  }

  /// The weights that were judged, alone.
  private func saveBest(_ judged: Module, _ accuracy: Double) throws {
    var file = Checkpoint(judged.stateDict(), name: FileName.best)
    file.nestModel(under: "model")
    try file.setEntry("epoch", to: .int(state.epoch))
    try file.setEntry("top1", to: .double(accuracy))
    try file.setEntry("options", to: .string(try options.json()))
    try file.setEntry("names", to: .list(sets.training.classNames.map { .string($0) }))
    try file.setEntry("image_size", to: .list(imageSize.map { .int($0) }))
    try file.write(to: folder.appending(FileName.best))
  }

  private func seconds(since start: ContinuousClock.Instant) -> Double {
    let duration = clock.now - start
    return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }
}

extension [Float] {
  /// Rows of scores whose largest stands at the label.
  fileprivate func rightCount(_ labels: [Int]) -> Int {
    let classes = count / Swift.max(labels.count, 1)
    return labels.enumerated().count { row, label in
      let line = self[row * classes..<(row + 1) * classes]
      return line.max().flatMap { line.firstIndex(of: $0) } == line.startIndex + label
    }
  }
}

extension ClassificationSet {
  /// The [height, width] that all pictures have; nil for pictures in files.
  fileprivate var pictureSize: [Int]? {
    get throws { try isInFiles ? nil : Array(picture(0).shape.prefix(2)) }
  }
}

extension Module {
  /// Refuses pictures of a size that the network does not take.
  fileprivate func requireTraining(on inputs: [TensorType]) throws {
    do { _ = try Graph(self, inputs: inputs, mode: .training).types(of: inputs) } catch var error as ModelError {
      let size = inputs[0].shape.suffix(2).map(String.init).joined(separator: "x")
      error.advice = error.advice ?? "pictures come as \(size); the network may be made for another --image-size"
      throw error
    }
  }
}

extension PicturePreprocessing {
  /// What a classifier sees of a set's pictures in evaluation: themselves where they have the size, else the middle of
  /// them as torchvision cuts it.
  /// - Parameter imageSize: [height, width]; the pictures' own, or 224, when nil.
  /// - Throws: `ModelError` for a set that cannot be read.
  public static func evaluation(of set: ClassificationSet, imageSize: [Int]?) throws -> PicturePreprocessing {
    let own = try set.pictureSize
    return try classifier(size: imageSize ?? own ?? [224, 224], own: own, augments: false)
  }

  /// torchvision's recipes: a random part resized for files, a random shift for pictures that have the size already.
  /// - Parameter own: the size that all pictures have, where they have one.
  static func classifier(size: [Int], own: [Int]?, augments: Bool) throws -> PicturePreprocessing {
    let (height, width) = (size[0], size[1])
    let transforms: [PictureTransform] =
      if own == size {
        augments
          ? [
            .randomCrop(height: height, width: width, padding: max(1, min(height, width) / 8)), .randomHorizontalFlip(),
          ]
          : []
      } else if augments {
        [.randomResizedCrop(height: height, width: width), .randomHorizontalFlip()]
      } else if height == width {
        [.resize(shorterSide: height * 256 / 224), .centerCrop(height: height, width: width)]
      } else {
        [.resizeExactly(height: height, width: width)]
      }
    return try PicturePreprocessing(transforms, mean: imageNetMean, standardDeviation: imageNetStandardDeviation)
  }
}
