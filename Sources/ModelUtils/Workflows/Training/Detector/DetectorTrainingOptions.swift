import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelData
import ModelEngine
import ModelTraining

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// How a detector is trained: what a run's `args.yaml` and its states hold.
public struct DetectorTrainingOptions: Codable, Sendable, Hashable {
  /// A built-in architecture, or a file that holds a detector's whole module.
  public var model = "yolov6n"
  /// A file of weights to begin with: those whose names and shapes are the network's; nil draws them.
  public var pretrained: String?
  /// Whether a YOLOv6's head gets a branch of anchors that helps in training, `fuse_ab`.
  public var fusesAnchors = false
  /// For `yolov6…_opt`, the file of a trained `yolov6…_hs`, whose scales RepOptimizer takes.
  public var scales: String?
  /// How often the whole set is gone through.
  public var epochs = 400
  /// How many pictures a step sees, on all ranks together.
  public var batchSize = 32
  /// The side of the square that pictures are fitted into, in pixels.
  public var imageSize = 640
  /// The hyper-parameters.
  public var recipe = DetectorRecipe()
  /// Every so manyth epoch is judged, `eval_interval`; of the last `heavyEpochs` every third at least.
  public var interval = 20
  /// `heavy_eval_range`.
  public var heavyEpochs = 50
  /// Whether only the last epoch is judged, `eval_final_only`.
  public var judgesLastAlone = false
  /// How many epochs at the end go without mosaic and mixup, `stop_aug_last_n_epoch`.
  public var plainEpochs = 15
  /// How many epochs at the end keep a state of their own, `save_ckpt_on_last_n_epoch`.
  public var keptEpochs = 0
  /// Whether the running average is judged and kept.
  public var averages = true
  /// The norm that gradients are clipped to; nil leaves them.
  public var clipNorm: Double?
  /// Whether less is kept of the forward and computed again for the backward pass: the same results in less memory.
  public var checkpointsActivations = false
  /// What convolutions and products multiply in while learning.
  public var precision = Precision.float32
  /// With ranks, whether batch norms take their statistics over the pictures of all.
  public var synchronizesBatchNorms = false
  /// Whether the last state stays as it is when the run ends; else it becomes what `best.pt` is, as YOLOv6's does.
  public var keepsState = false
  /// What weights, order and augmentation are drawn by.
  public var seed: UInt64 = 0

  /// The defaults, YOLOv6 n's.
  public init() { recipe = .published(for: model) }

  /// The side of the pictures that a detector in a file was trained with; nil for a built-in architecture, and where the
  /// file does not say.
  /// - Throws: `ModelError` where there is no such file, or it cannot be read.
  public static func imageSize(of model: String) throws -> Int? {
    guard !Architecture.names.contains(model), try DetectorNetwork.description(model) == nil else { return nil }
    return try Checkpoint(contentsOf: model).trainedSize?.height
  }

  /// Refuses numbers out of their ranges before anything is read or written.
  /// - Throws: `ModelError` that names the number.
  public func check() throws {
    func require(_ holds: Bool, _ what: String) throws { if !holds { throw ModelError(.invalid, what) } }
    try require((1...1_000_000).contains(epochs), "a run has 1 to 1000000 epochs, not \(epochs)")
    try require((1...1 << 16).contains(batchSize), "a batch has 1 to 65536 pictures, not \(batchSize)")
    try require(
      (32...1 << 13).contains(imageSize), "pictures are fitted into a square of 32 to 8192 pixels, not \(imageSize)")
    try require(interval >= 1, "every so manyth epoch is judged, not every \(interval)th")
    try require(
      [heavyEpochs, plainEpochs, keptEpochs].allSatisfy { (0...1_000_000).contains($0) },
      "numbers of epochs are 0 to 1000000")
    try require(clipNorm.map { $0 > 0 } ?? true, "gradients are clipped to a norm above 0")
    try recipe.check()
  }

  /// How many pictures an update stands for.
  private var nominalBatch: Double { recipe.nominalBatch > 0 ? recipe.nominalBatch : Double(batchSize) }

