import ModelCore
import ModelEngine
import ModelTraining

/// How a classifier is trained: what a run's `args.yaml` and its states hold.
public struct ClassifierTrainingOptions: Codable, Sendable, Hashable {
  /// What updates the weights, with torch's defaults but for what stands here.
  public enum OptimizerName: String, Codable, Sendable, CaseIterable {
    /// torch's optimizers of these names.
    case sgd, adam, adamw, rmsprop
  }

  /// How the rate falls from one epoch to the next.
  public enum ScheduleName: String, Codable, Sendable, CaseIterable {
    /// YOLO's cosine and line down to a share of the first rate; the same rate; a tenth after every third of the epochs.
    case cosine, linear, constant, step
  }

  /// The built-in architecture.
  public var model = "resnet18"
  /// A file of weights to begin with; nil draws them.
  public var pretrained: String?
  /// How often the whole set is gone through.
  public var epochs = 10
  /// How many pictures a step sees.
  public var batchSize = 64
  /// [height, width] of what the network sees; the set's own size, or 224, where it is nil.
  public var imageSize: [Int]?
  /// What updates the weights.
  public var optimizer = OptimizerName.sgd
  /// The first rate; 0.05 for SGD and 0.001 for the others where it is nil.
  public var learningRate: Double?
  /// Of SGD and RMSprop.
  public var momentum = 0.9
  /// Whether SGD looks ahead.
  public var nesterov = false
  /// How much of the weights is subtracted from them.
  public var weightDecay = 1e-4
  /// How the rate falls.
  public var schedule = ScheduleName.cosine
  /// The share of the first rate that is left at the end, of cosine and line.
  public var finalShare = 0.01
  /// Over how many epochs the rate rises from 0, step by step.
  public var warmupEpochs = 0.0
  /// How much of a label goes to all classes alike.
  public var labelSmoothing = 0.0
  /// The norm that gradients are clipped to; nil leaves them.
  public var clipNorm: Double?
  /// The decay of the running average that is evaluated and kept beside the weights; nil for none.
  public var ema: Double?
  /// Whether less is kept of the forward and computed again for the backward pass: the same results in less memory.
  public var checkpointsActivations = false
  /// What convolutions and products multiply in while learning; weights, statistics and the evaluation are float32.
  public var precision = Precision.float32
  /// With ranks, whether batch norms take their statistics over the pictures of all; else each over its own, and the
  /// running ones are rank 0's.
  public var synchronizesBatchNorms = true
  /// Whether pictures are cut and mirrored at random.
  public var augments = true
  /// What weights, order, cuts and dropouts are drawn by.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}

  /// The first rate.
  public var initialLearningRate: Double { learningRate ?? (optimizer == .sgd ? 0.05 : 0.001) }

  /// Refuses numbers out of their ranges before anything is read or written.
  ///
  /// - Throws: `ModelError` that names the number.
  public func check() throws {
    func require(_ holds: Bool, _ what: String) throws { if !holds { throw ModelError(.invalid, what) } }
    try require((1...1_000_000).contains(epochs), "a run has 1 to 1000000 epochs, not \(epochs)")
    try require((1...1 << 20).contains(batchSize), "a batch has 1 to 1048576 pictures, not \(batchSize)")
    try require(
      initialLearningRate > 0 && initialLearningRate.isFinite,
      "a learning rate is finite and above 0, not \(initialLearningRate)")
    try require((0...1).contains(momentum), "momentum is 0 to 1, not \(momentum)")
    try require(
      !nesterov || (optimizer == .sgd && momentum > 0),
      "Nesterov's momentum (--nesterov) is of sgd with a momentum above 0")
    try require(
      weightDecay >= 0 && weightDecay.isFinite, "weight decay is finite and not below 0, as \(weightDecay) is")
    try require((0...1).contains(finalShare), "the share of the rate at the end is 0 to 1, not \(finalShare)")
    try require(
      warmupEpochs >= 0 && warmupEpochs < Double(epochs),
      "the rate rises over fewer than the run's \(epochs) epochs, not \(warmupEpochs)")
    try require((0...1).contains(labelSmoothing), "label smoothing is 0 to 1, not \(labelSmoothing)")
    try require(clipNorm.map { $0 > 0 } ?? true, "gradients are clipped to a norm above 0")
    try require(ema.map { (0..<1).contains($0) } ?? true, "an average's decay is 0 up to 1 (--ema), not \(ema ?? 0)")
    if let imageSize {
      try require(
        imageSize.count == 2 && imageSize.allSatisfy { (1...1 << 14).contains($0) },
        "pictures are 1 to 16384 pixels high and wide")
    }
  }

  /// The optimizer's rule.
  var rule: OptimizerRule {
    let rate = initialLearningRate
    return switch optimizer {
    case .sgd:
      .sgd(SGD(learningRate: rate, momentum: momentum, weightDecay: weightDecay, nesterov: nesterov))
    case .adam: .adam(Adam(learningRate: rate, weightDecay: weightDecay))
    case .adamw: .adam(.adamW(learningRate: rate, weightDecay: weightDecay))
    case .rmsprop: .rmsprop(RMSprop(learningRate: rate, weightDecay: weightDecay, momentum: momentum))
    }
  }

  /// The rate of a step, counted over the whole run.
  package func learningRate(step: Int, stepsPerEpoch: Int) throws -> Double {
    let epoch = step / max(stepsPerEpoch, 1)
    let initial = initialLearningRate
    let rate =
      switch schedule {
      case .cosine: try CosineSchedule(epochs: epochs, finalShare: finalShare).learningRate(at: epoch, initial: initial)
      case .linear: try LinearSchedule(epochs: epochs, finalShare: finalShare).learningRate(at: epoch, initial: initial)
      case .constant: initial
      case .step: try StepLR(size: max((epochs + 2) / 3, 1)).learningRate(at: epoch, initial: initial)
      }
    let rising = warmupEpochs * Double(stepsPerEpoch)
    return Double(step) < rising ? rate * Double(step + 1) / (rising + 1) : rate
  }
}