  /// How many batches make an update behind the warm-up.
  private var accumulation: Int { max(1, Int((nominalBatch / Double(batchSize)).rounded(.toNearestOrEven))) }

  /// The first rate, for batches of this size.
  var initialRate: Double {
    recipe.referenceBatch > 0
      ? recipe.learningRate * (Double(batchSize) / recipe.referenceBatch) : recipe.learningRate
  }

  /// The decay, for updates of this size.
  var weightDecay: Double { recipe.weightDecay * (Double(batchSize * accumulation) / nominalBatch) }

  /// - Throws: `ModelError` for a warm-up that cannot be.
  func schedule(stepsPerEpoch: Int) throws -> YOLOSchedule {
    let steps = try YOLOWarmup.steps(
      epochs: recipe.warmupEpochs, stepsPerEpoch: stepsPerEpoch, minimum: Int(recipe.warmupMinimumSteps))
    return try YOLOSchedule(
      recipe.schedule, epochs: epochs, finalShare: recipe.finalShare, stepsPerEpoch: stepsPerEpoch,
      batchSize: batchSize,
      warmup: YOLOWarmup(
        steps: steps, biasLearningRate: recipe.warmupBiasRate, momentum: recipe.warmupMomentum,
        nominalBatchSize: Int(nominalBatch)),
      isLate: recipe.isLate)
  }

  /// Whether an epoch, from 0, is judged.
  func isJudged(_ epoch: Int) -> Bool {
    let remaining = epochs - 1 - epoch
    let interval = remaining >= heavyEpochs ? interval : min(3, interval)
    return remaining == 0 || (!judgesLastAlone && (epoch + 1) % interval == 0)
  }

  /// Whether an epoch, from 0, goes without mosaic and mixup.
  func isPlain(_ epoch: Int) -> Bool { epoch >= epochs - plainEpochs }

  /// What is done to the pictures of an epoch, from 0.
  func augmentation(of epoch: Int) -> DetectionAugmentation {
    var augmentation = recipe.augmentation
    if isPlain(epoch) { (augmentation.mosaic, augmentation.mixup) = (0, 0) }
    return augmentation
  }

  // MARK: In files

  /// What a run's file says of how it was trained; nil for any other file.
  /// - Throws: `ModelError` for options of another version.
  public init?(of file: Checkpoint) throws {
    guard case .string(let text)? = file.entry("options"), file.entry("task") == .string("detect") else { return nil }
    do { self = try JSONDecoder().decode(DetectorTrainingOptions.self, from: Data(text.utf8)) } catch {
      throw ModelError(.malformed, "its options are none that this version knows", file: file.name)
    }
  }

  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// Names and values as YAML has them.
  var entries: [(String, String)] {
    func text(_ value: String) -> String { "\"\(value.escapedForJSON)\"" }
    let network: [(String, String)] = [
      ("model", text(model)), ("pretrained", pretrained.map(text) ?? "null"), ("fuse_ab", "\(fusesAnchors)"),
      ("scales", scales.map(text) ?? "null"), ("epochs", "\(epochs)"), ("batch_size", "\(batchSize)"),
      ("image_size", "\(imageSize)"), ("optimizer", recipe.optimizer.rawValue),
      ("schedule", recipe.schedule.rawValue), ("late_rates", "\(recipe.isLate)"),
      ("iou_type", recipe.overlap.rawValue),
    ]
    let numbers: [(String, String)] = recipe.values.map { ($0.name, "\($0.value)") }
    let run: [(String, String)] = [
      ("eval_interval", "\(interval)"), ("heavy_eval_range", "\(heavyEpochs)"),
      ("eval_final_only", "\(judgesLastAlone)"), ("stop_aug_last_n_epoch", "\(plainEpochs)"),
      ("save_ckpt_on_last_n_epoch", "\(keptEpochs)"), ("ema", "\(averages)"),
      ("clip_norm", clipNorm.map { "\($0)" } ?? "null"), ("checkpoint_activations", "\(checkpointsActivations)"),
      ("precision", precision.rawValue), ("sync_batch_norm", "\(synchronizesBatchNorms)"),
      ("keep_state", "\(keepsState)"), ("seed", "\(seed)"),
    ]
    return network + numbers + run
  }
}
